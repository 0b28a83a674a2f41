"""Rotary embeddings: raised in all spellings, refused where the tables are not what they seem."""

import mlx.core as mx
import numpy as np
import pytest
from pass_tools import applied, becomes, check, graph_of

from mlx_transpile.ir.interpret import interpret
from mlx_transpile.passes.pipeline import run
from mlx_transpile.passes.raise_rope import base_of

PASS = "raise_rope"


def inverse(base: float, dims: int) -> np.ndarray:
    """Inverse frequencies as float32 code computes them."""
    return 1.0 / np.float32(base) ** (np.arange(0, dims, 2, dtype=np.float32) / np.float32(dims))


FREQS = {"f": inverse(10000.0, 8)}
INV = "param('rotary.inv_freq', f32[4], recipe=constant('f'))"

TABLES = f"""
    p: i32[L] = arange(stop=L, dtype=i32)
    q: f32[L] = cast(p, dtype=f32)
    e: f32[L, 1] = expand_dims(q, axes=(1,))
    g: f32[L, 4] = multiply(e, {INV})
    a: f32[L, 8] = concatenate(g, g, axis=1)
    c: f32[L, 8] = cos(a)
    s: f32[L, 8] = sin(a)
"""
HALVES = f"""
def forward(x: f32[B, 2, L, 8]):
{TABLES.rstrip()}
    one, two = split(x, sizes=(4, 4), axis=3, types=[f32[B, 2, L, 4], f32[B, 2, L, 4]])
    n: f32[B, 2, L, 4] = negative(two)
    j: f32[B, 2, L, 8] = concatenate(n, one, axis=3)
    u: f32[B, 2, L, 8] = multiply(x, c)
    v: f32[B, 2, L, 8] = multiply(j, s)
    y: f32[B, 2, L, 8] = add(u, v)
    return y
"""


def test_halves_that_turn():
    becomes(
        HALVES,
        """
        def forward(x: f32[B, 2, L, 8]):
            y: f32[B, 2, L, 8] = rope(x, None, dims=8, by=["rope"])
            return y
        """,
        PASS,
        constants=FREQS,
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("multiply(x, c)", "multiply(c, x)"),
        ("multiply(j, s)", "multiply(s, j)"),
        ("add(u, v)", "add(v, u)"),
        (f"multiply(e, {INV})", f"multiply({INV}, e)"),
        ("g: f32[L, 4] = multiply(e, " + INV + ")",
         f"r: f32[1, 4] = expand_dims({INV}, axes=(0,))\n    g: f32[L, 4] = matmul(e, r)"),
        ("g: f32[L, 4] = multiply(e, " + INV + ")",
         f"g: f32[L, 4] = einsum(q, {INV}, subscripts='i,j->ij')"),
    ],
)  # fmt: skip
def test_spelled_otherwise(old, new):
    assert old in HALVES
    text, _ = applied(HALVES.replace(old, new), PASS, constants=FREQS)
    assert "rope(x, None, dims=8" in text and "cos" not in text


def test_frequencies_kept_in_half_precision():
    """A model cast to bfloat16 as a whole: its angles are float32 all the same."""
    half = "param('rotary.inv_freq', bf16[4])"
    cast = f"w: f32[4] = cast({half}, dtype=f32)\n    g: f32[L, 4] = multiply(e, w)"
    text = HALVES.replace(f"g: f32[L, 4] = multiply(e, {INV})", cast)
    found, _ = applied(text, PASS)
    assert f"cast({half}, dtype=f32" in found and "rope(x, freqs, dims=8" in found
    assert "cos" not in found


def test_angles_in_half_precision_are_refused():
    text = HALVES.replace(INV, "param('rotary.inv_freq', bf16[4])")
    text = text.replace("f32", "bf16")
    assert _reasons(text) == {"the angles are rounded to half precision"}


def test_positions_from_an_offset():
    text = HALVES.replace("q: f32[L] = cast(p, dtype=f32)",
                          "t: i32[L] = add(p, 5)\n    q: f32[L] = cast(t, dtype=f32)")  # fmt: skip
    assert "dims=8, offset=5" in applied(text, PASS, constants=FREQS)[0]
    text = HALVES.replace("p: i32[L] = arange(stop=L, dtype=i32)",
                          "o: i32[L + 4] = arange(stop=L + 4, dtype=i32)\n"
                          "    p: i32[L] = slice(o, axis=0, start=4)")  # fmt: skip
    assert "dims=8, offset=4" in applied(text, PASS, constants=FREQS)[0]


