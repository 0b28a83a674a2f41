"""Call trees as Python: parentheses, idioms, literals."""

import pytest

from mlx_transpile.codegen.render import render
from mlx_transpile.ir import tree as t
from mlx_transpile.ir.dims import symbol

A, B, C = t.Operand(0), t.Operand(1), t.Operand(2)
L = symbol("L")


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        (t.infix("*", A, t.infix("*", B, C)), "a * (b * c)"),
        (t.infix("*", t.infix("*", A, B), C), "a * b * c"),
        (t.infix("-", A, t.infix("+", B, C)), "a - (b + c)"),
        (t.infix("+", A, t.infix("*", B, C)), "a + b * c"),
        (t.infix("*", t.infix("+", A, B), C), "(a + b) * c"),
        (t.infix("**", t.Prefix("-", A), 2), "(-a) ** 2"),
        (t.Prefix("-", t.infix("**", A, 2)), "-a ** 2"),
        (t.infix("**", t.infix("**", A, 2), 3), "(a ** 2) ** 3"),
        (t.infix("&", t.infix("==", A, B), C), "(a == b) & c"),
        (t.infix("==", t.infix("==", A, B), C), "(a == b) == c"),
        (t.method(t.infix("@", A, B), "reshape", L, -1), "(a @ b).reshape(L, -1)"),
        (t.call("mx.softmax", A, axis=-1), "mx.softmax(a, axis=-1)"),
        (t.Index(A, (t.Slice(), t.NEW_AXIS)), "a[:, None]"),
        (t.Index(A, (t.ELLIPSIS, t.Slice(1, None, 2))), "a[..., 1::2]"),
        (t.Index(t.Index(A, (t.Slice(), t.Slice(0, L))), (t.Slice(1),)), "a[1:, 0:L]"),
        (t.Index(t.Index(A, (t.Slice(2),)), (t.Slice(1),)), "a[2:][1:]"),
        (t.Index(t.Index(A, (t.NEW_AXIS,)), (t.Slice(1),)), "a[None][1:]"),
        (t.infix("+", A, 1e-06), "a + 1e-06"),
        (t.call("mx.full", (2, 3), float("-inf")), "mx.full((2, 3), -mx.inf)"),
        (t.call("mx.array", float("nan")), "mx.array(mx.nan)"),
        (t.infix("-", A, -1.5), "a - -1.5"),
        (t.call("f", "x\n\"'\\"), "f('x\\n\"\\'\\\\')"),
        (t.call("mx.concatenate", t.arrays([A, B]), axis=1), "mx.concatenate([a, b], axis=1)"),
        (t.call("mx.zeros", (L,)), "mx.zeros((L,))"),
        (t.Element(t.call("mx.split", A, 2), 1), "mx.split(a, 2)[1]"),
    ],
)
def test_render(tree, code):
    assert render(tree, ["a", "b", "c"]) == code
