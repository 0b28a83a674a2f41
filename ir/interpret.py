"""Runs a graph on NumPy arrays by the reference evaluation of each op.

With `wide`, all floats are float64 and all complex numbers complex128, whatever the graph says:
the function that the graph means, without its rounding. Two graphs that mean the same agree then
to many digits, where in float32 a wrong epsilon is no larger than the noise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from . import dims
from . import recipe as rcp
from .blocks import binds
from .dims import Expr
from .graph import Graph, Node, Param, Value, map_structure
from .recipe import evaluate as evaluate_recipe
from .types import DType, Integer, Tensor


class InterpretError(ValueError):
    """The inputs do not fit the graph, or an op failed on them."""


def bind_sizes(
    graph: Graph, inputs: Sequence[np.ndarray], known: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The value of every symbol, read from the inputs' shapes; InterpretError where they do not
    fit. `known` are the sizes around a block.
    """
    sizes: dict[str, int] = dict(known or {})
    pending: list[tuple[Value, int | Expr, int]] = []
    for value, array in zip(graph.inputs, inputs, strict=True):
        if array.ndim != value.tensor.rank:
            raise InterpretError(f"{value.hint} has rank {array.ndim}, {value.type} was expected")
        for dim, size in zip(value.tensor.shape, array.shape, strict=True):
            if line := dims.line(dim):
                symbol, slope, start = line
                sizes.setdefault(symbol.name, (size - start) // slope)
            pending.append((value, dim, size))
    for value, dim, size in pending:
        if dims.evaluate(dim, sizes) != size:
            raise InterpretError(
                f"{value.hint}: a dim is {size}, {dim} is {dims.evaluate(dim, sizes)}"
            )
    return sizes


def steps(
    graph: Graph,
    inputs: Sequence[np.ndarray],
    source: Mapping[str, np.ndarray],
    wide: bool = False,
    around: Mapping[str, int] | None = None,
    draws: Mapping[int, np.ndarray] | None = None,
) -> Iterator[tuple[Node, list[np.ndarray], dict[Value, Any]]]:
    """Run node by node, giving each node, its results and all values so far.

    `draws` are random numbers by the number of the draw; what has none there draws its own.
    """
    sizes = bind_sizes(graph, inputs, around)
    known = _start(graph, inputs, wide)
    for node in graph.nodes:
        for operand in node.values:
            if isinstance(operand, Param) and operand not in known:
                known[operand] = _parameter(operand, source, wide)
        operands = [
            known[o] if isinstance(o, Value) else _concrete(o, sizes) for o in node.operands
        ]
        attrs = {k: _concrete(v, sizes) for k, v in node.attrs.items()}
        attrs |= {n: _Block(node[n], dict(sizes), wide) for n in node.row.blocks}
        if wide:
            attrs = {k: _wide_type(v) for k, v in attrs.items()}
        try:
            results = node.row.evaluate(operands, attrs)
            if draws and node.row.random and node["draw"] in draws:
                results = [_given(draws[node["draw"]], results[0])]
            results = [widened(r) for r in results] if wide else results
        except Exception as error:
            raise InterpretError(
                f"{node.op} in {node.scope.path or 'the root'}: {error}"
            ) from error
        for value, array in zip(node.results, results, strict=True):
            if isinstance(value.type, Integer):
                sizes[str(value.type.value)] = int(array)
            known[value] = array
        _bind_results(node, results, sizes)
        yield node, results, known


def _given(draw: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The draw in the place of the reference's own, which has its shape."""
    if draw.shape != own.shape:
        raise InterpretError(f"a draw of the shape {draw.shape} in the place of {own.shape}")
    return draw.astype(own.dtype)


def _bind_results(node: Node, results: Sequence[np.ndarray], sizes: dict[str, int]) -> None:
    """The sizes that a node finds out stand in the shapes of its results."""
    names = binds(node)
    for value, array in zip(node.results, results, strict=True) if names else ():
        shape = value.type.shape if isinstance(value.type, Tensor) else ()
        for dim, size in zip(shape, array.shape, strict=False):
            if str(dim) in names:
                sizes[str(dim)] = size


class _Block:
    """A block of a node as a function on arrays; keywords are sizes that the node gives it."""

    def __init__(self, graph: Graph, sizes: dict[str, int], wide: bool):
        self.graph, self.sizes, self.wide = graph, sizes, wide
        self.count = len(graph.outputs)

    def __call__(self, *inputs: np.ndarray, **own: int) -> list[np.ndarray]:
        known = _start(self.graph, inputs, self.wide)
        for _, _, so_far in steps(self.graph, inputs, {}, self.wide, {**self.sizes, **own}):
            known = so_far
        return [known[v] for v in self.graph.outputs]

    def none(self, index: int) -> np.ndarray:
        """No row at all of the result of that number."""
        kind = self.graph.outputs[index].tensor
        dtype = _wide_type(kind.dtype) if self.wide else kind.dtype
        shape = _concrete(kind.shape, self.sizes)
        return np.zeros((0, *shape), dtype.numpy)


def interpret(
    graph: Graph,
    inputs: Sequence[np.ndarray],
    source: Mapping[str, np.ndarray],
    wide: bool = False,
    draws: Mapping[int, np.ndarray] | None = None,
) -> Any:
    """The graph's result on arrays. `source` holds the tensors of the source checkpoint by name,
    `draws` random numbers (see `steps`).
    """
    known = _start(graph, inputs, wide)
    for _, _, so_far in steps(graph, inputs, source, wide, draws=draws):
        known = so_far

    def final(leaf: Any) -> Any:
        if isinstance(leaf, Param):
            return _parameter(leaf, source, wide)
        return known[leaf] if isinstance(leaf, Value) else leaf

    return map_structure(final, graph.result)


def _start(graph: Graph, inputs: Sequence[np.ndarray], wide: bool) -> dict[Value, Any]:
    return dict(zip(graph.inputs, map(widened, inputs) if wide else inputs, strict=True))


def _parameter(param: Param, source: Mapping[str, np.ndarray], wide: bool) -> np.ndarray:
    if not wide:
        return evaluate_recipe(param.recipe, source)
    tensors = {name: widened(source[name]) for name in rcp.reads(param.recipe)}
    array: np.ndarray = widened(evaluate_recipe(_wide_recipe(param.recipe), tensors))
    return array


def _wide_recipe(recipe: rcp.Recipe) -> rcp.Recipe:
    """The recipe in double precision: nothing is rounded on the way."""
    match recipe:
        case rcp.Constant(data, digest):
            return rcp.Constant(widened(data), digest)
        case rcp.Cast(of, dtype):
            return rcp.Cast(_wide_recipe(of), _wide_type(dtype))
        case rcp.Concatenate(many, axis):
            return rcp.Concatenate(tuple(map(_wide_recipe, many)), axis)
    inner: dict[str, Any] = {
        name: _wide_recipe(getattr(recipe, name))
        for name in ("of", "left", "right", "scales", "zeros")
        if hasattr(recipe, name)
    }
    return replace(recipe, **inner) if inner else recipe


def widened(array: Any) -> Any:
    """The array in double precision, if it holds floats or complex numbers."""
    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype.kind in "biu":
        return array
    return array.astype(np.complex128 if dtype.kind == "c" else np.float64, copy=False)


def _wide_type(value: Any) -> Any:
    if not isinstance(value, DType):
        return value
    return DType.f64 if value.is_float else DType.c128 if value.is_complex else value


def _concrete(value: Any, sizes: Mapping[str, int]) -> Any:
    if isinstance(value, Expr):
        return dims.evaluate(value, sizes)
    if isinstance(value, tuple):
        return tuple(_concrete(v, sizes) for v in value)
    return value