def test_neighbours_that_turn():
    text = HALVES.replace("concatenate(g, g, axis=1)", "repeat(g, repeats=2, axis=1)")
    at = text.index("    one, two")
    text = (
        text[:at]
        + """    r: f32[B, 2, L, 4, 2] = reshape(x, shape=(B, 2, L, 4, 2))
    one: f32[B, 2, L, 4] = select(r, axis=4, index=0)
    two: f32[B, 2, L, 4] = select(r, axis=4, index=1)
    n: f32[B, 2, L, 4] = negative(two)
    k: f32[B, 2, L, 4, 2] = stack(n, one, axis=4)
    j: f32[B, 2, L, 8] = reshape(k, shape=(B, 2, L, 8))
"""
        + text[text.index("    u: ") :]
    )
    assert "rope(x, None, dims=8, traditional=True" in applied(text, PASS, constants=FREQS)[0]
    sliced = text.replace("select(r, axis=4, index=0)", "slice(x, axis=3, step=2)")
    sliced = sliced.replace("select(r, axis=4, index=1)", "slice(x, axis=3, start=1, step=2)")
    assert "rope(x, None, dims=8, traditional=True" in applied(sliced, PASS, constants=FREQS)[0]
    wrong = text.replace("repeat(g, repeats=2, axis=1)", "concatenate(g, g, axis=1)")
    assert _reasons(wrong) == {"the angles are laid out for other pairs than those that turn"}


def test_only_the_first_features_turn():
    text = HALVES.replace("x: f32[B, 2, L, 8]", "z: f32[B, 2, L, 20]")
    text = text.replace("    one, two", "    x: f32[B, 2, L, 8] = slice(z, axis=3, stop=8)\n"
                        "    rest: f32[B, 2, L, 12] = slice(z, axis=3, start=8)\n    one, two")  # fmt: skip
    text = text.replace("    return y", "    w: f32[B, 2, L, 20] = concatenate(y, rest, axis=3)\n"
                        "    return w")  # fmt: skip
    becomes(
        text,
        """
        def forward(z: f32[B, 2, L, 20]):
            w: f32[B, 2, L, 20] = rope(z, None, dims=8, by=["rope_partial"])
            return w
        """,
        PASS,
        constants=FREQS,
    )
    apart = text.replace("slice(z, axis=3, start=8)", "slice(z, axis=3, stop=12)")
    found, _ = applied(apart, PASS, constants=FREQS)
    assert "concatenate" in found
    assert "what turns and the rest are not one tensor in its order" in _reasons(apart)


def test_length_before_heads():
    """(batch, length, heads, size): the tables broadcast over heads."""
    text = HALVES.replace("B, 2, L", "B, L, 2")
    text = text.replace("multiply(x, c)", "multiply(x, c2)").replace(
        "multiply(j, s)", "multiply(j, s2)"
    )
    text = text.replace("    one, two", "    c2: f32[L, 1, 8] = expand_dims(c, axes=(1,))\n"
                        "    s2: f32[L, 1, 8] = expand_dims(s, axes=(1,))\n    one, two")  # fmt: skip
    found, _ = applied(text, PASS, constants=FREQS)
    assert found.count("transpose(") == 2 and "rope(" in found and "cos" not in found


def test_a_factor_of_the_tables_stays():
    """attention_scaling of long-context variants."""
    text = HALVES.replace(
        "c: f32[L, 8] = cos(a)", "c0: f32[L, 8] = cos(a)\n    c: f32[L, 8] = multiply(c0, 1.25)"
    )
    assert _reasons(text) == {"cosine and sine are of different angles"}
    text = text.replace(
        "s: f32[L, 8] = sin(a)", "s0: f32[L, 8] = sin(a)\n    s: f32[L, 8] = multiply(s0, 1.25)"
    )
    found, _ = applied(text, PASS, constants=FREQS)
    assert "rope(x" in found and "multiply(y, 1.25" in found


def test_frequencies_that_have_no_base():
    scaled = FREQS["f"].copy()
    scaled[2:] /= 8
    found, _ = applied(HALVES, PASS, constants={"f": scaled})
    assert "divide(1.0, param('rotary.inv_freq'" in found and "rope(x, freqs, dims=8" in found


