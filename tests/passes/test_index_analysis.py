"""What the index analysis says of a tensor is what its elements are, at every size."""

import numpy as np
import pytest
from index_elements import check_terms
from pass_tools import graph_of

from mlx_transpile.ir.dims import symbol
from mlx_transpile.ir.text import constants_of, parse_graph, print_graph  # noqa: F401
from mlx_transpile.passes.index_analysis import Analysis, Counted, analyse, describe


def terms(
    body: str,
    inputs: str = "x: f32[B, L, 4], pad: bool[B, L], past: i64[1], t: f32[T]",
    constants=None,
):
    """The last value's term as text, checked against the interpreter with all terms before it."""
    graph = graph_of(f"def forward({inputs}):\n{body}\n    return y", constants)
    check_terms(graph)
    return describe(Analysis().term(graph.outputs[0]))


ROWS = """
    r: i64[L] = arange(stop=L, dtype=i64)
    q: i64[L, 1] = expand_dims(r, axes=(1,))
"""

CASES = {
    "arange": ("    y: i64[3] = arange(start=2, stop=8, step=2, dtype=i64)", "2*$0 + 2"),
    "add": (ROWS + "    y: i64[L, L] = add(q, r)", "$0 + $1"),
    "subtract": (ROWS + "    y: i64[L, L] = subtract(q, r)", "$0 - $1"),
    "multiply": (ROWS + "    y: i64[L] = multiply(r, 3)", "3*$0"),
    "negative": (ROWS + "    y: i64[L] = negative(r)", "-$0"),
    "abs": (ROWS + "    y: i64[L] = abs(r)", "$0"),
    "floor_divide": (ROWS + "    y: i64[L] = floor_divide(r, 4)", "($0//4)"),
    "remainder": (ROWS + "    y: i64[L] = remainder(r, 4)", "$0 - 4*($0//4)"),
    "minimum": (ROWS + "    y: i64[L] = minimum(r, 2)", "min($0, 2)"),
    "slice": (ROWS + "    y: i64[L - 1] = slice(r, axis=0, start=1)", "$0 + 1"),
    "select": (ROWS + "    y: i64[()] = select(r, axis=0, index=-1)", "L - 1"),
    "flip": (ROWS + "    y: i64[L] = flip(r, axes=(0,))", "-$0 + L - 1"),
    "squeeze": (ROWS + "    y: i64[L] = squeeze(q, axes=(1,))", "$0"),
    "broadcast_to": (ROWS + "    y: i64[B, L] = broadcast_to(r, shape=(B, L))", "$1"),
    "reshape": (ROWS + "    y: i64[1, L, 1] = reshape(r, shape=(1, L, 1))", "$1"),
    "reshape_parts": (
        "    r: i64[12] = arange(stop=12, dtype=i64)\n    y: i64[3, 4] = reshape(r, shape=(3, 4))",
        "4*$0 + $1",
    ),
    "transpose": (
        ROWS + "    d: i64[L, L] = subtract(q, r)\n    y: i64[L, L] = transpose(d, axes=(1, 0))",
        "-$0 + $1",
    ),
    "tile": (
        "    r: i64[3] = arange(stop=3, dtype=i64)\n    y: i64[6] = tile(r, repeats=(2,))",
        "$0 - 3*($0//3)",
    ),
    "concatenate": (
        ROWS + "    s: i64[L] = add(r, L)\n    y: i64[2*L] = concatenate(r, s, axis=0)",
        "$0",
    ),
    "stack": (ROWS + "    s: i64[L] = add(r, 1)\n    y: i64[L, 2] = stack(r, s, axis=1)", "($0 if $1 == 0 else $0 + 1)"),
    "split": (
        "    r: i64[6] = arange(stop=6, dtype=i64)\n    a, y = split(r, sizes=(2, 4), axis=0, types=[i64[2], i64[4]])",
        "$0 + 2",
    ),
    "pad": (
        "    o: i64[L] = full(shape=(L,), value=0, dtype=i64)\n    y: i64[L + 1] = pad(o, low=(1,), high=(0,), value=1)",
        "(0 if $0 - 1 >= 0 else 1)",
    ),
    "slice_update": (
        "    o: i64[6] = full(shape=(6,), value=0, dtype=i64)\n    s: i64[2] = full(shape=(2,), value=7, dtype=i64)\n"
        "    y: i64[6] = slice_update(o, s, axis=0, start=4, stop=6)",
        "(7 if $0 - 4 >= 0 else 0)",
    ),
    "cumsum": ("    o: i64[B, L] = full(shape=(B, L), value=1, dtype=i64)\n    y: i64[B, L] = cumsum(o, axis=1)", "$1 + 1"),
    "equal": (ROWS + "    y: bool[L, L] = equal(q, r)", "$0 - $1 == 0"),
    "not_equal": (ROWS + "    y: bool[L, L] = not_equal(r, q)", "$0 - $1 != 0"),
    "less": (ROWS + "    y: bool[L, L] = less(r, q)", "$0 - $1 - 1 >= 0"),
    "less_equal": (ROWS + "    y: bool[L, L] = less_equal(r, q)", "$0 - $1 >= 0"),
    "greater": (ROWS + "    y: bool[L, L] = greater(r, q)", "-$0 + $1 - 1 >= 0"),
    "always": (ROWS + "    y: bool[L, 1] = greater_equal(q, 0)", "True"),
    "never": (ROWS + "    y: bool[L] = greater_equal(r, L)", "False"),
    "distance": (
        ROWS + "    d: i64[L, L] = subtract(q, r)\n    a: i64[L, L] = abs(d)\n    y: bool[L, L] = less_equal(a, 2)",
        "-$0 + $1 + 2 >= 0 and $0 - $1 + 2 >= 0",
    ),
    "invert": (ROWS + "    c: bool[L, L] = less_equal(r, q)\n    y: bool[L, L] = invert(c)", "-$0 + $1 - 1 >= 0"),
    "or": (
        ROWS + "    c: bool[L, L] = less_equal(r, q)\n    d: bool[L, L] = less(q, r)\n    y: bool[L, L] = bitwise_or(c, d)",
        "True",
    ),
    "xor": (
        ROWS + "    c: bool[L, L] = less_equal(r, q)\n    y: bool[L, L] = bitwise_xor(c, True)",
        "-$0 + $1 - 1 >= 0",
    ),
    "implied": (
        ROWS + "    c: bool[L, L] = less_equal(r, q)\n    s: i64[L, 1] = add(q, 3)\n    d: bool[L, L] = less_equal(r, s)\n"
        "    y: bool[L, L] = bitwise_and(c, d)",
        "$0 - $1 >= 0",
    ),
    "cast": (ROWS + "    c: bool[L, L] = less_equal(r, q)\n    y: f32[L, L] = cast(c, dtype=f32)", "(1.0 if $0 - $1 >= 0 else 0.0)"),
    "cast_back": (
        ROWS + "    c: bool[L, L] = less_equal(r, q)\n    f: i64[L, L] = cast(c, dtype=i64)\n    y: bool[L, L] = cast(f, dtype=bool)",
        "$0 - $1 >= 0",
    ),
    "where": (ROWS + "    c: bool[L, L] = less_equal(r, q)\n    y: f32[L, L] = where(c, 0.0, -1e30)", "(0.0 if $0 - $1 >= 0 else -1.0000000150474662e+30)"),
    "triu": (
        "    o: f32[L, T] = full(shape=(L, T), value=-1.0, dtype=f32)\n    y: f32[L, T] = triu(o, offset=1)",
        "(-1.0 if -$0 + $1 - 1 >= 0 else 0.0)",
    ),
    "tril": ("    o: bool[L, T] = full(shape=(L, T), value=True, dtype=bool)\n    y: bool[L, T] = tril(o, offset=0)", "$0 - $1 >= 0"),
    "eye": ("    y: bool[L, L] = eye(rows=L, columns=L, dtype=bool)", "$0 - $1 == 0"),
    "overflow": (
        "    o: f32[L] = full(shape=(L,), value=-3.4028234663852886e+38, dtype=f32)\n    y: f32[L] = add(o, o)",
        "-inf",
    ),
    "index": (
        ROWS + "    b: i64[B] = arange(stop=B, dtype=i64)\n    i: i64[B, 1, 1] = expand_dims(b, axes=(1, 2))\n"
        "    y: bool[B, 1, L] = index(pad, i, r, axes=(0, 1))",
        "pad[$0, $2]",
    ),
    "take": (ROWS + "    s: i64[L] = multiply(r, 2)\n    p: i64[2*L] = arange(start=5, stop=2*L + 5, dtype=i64)\n    y: i64[L] = take(p, s, axis=0)", "2*$0 + 5"),
    "gather": (
        ROWS + "    s: i64[L] = flip(r, axes=(0,))\n    y: i64[L] = gather(r, s, axis=0)",
        "-$0 + L - 1",
    ),
    "flat_take": (
        ROWS + "    b: i64[B] = arange(stop=B, dtype=i64)\n    i: i64[B, 1, 1] = expand_dims(b, axes=(1, 2))\n"
        "    s: i64[B, 1, 1] = multiply(i, L)\n    p: i64[B, 1, L] = add(r, s)\n"
        "    f: bool[B*L] = reshape(pad, shape=(B*L,))\n    y: bool[B, 1, L] = take(f, p, axis=0)",
        "pad[$0, $2]",
    ),
    "flat_take_of_other_rows": (
        ROWS + "    b: i64[B] = arange(stop=B, dtype=i64)\n    i: i64[B, 1, 1] = expand_dims(b, axes=(1, 2))\n"
        "    s: i64[B, 1, 1] = multiply(i, 2)\n    p: i64[B, 1, L] = add(r, s)\n"
        "    f: bool[B*L] = reshape(pad, shape=(B*L,))\n    y: bool[B, 1, L] = take(f, p, axis=0)",
        "pad[((2*$0 + $2)//L), -((2*$0 + $2)//L)*L + 2*$0 + $2]",
    ),
    "data": (ROWS + "    p: i64[L] = add(r, past)\n    y: i64[L] = multiply(r, past)", "y[$0]"),
    "data_and": (
        ROWS + "    c: bool[L, L] = less_equal(r, q)\n    d: bool[B, 1, L] = expand_dims(pad, axes=(1,))\n    y: bool[B, L, L] = bitwise_and(c, d)",
        "$1 - $2 >= 0 and pad[$0, $2]",
    ),
    "nan": ("    y: bool[B, L, 4] = equal(x, x)", "y[$0, $1, $2]"),
    "literal": ("    y: i64[3] = literal(values=(4, 3, 2), dtype=i64)", "-$0 + 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_terms(name):
    body, expected = CASES[name]
    assert terms(body) == expected


PACKED = """
    r: i64[L] = arange(stop=L, dtype=i64)
    p: i64[B, L] = broadcast_to(r, shape=(B, L))
    first: i64[B, 1] = slice(p, axis=1, stop=1)
    dummy: i64[B, 1] = subtract(first, 1)
    longer: i64[B, L + 1] = concatenate(dummy, p, axis=1)
    late: i64[B, L] = slice(longer, axis=1, start=1)
    early: i64[B, L] = slice(longer, axis=1, stop=-1)
    diff: i64[B, L] = subtract(late, early)
    jumps: bool[B, L] = not_equal(diff, 1)
    count: i32[B, L] = cast(jumps, dtype=i32)
    sequence: i32[B, L] = cumsum(count, axis=1)
    of_query: i32[B, L, 1] = expand_dims(sequence, axes=(2,))
    of_key: i32[B, 1, L] = expand_dims(sequence, axes=(1,))
    y: bool[B, L, L] = equal(of_query, of_key)
"""


def test_counted_positions_are_one_sequence():
    assert terms(PACKED) == "True"


def test_positions_with_a_jump_are_not_one_sequence():
    jump = PACKED.replace("not_equal(diff, 1)", "not_equal(diff, 2)")
    assert terms(jump) != "True"


def test_positions_that_are_data_stay_data():
    text = PACKED.split("\n", 3)[3]
    assert terms(text, "p: i64[B, L], x: f32[B]") == "y[$0, $1, $2]"


# ---- parameters


def of_constant(data) -> str:
    shape = ", ".join(map(str, data.shape))
    kind = {"b": "bool", "i": "i64", "f": "f32"}[data.dtype.kind]
    graph = graph_of(
        f"def forward(x: f32[B]):\n    y: {kind}[{shape}] = slice(param('m', {kind}[{shape}], recipe=constant('d'), buffer=True), axis=0)\n    return y, x",
        {"d": data},
    )
    check_terms(graph)
    return describe(Analysis().term(graph.outputs[0]))


def test_a_buffer_of_a_lower_triangle():
    assert of_constant(np.tri(8, dtype=bool)[None, None]) == "$2 - $3 >= 0"


def test_a_buffer_of_minus_infinity_above_the_diagonal():
    data = np.triu(np.full((5, 5), -np.inf, np.float32), 1)
    assert of_constant(data) == "(0.0 if $0 - $1 >= 0 else -inf)"


def test_a_buffer_of_positions():
    assert of_constant(np.arange(9)[None]) == "$1"
    assert of_constant(np.arange(12).reshape(3, 4) * 2 + 1) == "8*$0 + 2*$1 + 1"


def test_a_table_without_a_rule_is_data():
    assert of_constant(np.array([[0, 3, 1], [1, 2, 2]])).startswith("m[")
    assert of_constant(np.array([[True, False], [False, True]])).startswith("m[")


# ---- queries


def test_counted():
    graph = graph_of("""
    def forward(past: i64[1], x: f32[B, L]):
        r: i64[L] = arange(stop=L, dtype=i64)
        p: i64[1, L] = expand_dims(r, axes=(0,))
        later: i64[1, L] = add(p, 3)
        cached: i64[1, L] = add(p, past)
        twice: i64[1, L] = multiply(p, 2)
        grown: i64[1, L] = add(p, B)
        return later, cached, twice, grown, x
    """)
    later, cached, twice, grown, x = graph.outputs
    positions = analyse(graph)
    assert positions.counted(later) == Counted(1, 3)
    assert positions.counted(cached) == Counted(1, 0, graph.inputs[0])
    assert positions.counted(twice) is None
    assert positions.counted(grown) == Counted(1, symbol("B"))
    assert positions.counted(x) is None


def test_constant():
    graph = graph_of("""
    def forward(x: f32[B, L]):
        r: i64[L] = arange(stop=L, dtype=i64)
        ones: bool[L] = greater_equal(r, 0)
        none: i64[L] = subtract(r, r)
        size: i64[L] = full(shape=(L,), value=B, dtype=i64)
        return r, ones, none, size, x
    """)
    r, ones, none, size, x = graph.outputs
    positions = Analysis()
    assert positions.constant(ones) is True and positions.constant(none) == 0
    assert positions.constant(size) == symbol("B")
    assert positions.constant(r) is None and positions.constant(x) is None
