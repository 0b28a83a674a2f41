"""Indexing by counting positions becomes a view; anything else stays."""

import numpy as np
import pytest
from pass_tools import becomes, unchanged

from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.verify import verify
from mlx_transpile.passes.simplify_indexing import simplify_indexing

HEAD = "@graph('G')\ndef forward(x: f32[B, L, 4]):\n    b: i64[B] = arange(stop=B, dtype=i64)\n    l: i64[L] = arange(stop=L, dtype=i64)\n"


def run(body: str):
    graph = parse_graph(HEAD + body)
    verify(graph)
    x = np.random.default_rng(0).standard_normal((3, 3, 4)).astype(np.float32)
    before = interpret(graph, [x], {})
    changed = simplify_indexing(graph)
    verify(graph)
    np.testing.assert_array_equal(before, interpret(graph, [x], {}))
    return changed, print_graph(graph)


def test_counting_indices_are_new_axes():
    changed, text = run(
        "    i: i64[B, 1, 1] = expand_dims(b, axes=(1, 2))\n    j: i64[1, 1, L] = expand_dims(l, axes=(0, 1))\n"
        "    y: f32[B, 1, L, 4] = index(x, i, j, axes=(0, 1))\n    return y\n"
    )
    assert changed and "expand_dims(x, axes=(1,)" in text and " index(" not in text


def test_swapped_places_transpose():
    changed, text = run(
        "    i: i64[1, B] = expand_dims(b, axes=(0,))\n    j: i64[L, 1] = expand_dims(l, axes=(1,))\n"
        "    y: f32[L, B, 4] = index(x, i, j, axes=(0, 1))\n    return y\n"
    )
    assert changed and "transpose(x, axes=(1, 0, 2)" in text


@pytest.mark.parametrize(
    "body",
    [
        "    i: i64[B] = add(b, 0)\n    j: i64[B] = multiply(b, 0)\n    y: f32[B, 4] = index(x, i, j, axes=(0, 1))\n    return y\n",
        "    k: i64[2] = arange(start=1, stop=3, dtype=i64)\n    i: i64[2, 1] = expand_dims(k, axes=(1,))\n    j: i64[1, L] = expand_dims(l, axes=(0,))\n    y: f32[2, L, 4] = index(x, i, j, axes=(0, 1))\n    return y\n",
    ],
)
def test_other_indices_stay(body):
    assert not run(body)[0]


@pytest.mark.parametrize("place, ends", [(-1, "start=-1"), (0, "stop=1"), (2, "start=2, stop=3")])
def test_one_row_by_its_number_is_a_slice(place, ends):
    becomes(
        f"""
        def forward(x: f32[3, L]):
            row: i64[1] = full(shape=(1,), value={place}, dtype=i64)
            y: f32[1, L] = index(x, row, axes=(0,))
            return y
        """,
        f"""
        def forward(x: f32[3, L]):
            y: f32[1, L] = slice(x, axis=0, {ends})
            return y
        """,
        "simplify_indexing",
    )


def test_a_row_that_may_not_be_there_is_indexed():
    unchanged(
        """
        def forward(x: f32[L, 4]):
            row: i64[1] = full(shape=(1,), value=1, dtype=i64)
            y: f32[1, 4] = index(x, row, axes=(0,))
            return y
        """,
        "simplify_indexing",
    )