def test_scaled_frequencies():
    found, _ = applied(HALVES, PASS, constants={"f": FREQS["f"] / 8})
    assert "rope(x, None, dims=8, scale=0.125" in found


@pytest.mark.parametrize("base", [10000.0, 500000.0, 1e6, 5e6, 11158839.925])
@pytest.mark.parametrize("dims", [4, 8, 48, 64, 80, 96, 128, 256])
def test_base_of(base, dims):
    found, scale = base_of(inverse(base, dims))
    assert found == pytest.approx(base, rel=1e-6) and scale == 1.0
    if base != 11158839.925:
        assert found == base
    assert base_of(inverse(base, dims) / 4) == (found, 0.25)


def test_no_base():
    freqs = inverse(10000.0, 64)
    for place in (1, 16, 31):
        wrong = freqs.copy()
        wrong[place] *= 1 + 4e-6
        assert base_of(wrong) is None
    assert base_of(-freqs) is None
    assert base_of(np.ones(4, np.float32)) is None
    assert base_of(np.full(4, np.nan, np.float32)) is None


# ---- refusals


def _reasons(text: str) -> set[str]:
    graph = graph_of(text, FREQS)
    return {entry.reason for r in check(graph, PASS) for entry in r.log if entry.reason}


def test_positions_that_are_an_input():
    text = HALVES.replace(
        "def forward(x: f32[B, 2, L, 8])", "def forward(x: f32[B, 2, L, 8], p: i64[L])"
    )
    text = text.replace("    p: i32[L] = arange(stop=L, dtype=i32)\n", "")
    assert _reasons(text) == {"the positions come from the input p"}


def test_positions_that_are_data():
    text = HALVES.replace("q: f32[L] = cast(p, dtype=f32)",
                          "k: i32[L] = cumsum(p, axis=0)\n    q: f32[L] = cast(k, dtype=f32)")  # fmt: skip
    assert _reasons(text) == {"the positions or frequencies come from cumsum, which is data"}


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("negative(two)", "negative(one)", "the halves are not paired as in a rotation"),
        ("concatenate(n, one, axis=3)", "concatenate(n, two, axis=3)",
         "the halves are not paired as in a rotation"),
        ("arange(stop=L, dtype=i32)", "arange(stop=2 * L, step=2, dtype=i32)",
         "the positions do not count by one"),
        ("c: f32[L, 8] = cos(a)\n    s: f32[L, 8] = sin(a)",
         "s: f32[L, 8] = cos(a)\n    c: f32[L, 8] = sin(a)", "cosine and sine are swapped"),
        ("s: f32[L, 8] = sin(a)", "s: f32[L, 8] = cos(a)", "the tables are not a cosine and a sine"),
        ("multiply(x, c)", "multiply(j, c)", "the halves and the tensor are not of one tensor"),
        ("s: f32[L, 8] = sin(a)",
         "p1: i32[L] = add(p, 1)\n    q1: f32[L] = cast(p1, dtype=f32)\n"
         "    e1: f32[L, 1] = expand_dims(q1, axes=(1,))\n"
         f"    g1: f32[L, 4] = multiply(e1, {INV})\n"
         "    a1: f32[L, 8] = concatenate(g1, g1, axis=1)\n    s: f32[L, 8] = sin(a1)",
         "cosine and sine are of different angles"),
        ("concatenate(g, g, axis=1)", "repeat(g, repeats=2, axis=1)",
         "the angles are laid out for other pairs than those that turn"),
        ("q: f32[L] = cast(p, dtype=f32)",
         "h: f16[L] = cast(p, dtype=f16)\n    q: f32[L] = cast(h, dtype=f32)",
         "the angles are rounded to half precision"),
        ("    return y", "    return (y, j)", "the result of concatenate is used elsewhere"),
    ],
)  # fmt: skip
def test_refused(old, new, reason):
    assert old in HALVES
    assert reason in _reasons(HALVES.replace(old, new))


def test_two_rotations_share_their_tables():
    second = "".join(
        line.replace("x", "x2").replace("one", "one2").replace("two", "two2")
        .replace("n:", "n2:").replace("(n,", "(n2,").replace("j:", "j2:").replace("(j,", "(j2,")
        .replace("u:", "u2:").replace("v:", "v2:").replace("y:", "y2:").replace("(u, v)", "(u2, v2)")
        .replace("ax2is", "axis") + "\n"
        for line in HALVES[HALVES.index("    one, two") : HALVES.index("    return")].splitlines()
    )  # fmt: skip
    text = HALVES.replace("x: f32[B, 2, L, 8])", "x: f32[B, 2, L, 8], x2: f32[B, 2, L, 8])")
    text = text.replace("    return y", f"{second}    return (y, y2)")
    found, _ = applied(text, PASS, constants=FREQS)
    assert found.count("rope(") == 2 and "sin(" not in found


