"""Text in, text out, and the same numbers before and after: what tests of passes share."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable

import numpy as np

from mlx_transpile.ir import DType, Graph
from mlx_transpile.ir.dims import evaluate
from mlx_transpile.ir.graph import leaves
from mlx_transpile.ir.interpret import interpret
from mlx_transpile.ir.recipe import Read, reads
from mlx_transpile.ir.text import constants_of, parse_graph, print_graph
from mlx_transpile.ir.verify import verify
from mlx_transpile.numbers import source_types
from mlx_transpile.passes.pipeline import Run, run

SIZES = ({}, {"B": 3, "L": 5, "T": 4, "S": 7, "H": 6, "W": 10})


def graph_of(text: str, constants=None, head: str = "Net") -> Graph:
    """The graph of a dedented text; without a decorator it is called Net."""
    text = textwrap.dedent(text).strip()
    graph = parse_graph(text if text.startswith("@") else f"@graph({head!r})\n{text}", constants)
    verify(graph)
    return graph


def text_of(graph: Graph) -> str:
    """The graph's text, less the decorator line and the passes that each node came through."""
    return re.sub(r",? ?via=\[[^]]*\]", "", print_graph(graph).strip().split("\n", 1)[1])


def applied(text: str, *passes: str, constants=None) -> tuple[str, list[Run]]:
    """The text after the passes (all of -O1 where none is named), checked to compute the same numbers."""
    graph = graph_of(text, constants)
    runs = check(graph, *passes)
    again = parse_graph(print_graph(graph), constants_of(graph))
    assert print_graph(again) == print_graph(graph)
    return text_of(graph), runs


def becomes(before: str, after: str, *passes: str, constants=None) -> None:
    """The passes turn one text into the other and keep the numbers."""
    found, _ = applied(before, *passes, constants=constants)
    assert found == text_of(graph_of(after, constants))


def unchanged(text: str, *passes: str, constants=None) -> None:
    graph = graph_of(text, constants)
    before = text_of(graph)
    check(graph, *passes)
    assert text_of(graph) == before


def refusals(text: str, *passes: str) -> list[str]:
    """The reasons that the passes gave."""
    _, runs = applied(text, *passes)
    return [entry.reason for r in runs for entry in r.log if entry.reason]


def check(graph: Graph, *passes: str) -> list[Run]:
    """Run passes on the graph; its results stay the same at several sizes."""
    cases = [case for sizes in SIZES for case in [random_case(graph, sizes)]]
    before = [interpret(graph, *case) for case in cases]
    runs = run(graph, passes=passes or None, verify_each=True)
    for case, expected in zip(cases, before):
        for a, b in zip(leaves(expected), leaves(interpret(graph, *case)), strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            tolerance = {"bfloat16": 2e-2, "float16": 2e-3}.get(a.dtype.name, 2e-5)
            wide = np.float64 if a.dtype.name == "bfloat16" else a.dtype
            np.testing.assert_allclose(
                a.astype(wide), b.astype(wide), rtol=tolerance, atol=tolerance
            )
    return runs


def random_case(
    graph: Graph, sizes: dict[str, int]
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Random inputs and source tensors; symbols that `sizes` lacks are 2 (or their bound)."""
    rng = np.random.default_rng(0)
    known = {s.name: max(s.low, min(sizes.get(s.name, 2), s.high or 64)) for s in graph.symbols()}
    inputs = [
        _random(v.tensor.dtype, [evaluate(d, known) for d in v.tensor.shape], rng)
        for v in graph.inputs
    ]
    source = {}
    told = source_types(graph)  # what recipes that are more than a read say of their tensors
    for param in graph.params.values():
        for name in reads(param.recipe):
            dtype, shape = param.tensor.dtype, param.tensor.shape
            if not isinstance(param.recipe, Read):
                dtype, shape = DType(told[name][0]), told[name][1]
            source[name] = _random(dtype, shape, rng)
    return inputs, source


def _random(dtype: DType, shape, rng) -> np.ndarray:
    if dtype is DType.bool:
        return rng.random(shape) < 0.7
    if dtype.is_integer:
        return rng.integers(0, 4, shape).astype(dtype.numpy)
    return rng.standard_normal(shape).astype(dtype.numpy)


def check_program(program, inputs, tensors) -> list[np.ndarray]:
    """Run the whole pipeline on a captured program; its flat results, which stay the same."""
    graph = program.forward
    before = list(leaves(interpret(graph, inputs, tensors)))
    run(program, verify_each=True)
    after = [np.asarray(a) for a in leaves(interpret(graph, inputs, tensors))]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64), b.astype(np.float64), rtol=1e-4, atol=1e-4
        )
    return after


def calls_made(action: Callable[[], object]) -> int:
    """How many Python functions the action calls: a measure of work that no busy machine changes."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
