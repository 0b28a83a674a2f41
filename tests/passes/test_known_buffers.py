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