# ---- precision


@pytest.mark.parametrize("length, tolerance", [(64, 1e-5), (2048, 3e-4)])
def test_error_grows_with_the_position(length, tolerance):
    """Angles in float32 are rounded by 2^-24 of themselves: 1.2e-4 at 2048, in the source as well.

    With the frequencies themselves instead of a base the emitted code makes the same errors as the
    source.
    """
    freqs = inverse(10000.0, 8)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 2, length, 8)).astype(np.float32)
    expected = interpret(graph_of(HALVES, {"f": freqs}), [x], {})
    options = {"traditional": False, "scale": 1.0, "offset": 0}
    based = np.array(mx.fast.rope(mx.array(x), 8, base=10000.0, **options))
    given = np.array(mx.fast.rope(mx.array(x), 8, base=None, freqs=1 / mx.array(freqs), **options))
    np.testing.assert_allclose(based, expected, atol=tolerance, rtol=0)
    np.testing.assert_allclose(given, expected, atol=1e-5, rtol=0)


def test_the_log_says_where():
    graph = graph_of(HALVES, FREQS)
    (done,) = run(graph, passes=[PASS])
    assert [entry.reason for entry in done.log] == [None]


# ---- other spellings of the rotation

SUMS = f"""
def forward(x: f32[B, 2, L, 8]):
{TABLES.rstrip()}
    ch: f32[L, 4] = slice(c, axis=1, stop=4)
    sh: f32[L, 4] = slice(s, axis=1, start=4)
    a, b = split(x, sizes=(4, 4), axis=3, types=[f32[B, 2, L, 4], f32[B, 2, L, 4]])
    ac: f32[B, 2, L, 4] = multiply(a, ch)
    bs: f32[B, 2, L, 4] = multiply(b, sh)
    bc: f32[B, 2, L, 4] = multiply(b, ch)
    sa: f32[B, 2, L, 4] = multiply(a, sh)
    m: f32[B, 2, L, 4] = subtract(ac, bs)
    n: f32[B, 2, L, 4] = add(bc, sa)
    y: f32[B, 2, L, 8] = concatenate(m, n, axis=3)
    return y
"""


def test_two_sums():
    assert "rope(x, None, dims=8, by" in applied(SUMS, PASS, constants=FREQS)[0]
    other = SUMS.replace("add(bc, sa)", "add(sa, bc)").replace("multiply(b, ch)", "multiply(ch, b)")
    assert "rope(x, None, dims=8, by" in applied(other, PASS, constants=FREQS)[0]
    pairs = SUMS.replace(
        "    y: f32[B, 2, L, 8] = concatenate(m, n, axis=3)",
        "    k: f32[B, 2, L, 4, 2] = stack(m, n, axis=4)\n"
        "    y: f32[B, 2, L, 8] = reshape(k, shape=(B, 2, L, 8))",
    )
    assert "the halves are not paired as in a rotation" in _reasons(pairs)
    pairs = pairs.replace(
        "a, b = split(x, sizes=(4, 4), axis=3, types=[f32[B, 2, L, 4], f32[B, 2, L, 4]])",
        "a: f32[B, 2, L, 4] = slice(x, axis=3, step=2)\n"
        "    b: f32[B, 2, L, 4] = slice(x, axis=3, start=1, step=2)",
    )
    found, _ = applied(pairs, PASS, constants=FREQS)
    assert "rope(x, None, dims=8, traditional=True" in found


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("multiply(b, sh)", "multiply(a, sh)", "the two sums are not of the same halves and angles"),
        ("add(bc, sa)", "add(bc, bs)", "the two sums are not of the same halves and angles"),
        ("concatenate(m, n, axis=3)", "concatenate(n, m, axis=3)", None),
        ("subtract(ac, bs)", "subtract(bs, ac)", "cosine and sine are swapped"),
        ("slice(c, axis=1, stop=4)", "slice(c, axis=1, start=2, stop=6)",
         "a part of the frequencies is taken"),
    ],
)  # fmt: skip
def test_two_sums_refused(old, new, reason):
    text = SUMS.replace(old, new)
    if reason is None:
        assert "cos" in applied(text, PASS, constants=FREQS)[0]
    else:
        assert reason in _reasons(text)


