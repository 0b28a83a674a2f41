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
from .ranges import stop_of

Origins = list[tuple[Value, int]]


@dataclass
class Use:
    """What is known of an integer or boolean input: the least table it indexes, if it is a mask,
    if a size is read from it, of how many steps it has the lengths, whether the source sorts them,
    and if one of them must be all steps.

    It rises along its last axis where differences of its elements index a table (corners of boxes);
    `bags` elements are parted where it says.
    """

    rows: int | None = None
    indexes: bool = False
    mask: bool = False
    size: bool = False
    choices: list[int] = field(default_factory=list)  # numbers that it is compared with
    steps: int | None = None
    sorted: bool = False
    full: bool = False
    rises: bool = False
    bags: int | None = None

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
    differences: dict[Value, Origins] = {}
    full = any(map(_takes_for_granted, graph.nodes))
    for node in graph.nodes:
        _note_order(node, carried, differences, uses, sizes)
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
    lengths, steps = row_lengths(node)
    if steps is not None and isinstance(lengths, Value) and not data_decides(steps):
        for origin, _ in carried.get(lengths, ()):
            uses[origin].steps = max(1, evaluate(steps, sizes))
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


def row_lengths(node: Node) -> tuple[Any, int | Expr | None]:
    """The lengths of rows, and of how many steps: a recurrent layer's, or those of a mask that is
    made of them.
    """
    if node.op in _LENGTHS:
        steps = node.type(0).shape[1 if node["batch_first"] else 0]
        return node.operands[_LENGTHS[node.op]], steps
    if node.op in ("less", "greater"):
        places, lengths = node.operands if node.op == "less" else node.operands[::-1]
        return lengths, stop_of(places)
    return None, None


def _note_order(
    node: Node,
    carried: Mapping[Value, Origins],
    differences: dict[Value, Origins],
    uses: dict[Value, Use],
    sizes: Mapping[str, int],
) -> None:
    """Inputs whose elements must not fall: where one less another is an index, where bags start."""
    if node.op == "subtract" and len(node.values) == 2:
        origins = [o for v in node.values for o in carried.get(v, ())]
        if len({origin for origin, _ in origins}) == 1:
            differences[node.out] = origins
    for operand, _ in lookups(node):
        for origin, _ in differences.get(operand, ()):
            uses[origin].rises = True
    if node.op == "searchsorted" and not data_decides(*node.type(1).shape):
        for origin, _ in carried.get(node.values[0], ()):
            uses[origin].bags = max(evaluate(d, sizes) for d in node.type(1).shape)


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
    if use.bags is not None:
        starts = np.sort(rng.integers(0, use.bags, shape))
        return np.asarray(starts - starts[..., :1]).astype(dtype.numpy)
    if use.indexes:
        indices = rng.integers(0, use.rows, shape)
        return np.asarray(np.sort(indices) if use.rises else indices).astype(dtype.numpy)
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
