"""Runs a graph on NumPy arrays by the reference evaluation of each op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from . import dims
from .dims import Expr
from .graph import Graph, Node, Param, Value, map_structure
from .recipe import evaluate as evaluate_recipe
from .types import Integer


class InterpretError(ValueError):
    """The inputs do not fit the graph, or an op failed on them."""


def bind_sizes(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[str, int]:
    """The value of every symbol, read from the inputs' shapes; InterpretError where they do not
    fit.
    """
    sizes: dict[str, int] = {}
    pending: list[tuple[Value, int | Expr, int]] = []
    for value, array in zip(graph.inputs, inputs, strict=True):
        if array.ndim != value.tensor.rank:
            raise InterpretError(f"{value.hint} has rank {array.ndim}, {value.type} was expected")
        for dim, size in zip(value.tensor.shape, array.shape, strict=True):
            names = dims.symbols(dim)
            if isinstance(dim, Expr) and len(names) == 1 and str(dim) == next(iter(names)).name:
                sizes.setdefault(str(dim), size)
            pending.append((value, dim, size))
    for value, dim, size in pending:
        if dims.evaluate(dim, sizes) != size:
            raise InterpretError(
                f"{value.hint}: a dim is {size}, {dim} is {dims.evaluate(dim, sizes)}"
            )
    return sizes


def steps(
    graph: Graph, inputs: Sequence[np.ndarray], source: Mapping[str, np.ndarray]
) -> Iterator[tuple[Node, list[np.ndarray], dict[Value, Any]]]:
    """Run node by node, giving each node, its results and all values so far."""
    sizes = bind_sizes(graph, inputs)
    known: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        for operand in node.values:
            if isinstance(operand, Param) and operand not in known:
                known[operand] = evaluate_recipe(operand.recipe, source)
        operands = [
            known[o] if isinstance(o, Value) else _concrete(o, sizes) for o in node.operands
        ]
        attrs = {k: _concrete(v, sizes) for k, v in node.attrs.items()}
        try:
            results = node.row.evaluate(operands, attrs)
        except Exception as error:
            raise InterpretError(
                f"{node.op} in {node.scope.path or 'the root'}: {error}"
            ) from error
        for value, array in zip(node.results, results, strict=True):
            if isinstance(value.type, Integer):
                sizes[str(value.type.value)] = int(array)
            known[value] = array
        yield node, results, known


def interpret(graph: Graph, inputs: Sequence[np.ndarray], source: Mapping[str, np.ndarray]) -> Any:
    """The graph's result on arrays. `source` holds the tensors of the source checkpoint by name."""
    known: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    for _, _, so_far in steps(graph, inputs, source):
        known = so_far

    def final(leaf: Any) -> Any:
        if isinstance(leaf, Param):
            return evaluate_recipe(leaf.recipe, source)
        return known[leaf] if isinstance(leaf, Value) else leaf

    return map_structure(final, graph.result)


def _concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    if isinstance(value, Expr):
        return dims.evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(_concrete(v, sizes) for v in value)
    return value