COMPLEX = f"""
def forward(x: f32[B, L, 16]):
{TABLES[: TABLES.index("    a:")].rstrip()}
    c: f32[L, 4] = cos(g)
    s: f32[L, 4] = sin(g)
    w: c64[L, 4] = complex(c, s)
    w1: c64[L, 1, 4] = expand_dims(w, axes=(1,))
    r: f32[B, L, 2, 4, 2] = reshape(x, shape=(B, L, 2, 4, 2))
    z: c64[B, L, 2, 4] = as_complex(r)
    t: c64[B, L, 2, 4] = multiply(z, w1)
    v: f32[B, L, 2, 4, 2] = as_real(t)
    y: f32[B, L, 2, 8] = reshape(v, shape=(B, L, 2, 8))
    return y
"""


def test_complex_numbers():
    found, _ = applied(COMPLEX, PASS, constants=FREQS)
    assert "traditional=True" in found and "complex" not in found
    assert "traditional=True" in applied(
        COMPLEX.replace("multiply(z, w1)", "multiply(w1, z)"), PASS, constants=FREQS
    )[0]  # fmt: skip
    assert "the complex numbers are no cosine and sine of the same angles" in _reasons(
        COMPLEX.replace("complex(c, s)", "complex(s, c)")
    )


def test_frequencies_that_stand_in_the_code():
    """Exporters compute them; a short list is written out."""
    numbers = tuple(float(f) for f in inverse(10000.0, 8))
    line = f"    w: f32[4] = literal(values={numbers}, dtype=f32)\n"
    text = HALVES.replace(INV, "w").replace("    p: i32[L]", f"{line}    p: i32[L]")
    assert "rope(x, None, dims=8, by=" in applied(text, PASS, "dce")[0]
    other = text.replace(f"values={numbers}", f"values={numbers[::-1]}")
    assert "rope(x, freqs, dims=8" in applied(other, PASS, "dce")[0]
    whole = text.replace("f32[4] = literal", "f64[4] = literal").replace(
        "dtype=f32)\n", "dtype=f64)\n", 1
    )
    whole = whole.replace("multiply(e, w)", "multiply(e, v)").replace(
        "    p: i32[L]", "    v: f32[4] = cast(w, dtype=f32)\n    p: i32[L]"
    )
    assert "the frequencies in the code are not float32" in _reasons(whole)


def test_frequencies_that_are_stored_as_a_column():
    """Exporters fold the views of the frequencies: [1, n, 1] times the positions [1, 1, L]."""
    column = "param('rotary.inv_freq', f32[1, 4, 1], recipe=constant('f'))"
    text = HALVES.replace(
        f"    e: f32[L, 1] = expand_dims(q, axes=(1,))\n    g: f32[L, 4] = multiply(e, {INV})",
        f"    e: f32[1, 1, L] = expand_dims(q, axes=(0, 1))\n    m: f32[1, 4, L] = matmul({column}, e)\n"
        "    t: f32[1, L, 4] = transpose(m, axes=(0, 2, 1))\n    g: f32[L, 4] = squeeze(t, axes=(0,))",
    )
    stored = {"f": FREQS["f"].reshape(1, 4, 1)}
    assert "rope(x, None, dims=8, by=" in applied(text, PASS, "dce", constants=stored)[0]
    turned = {"f": FREQS["f"][::-1].copy().reshape(1, 4, 1)}
    assert "rope(x, freqs, dims=8" in applied(text, PASS, "dce", constants=turned)[0]


def test_frequencies_that_differ_from_head_to_head():
    table = "param('rotary.inv_freq', f32[2, 4], recipe=constant('f'))"
    text = HALVES.replace(
        "e: f32[L, 1] = expand_dims(q, axes=(1,))", "e: f32[L, 1, 1] = expand_dims(q, axes=(1, 2))"
    )
    text = text.replace(
        f"g: f32[L, 4] = multiply(e, {INV})",
        f"g2: f32[L, 2, 4] = multiply(e, {table})\n    g: f32[L, 4] = select(g2, axis=1, index=0)",
    )
    graph = graph_of(text, {"f": np.stack([FREQS["f"]] * 2)})
    reasons = [entry.reason for r in check(graph, PASS) for entry in r.log if entry.reason]
    assert reasons
