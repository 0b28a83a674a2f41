"""Random inputs that a graph accepts: ids within the vocabulary, masks with no empty row, lengths
of rows within the batch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir import Graph, Node, Param, Value
from ..ir.dims import Expr, data_decides, evaluate
from ..ir.types import Tensor
from .lookups import lookups

Origins = list[tuple[Value, int]]


@dataclass
class Use:
    """What is known of an integer or boolean input: the least table it indexes, if it is a mask,
    if a size is read from it, of how many steps it has the lengths, whether the source sorts them,
    and if one of them must be all steps.
    """

    rows: int | None = None
    indexes: bool = False
    mask: bool = False
    size: bool = False
    choices: list[int] = field(default_factory=list)  # numbers that it is compared with
    steps: int | None = None
    sorted: bool = False
    full: bool = False

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
    graph: Graph,
    sizes: Mapping[str, int],
    rng: np.random.Generator,
    unsorted: Collection[Value] = (),
) -> list[np.ndarray]:
    """One array for each of the graph's inputs, at the given sizes of its symbols.

    Lengths of rows go down, but for those that the source sorts: `unsorted`, or what the graph
    shows.
    """
    uses = uses_of_inputs(graph, sizes)
    for value in {*unsorted, *sorted_by(graph)} & uses.keys():
        uses[value].sorted = True
    return [_array(value.tensor, uses.get(value, Use()), sizes, rng) for value in graph.inputs]


def sorted_by(graph: Graph) -> frozenset[Value]:
    """Integer inputs that the graph sorts."""
    carried: dict[Value, Origins] = {v: [(v, 0)] for v in graph.inputs if v.tensor.dtype.is_integer}
    found: set[Value] = set()
    for node in graph.nodes:
        if node.op in ("sort", "argsort"):
            found |= {origin for origin, _ in carried.get(node.values[0], ())}
        if origins := _carry(node, carried):
            carried.update(dict.fromkeys(node.results, origins))
    return frozenset(found)


def uses_of_inputs(graph: Graph, sizes: Mapping[str, int]) -> dict[Value, Use]:
    """How every integer and boolean input is used, seen through casts, views and shifts."""
    uses = {
        v: Use() for v in graph.inputs if not (v.tensor.dtype.is_float or v.tensor.dtype.is_complex)
    }
    carried: dict[Value, Origins] = {v: [(v, 0)] for v in uses}
    full = any(map(_takes_for_granted, graph.nodes))
    for node in graph.nodes:
        _note_uses(node, carried, uses, sizes, full)
        origins = _carry(node, carried)
        if origins:
            for result in node.results:
                carried[result] = origins
    return uses


def _takes_for_granted(node: Node) -> bool:
    """Whether the op says that a size which the data decides is one that the inputs have."""
    return (
        node.op == "reshape"
        and data_decides(*node.type(0).shape)
        and not data_decides(*node.out.tensor.shape)
    )


def _note_uses(
    node: Node,
    carried: Mapping[Value, Origins],
    uses: dict[Value, Use],
    sizes: Mapping[str, int],
    full: bool,
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
    if (lengths := row_lengths(node)) is not None:
        for origin, _ in carried.get(lengths, ()):
            uses[origin].steps = evaluate(_steps(node), sizes)
            uses[origin].full = full
    if node.op == "equal" and not node.out.tensor.rank:
        for origin, offset in carried.get(node.values[0], ()):
            numbers = [o for o in node.operands if isinstance(o, int) and not isinstance(o, bool)]
            uses[origin].choices += [n - offset for n in numbers]
    masking = node.op in _MASKING or (node.op == "cast" and not node.out.tensor.dtype.is_integer)
    if masking:
        for operand in node.values:
            for origin, _ in carried.get(operand, ()):
                uses[origin].mask = True


_LENGTHS = {"lstm": 3, "gru": 2, "rnn": 2}


def row_lengths(node: Node) -> Value | None:
    """The lengths of the rows that a recurrent layer runs over."""
    found = node.operands[_LENGTHS[node.op]] if node.op in _LENGTHS else None
    return found if isinstance(found, Value) else None


def _steps(node: Node) -> int | Expr:
    return node.type(0).shape[1 if node["batch_first"] else 0]


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
    if use.steps is not None:
        return _lengths(shape, use, rng).astype(dtype.numpy)
    if use.indexes:
        return np.asarray(rng.integers(0, use.rows, shape)).astype(dtype.numpy)
    if use.choices and not shape:
        return np.asarray(rng.choice(use.choices)).astype(dtype.numpy)
    if use.size:
        return np.asarray(rng.integers(1, 4, shape)).astype(dtype.numpy)
    if use.mask or dtype.value == "bool":
        return np.asarray(_prefix_mask(shape, rng)).astype(dtype.numpy)
    return np.asarray(rng.integers(0, 3, shape)).astype(dtype.numpy)


def _lengths(shape: tuple[int, ...], use: Use, rng: np.random.Generator) -> Any:
    """From 1 to the number of steps, which one row has where the model takes that for granted."""
    assert use.steps is not None
    found = rng.integers(1, use.steps + 1, shape)
    if use.full:
        found.reshape(-1)[:1] = use.steps
    return rng.permutation(found) if use.sorted else -np.sort(-found)


def _prefix_mask(shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Ones up to a random length of the last axis; the first position is never masked."""
    if not shape:
        return np.ones(shape)
    lengths = rng.integers(max(1, shape[-1] // 2), shape[-1] + 1, (*shape[:-1], 1))
    return np.arange(shape[-1]) < lengths
