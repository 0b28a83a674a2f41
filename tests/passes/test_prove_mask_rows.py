"""The guard of attention against empty mask rows goes where the first key is always visible."""

import pytest

from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.verify import verify
from mlx_transpile.passes.prove_mask_rows import prove_mask_rows

HEAD = """@graph('G')
def forward(q: f32[B, 2, L, 4], pad: bool[B, L]):
    p: i64[L] = arange(stop=L, dtype=i64)
    rows: i64[L, 1] = expand_dims(p, axes=(1,))
    data: bool[B, 1, 1, L] = expand_dims(pad, axes=(1, 2))
    causal: bool[L, L] = less_equal(p, rows)
    first: i64[L, 1] = subtract(rows, 3)
    window: bool[L, L] = greater(p, first)
"""
TAIL = """    mask: bool[B, 1, L, L] = bitwise_and({0}, {1})
    y: f32[B, 2, L, 4] = attention(q, q, q, mask, scale=0.5, empty_rows=True)
    return y
"""


def run(body: str) -> tuple[bool, str]:
    graph = parse_graph(HEAD + body)
    verify(graph)
    changed = prove_mask_rows(graph)
    verify(graph)
    return changed, print_graph(graph)


def test_causal_and_padding_show_the_first_key():
    changed, text = run(TAIL.format("causal", "data"))
    assert changed and "empty_rows" not in text


def test_a_mask_of_ones_shows_the_first_key():
    ones = "    ones: bool[L, L] = full(shape=(L, L), value=True, dtype=bool)\n"
    assert run(ones + TAIL.format("ones", "data"))[0]


@pytest.mark.parametrize(
    "body",
    [
        TAIL.format("window", "data"),
        "    both: bool[L, L] = bitwise_and(causal, window)\n" + TAIL.format("both", "data"),
        "    up: bool[L, L] = greater_equal(p, rows)\n" + TAIL.format("up", "data"),
        "    b: bool[L, L] = less(p, rows)\n" + TAIL.format("b", "data"),
    ],
)
def test_rows_that_may_be_empty_keep_the_guard(body):
    changed, text = run(body)
    assert not changed and "empty_rows=True" in text


def test_in_a_window_every_query_sees_itself():
    both = "    both: bool[L, L] = bitwise_and(causal, window)\n"
    tail = TAIL.replace("    mask: bool[B, 1, L, L] = bitwise_and({0}, {1})\n", "")
    changed, text = run(both + tail.replace("mask,", "both,"))
    assert changed and "empty_rows" not in text


def test_data_that_pairs_queries_with_keys_promises_nothing():
    """Chunks of 4 that begin where a row's padding ends: the first key is in the first chunk."""
    body = """    late: i64[B, L] = subtract(p, start)
    chunks: i64[B, L] = floor_divide(late, 4)
    of_keys: i64[B, 1, 1, L] = expand_dims(chunks, axes=(1, 2))
    of_queries: i64[B, 1, L, 1] = expand_dims(chunks, axes=(1, 3))
    chunk: bool[B, 1, L, L] = equal(of_keys, of_queries)
    both: bool[B, 1, L, L] = bitwise_and(chunk, causal)
"""
    head = HEAD.replace("pad: bool[B, L]", "pad: bool[B, L], start: i64[B, 1]")
    graph = parse_graph(head + body + TAIL.format("both", "data"))
    verify(graph)
    assert not prove_mask_rows(graph) and "empty_rows=True" in print_graph(graph)
