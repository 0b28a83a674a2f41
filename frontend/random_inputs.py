"""Random inputs that a graph accepts: ids within the vocabulary, masks with no empty row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph, Node, Param, Value
from ..ir.dims import data_decides, evaluate
from ..ir.types import Tensor
from .lookups import lookups

Origins = list[tuple[Value, int]]


@dataclass
class Use:
    """What is known of an integer or boolean input: the least table it indexes, if it is a mask,
    if a size is read from it.
    """

    rows: int | None = None
    indexes: bool = False
    mask: bool = False
    size: bool = False

    def indexed(self, rows: int) -> None:
        self.indexes = True
        self.rows = rows if self.rows is None else min(self.rows, rows)


# Ops whose result holds the operand's own values: an index stays an index.
_CARRIES = frozenset(
    ["cast", "reshape", "transpose", "expand_dims", "squeeze", "broadcast_to", "slice",
     "select", "concatenate", "stack",
     "split", "pad", "flip", "tile", "roll", "clip", "maximum", "minimum", "where", "contiguous"]
)  # fmt: skip
# Ops by which a mask shows itself.
_MASKING = frozenset(
    ["bitwise_and", "bitwise_or", "invert", "cumsum", "where", "multiply", "subtract", "equal",
     "not_equal", "greater",
     "less", "greater_equal", "less_equal", "sum", "attention", "logical_not"]
)  # fmt: skip


def random_inputs(
    graph: Graph, sizes: Mapping[str, int], rng: np.random.Generator
) -> list[np.ndarray]:
    """One array for each of the graph's inputs, at the given sizes of its symbols."""
    uses = uses_of_inputs(graph, sizes)
    return [_array(value.tensor, uses.get(value, Use()), sizes, rng) for value in graph.inputs]


def uses_of_inputs(graph: Graph, sizes: Mapping[str, int]) -> dict[Value, Use]:
    """How every integer and boolean input is used, seen through casts, views and shifts."""
    uses = {
        v: Use() for v in graph.inputs if not (v.tensor.dtype.is_float or v.tensor.dtype.is_complex)
    }
    carried: dict[Value, Origins] = {v: [(v, 0)] for v in uses}
    for node in graph.nodes:
        _note_uses(node, carried, uses, sizes)
        origins = _carry(node, carried)
        if origins:
            for result in node.results:
                carried[result] = origins
    return uses


def _note_uses(
    node: Node, carried: Mapping[Value, Origins], uses: dict[Value, Use], sizes: Mapping[str, int]
) -> None:
    looked_up = list(lookups(node))
    for operand, size in looked_up:
        if data_decides(size):
            continue
        for origin, offset in carried.get(operand, ()):
            uses[origin].indexed(max(1, evaluate(size, sizes) - offset))
    if node.op == "read_size":
        for origin, _ in carried.get(node.values[0], ()):
            uses[origin].size = True
    masking = node.op in _MASKING or (node.op == "cast" and not node.out.tensor.dtype.is_integer)
    if masking:
        for operand in node.values:
            for origin, _ in carried.get(operand, ()):
                uses[origin].mask = True


def _carry(node: Node, carried: Mapping[Value, Origins]) -> Origins:
    """Which inputs the results hold values of, and by how much they were shifted."""
    shift = 0
    if node.op in ("add", "subtract"):
        constants = [o for o in node.operands if isinstance(o, int)]
        if len(constants) != 1:
            return []
        shift = constants[0] if node.op == "add" else -constants[0]
    elif node.op not in _CARRIES:
        return []
    operands = (
        node.values[1:]
        if node.op == "where" and node.values[:1] == node.operands[:1]
        else node.values
    )
    return [
        (origin, offset + shift)
        for v in operands
        if not isinstance(v, Param)
        for origin, offset in carried.get(v, ())
    ]


def _array(
    type: Tensor, use: Use, sizes: Mapping[str, int], rng: np.random.Generator
) -> np.ndarray:
    shape = tuple(evaluate(d, sizes) for d in type.shape)
    dtype = type.dtype
    if dtype.is_complex:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype.numpy)
    if dtype.is_float:
        return np.asarray(rng.standard_normal(shape)).astype(dtype.numpy)
    if use.indexes:
        return np.asarray(rng.integers(0, use.rows, shape)).astype(dtype.numpy)
    if use.size:
        return np.asarray(rng.integers(1, 4, shape)).astype(dtype.numpy)
    if use.mask or dtype.value == "bool":
        return np.asarray(_prefix_mask(shape, rng)).astype(dtype.numpy)
    return np.asarray(rng.integers(0, 3, shape)).astype(dtype.numpy)


def _prefix_mask(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Ones up to a random length of the last axis; the first position is never masked."""
    if not shape:
        return np.ones(shape)
    lengths = rng.integers(max(1, shape[-1] // 2), shape[-1] + 1, (*shape[:-1], 1))
    return np.arange(shape[-1]) < lengths
