"""How sizes are written: by the fewest parentheses, and with the numbers that they have."""

import pytest
from graphs import emitted

from mlx_transpile.codegen.size_text import size_code
from mlx_transpile.ir.dims import evaluate, parse_dim, symbol

NAMES = {"L": symbol("L"), "T": symbol("T")}


@pytest.mark.parametrize(
    "source, written",
    [
        ("L", "L"),
        ("4*L - 1", "4 * L - 1"),
        ("L//4", "L // 4"),
        ("-((-L)//4)", "-(-L // 4)"),
        ("-4*((-L)//4)", "-4 * (-L // 4)"),
        ("(L + 3)//4", "(L + 3) // 4"),
        ("2*(L//2)*T", "2 * T * (L // 2)"),
        ("L//2 + T", "L // 2 + T"),
        ("T - L//2", "T - L // 2"),
        ("L - 2*(L//2)", "L % 2"),
        ("-4*((-L)//4) - L", "-L % 4"),
        ("2*((L + 1)//2) - L", "-L % 2"),
        ("4*((L + 3)//4) - L", "-L % 4"),
        ("L + 1 - 3*((L + 1)//3)", "(L + 1) % 3"),
        ("4*((L + 2)//4) - L", "4 * ((L + 2) // 4) - L"),
        ("min(L, 4)//2", "min(4, L) // 2"),
    ],
)
def test_sizes(source, written):
    dim = parse_dim(source, NAMES)
    assert size_code(dim)[0] == written
    for sizes in ({"L": 1, "T": 1}, {"L": 6, "T": 5}, {"L": 11, "T": 8}):
        assert eval(written, {}, sizes) == evaluate(dim, sizes)


WINDOWS = """
rows: f32[B, -4*((-L)//4), 64] = pad(x, low=(0, 0, 0), high=(0, -4*((-L)//4) - L, 0), mode='constant', value=0.0)
parts: f32[B, -((-L)//4), 4, 64] = reshape(rows, shape=(B, -((-L)//4), 4, 64))
turned: f32[B, 4, -((-L)//4), 64] = transpose(parts, axes=(0, 2, 1, 3))
flat: f32[B, 4, -64*((-L)//4)] = reshape(turned, shape=(B, 4, -64*((-L)//4)))
ones: f32[B, -((-L)//4), 1] = full(shape=(B, -((-L)//4), 1), value=2.0, dtype=f32)
"""


def test_a_quotient_that_is_read_often_has_a_name():
    out = emitted(WINDOWS + "return flat, ones")
    assert "L4 = -(-L // 4)" in out.source
    assert out.source.count("// 4") == 1
    assert "(0, -L % 4)" in out.source


def test_one_that_is_read_once_has_none():
    out = emitted("\n".join(WINDOWS.splitlines()[:3]) + "\nreturn parts")
    assert "L4" not in out.source
