"""Draws of random numbers: no pass merges, moves, repeats or exchanges them; the dead ones go."""

from __future__ import annotations

import numpy as np
import pytest

from mlx_transpile.ir import Graph
from mlx_transpile.ir.draws import drawn_values, draws, number_draws, repeated_draws
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.verify import VerifyError, verify
from mlx_transpile.passes.canonical_order import canonical_order
from mlx_transpile.passes.cse import cse
from mlx_transpile.passes.dce import dce
from mlx_transpile.passes.lift_shared import lift_shared
from mlx_transpile.passes.pipeline import list_passes, run
from mlx_transpile.passes.share_masks import share_masks

TWICE = """
@graph('Twice')
def forward(x: f32[B, 4]):
    a: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=0)
    b: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=1)
    dead: f32[B] = random_uniform(None, shape=(B,), dtype=f32, draw=2)
    c: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=3)
    y: f32[B, 4] = subtract(a, b)
    z: f32[B, 4] = add(y, c)
    out: f32[B, 4] = multiply(z, x)
    return out
"""

# The second layer reads noise that the first one made.
SHARED = """
@graph('Shared')
def forward(x: f32[B, 4]):
    with module('layers.0', 'Layer'):
        own: f32[B, 4] = random_uniform(None, shape=(B, 4), dtype=f32, draw=0)
        h: f32[B, 4] = add(x, own)
        noise: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=1)
        first: f32[B, 4] = add(h, noise)
    with module('layers.1', 'Layer'):
        second: f32[B, 4] = add(first, noise)
    return second
"""

LOOP = """
@graph('Loop')
def forward(x: f32[B, 4]):
    def body(h: f32[B, 4]):
        noise: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=1)
        after: f32[B, 4] = add(h, noise)
        return after,
    start: f32[B, 4] = random_normal(None, shape=(B, 4), dtype=f32, draw=0)
    last: f32[B, 4] = loop(None, start, trips=3, state=1, counter='I1', body=body)
    z: f32[B, 4] = negative(x)
    return last, z
"""


def graph_of(text: str) -> Graph:
    graph = parse_graph(text)
    verify(graph)
    return graph


def numbers(graph: Graph) -> list[int]:
    return [node["draw"] for node in draws(graph)]


def test_text_round_trip() -> None:
    text = print_graph(graph_of(TWICE))
    assert print_graph(parse_graph(text)) == text and "draw=3" in text


def test_equal_draws_are_two() -> None:
    graph = graph_of(TWICE)
    assert not cse(graph)
    assert numbers(graph) == [0, 1, 2, 3]


def test_dead_draws_go() -> None:
    graph = graph_of(TWICE)
    assert dce(graph)
    assert numbers(graph) == [0, 1, 3]
    verify(graph)


def test_noise_of_a_layer_stays_where_it_is_drawn() -> None:
    """A layer that draws before it would draw after it."""
    graph = graph_of(SHARED)
    assert not lift_shared(graph) and not share_masks(graph)
    quiet = SHARED.replace("random_normal(None, shape=(B, 4), dtype=f32, draw=1)", "exp(x)")
    assert lift_shared(graph_of(quiet))


@pytest.mark.parametrize(
    "change",
    [
        lambda nodes: nodes[:1] + nodes[2:1:-1] + nodes[1:2] + nodes[3:],
        lambda nodes: nodes[1:2] + nodes[:1] + nodes[2:],
    ],
)
def test_verifier_knows_the_order(change) -> None:
    graph = graph_of(TWICE)
    graph.nodes = change(graph.nodes)
    with pytest.raises(VerifyError, match="comes after draw"):
        verify(graph)


def test_verifier_refuses_a_draw_that_is_there_twice() -> None:
    with pytest.raises(VerifyError, match="draw 1 comes after draw 1"):
        verify(parse_graph(TWICE.replace("draw=2", "draw=1")))


def test_order_of_the_file_stays() -> None:
    graph = graph_of(TWICE.replace("subtract(a, b)", "subtract(b, a)"))
    assert canonical_order(graph) == graph.nodes


@pytest.mark.parametrize("text", [TWICE, SHARED, LOOP], ids=["twice", "shared", "loop"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_every_pass_keeps_the_draws(text: str, level: int) -> None:
    """The same numbers, from draws in the same order, after every pass."""
    graph, x = graph_of(text), [np.ones((3, 4), np.float32)]
    want = interpret(graph, x, {})
    graph.flat = level == 2  # modules are found, too
    for done in run(graph, level, verify_each=True):
        assert done.pass_ in list_passes(level)
    live = {0: [0, 1, 3], 1: [0, 1], 2: [0, 1]}[0 if text is TWICE else 1]
    assert numbers(graph) == live
    for a, b in zip(np.atleast_3d(want), np.atleast_3d(interpret(graph, x, {})), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_lost_and_exchanged_draws_move_the_numbers() -> None:
    """What `--verify-each` and bisection go by."""
    x = [np.ones((3, 4), np.float32)]
    want = interpret(graph_of(TWICE), x, {})
    assert np.array_equal(want, interpret(graph_of(TWICE), x, {}))
    exchanged = parse_graph(TWICE.replace("subtract(a, b)", "subtract(b, a)"))
    merged = parse_graph(TWICE.replace("subtract(a, b)", "subtract(a, a)"))
    for other in (exchanged, merged):
        assert not np.allclose(want, interpret(other, x, {}))


def test_given_draws_stand_in_for_the_reference() -> None:
    graph, x = graph_of(TWICE), [np.full((1, 4), 2.0, np.float32)]
    given = {i: np.full((1, 4), 10.0**i, np.float32) for i in (0, 1, 3)}
    assert np.array_equal(interpret(graph, x, {}, draws=given), np.full((1, 4), 1982.0))


def test_draws_are_numbered_through_blocks() -> None:
    graph = parse_graph(LOOP.replace("draw=0", "draw=7").replace("draw=1", "draw=7"))
    assert number_draws(graph) == 2 and numbers(graph) == [0, 1]
    verify(graph)
    assert repeated_draws(graph) and not repeated_draws(graph_of(TWICE))


def test_what_depends_on_draws() -> None:
    graph = graph_of(LOOP)
    last, z = graph.outputs
    assert last in drawn_values(graph) and z not in drawn_values(graph)
