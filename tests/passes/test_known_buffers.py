"""Whole-number buffers that count, or are one number, stand in the code."""

import numpy as np
import pytest
from pass_tools import graph_of, text_of

from mlx_transpile.passes import pipeline

READS = """
def forward(x: f32[B, 8, 4]):
    with module("embed", "Embed"):
        with module("embed.rows", "Rows"):
            rows: f32[1, 8, 4] = embedding(param("embed.rows.weight", f32[8, 4]), param("embed.ids", i64[1, 8], buffer=True))
        y: f32[B, 8, 4] = add(x, rows)
    return y
"""


def read(numbers) -> tuple[str, dict]:
    graph = graph_of(READS)
    graph.tensors = {"embed.ids": np.array([numbers], np.int64)}
    pipeline.run(graph, passes=["known_buffers"], verify_each=True)
    return text_of(graph), graph.facts


@pytest.mark.parametrize("numbers", [range(8), range(2, 10), range(14, -2, -2)])
def test_positions_are_counted_in_the_module_that_has_them(numbers):
    text, facts = read(list(numbers))
    assert facts == {"embed.ids": numbers}
    assert f"arange(start={numbers.start}, " in text or not numbers.start
    lines = text.splitlines()
    assert lines[2].startswith("        ids: i64[8] = arange(")
    assert lines[3].startswith("        ids__2: i64[1, 8] = expand_dims(ids, axes=(0,))")
    assert "embed.ids" not in text


def test_one_number_is_that_number():
    text, facts = read([3] * 8)
    assert facts == {"embed.ids": 3}
    assert "full(shape=(1, 8), value=3, dtype=i64)" in text


def test_a_table_stays():
    text, facts = read([0, 1, 2, 3, 4, 5, 7, 6])
    assert not facts
    assert "embed.ids" in text


def test_buffers_whose_numbers_are_not_at_hand_stay():
    graph = graph_of(READS)
    before = text_of(graph)
    pipeline.run(graph, passes=["known_buffers"])
    assert text_of(graph) == before


MASK = """
def forward(x: f32[B, 4, 4]):
    with module("attn", "Attention"):
        y: f32[B, 4, 4] = multiply(x, param("attn.bias", f32[1, 4, 4], buffer=True))
    return y
"""


def read_mask(table) -> tuple[str, dict]:
    graph = graph_of(MASK)
    graph.tensors = {"attn.bias": np.array([table], np.float32)}
    pipeline.run(graph, passes=["known_buffers"], verify_each=True)
    return text_of(graph), graph.facts


@pytest.mark.parametrize(
    ("table", "fact", "code"),
    [
        (np.tril(np.ones((4, 4))), (0, 1.0, 0.0), "tril(bias)"),
        (np.tril(np.ones((4, 4)), -1), (-1, 1.0, 0.0), "tril(bias, offset=-1)"),
        (np.triu(np.full((4, 4), -np.inf), 1), (0, 0.0, -np.inf), "triu(bias, offset=1)"),
    ],
)
def test_triangles_are_made_where_they_are_read(table, fact, code):
    text, facts = read_mask(table)
    assert facts == {"attn.bias": fact}
    assert code in text and "param(" not in text
    value = {1.0: "1.0", -np.inf: "-inf"}[fact[1] or fact[2]]
    assert f"full(shape=(1, 4, 4), value={value}" in text


@pytest.mark.parametrize(
    "table", [np.tril(np.full((4, 4), 2.0)) + 1, np.tril(np.ones((4, 4))) + np.eye(4), np.eye(4)]
)
def test_other_matrices_stay(table):
    text, facts = read_mask(table)
    assert not facts
    assert "attn.bias" in text
