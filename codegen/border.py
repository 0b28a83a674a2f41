"""What an index from outside must lie between: MLX checks none of them.

From every op that indexes, its index operand is followed back to an input through ops that keep or
shift each element. What another op computes from an input cannot be checked at the border, nor
what is bounded by a size that the data decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..ir import Graph, Node, Value
from ..ir.dims import Expr, data_decides

# Ops whose elements are elements of their first operand.
_VIEWS = """reshape expand_dims squeeze transpose slice select broadcast_to cast flip tile roll
repeat split windows diagonal"""
_KEEPS = frozenset(_VIEWS.split())
# Ops that index: the position of the first index operand.
_LOOKUPS = {
    "embedding": 1, "take": 1, "gather": 1, "scatter": 1, "scatter_reduce": 1, "index": 1,
    "index_put": 2,
}  # fmt: skip
_WRAPS = ("index", "index_put")  # negative indices count from the end


@dataclass(frozen=True)
class IndexRange:
    """`input` must lie in [low, size of the table's axis + offset)."""

    input: Value
    table: Value
    axis: int
    offset: int = 0
    wraps: bool = False

    @property
    def size(self) -> int | Expr:
        return self.table.tensor.shape[self.axis]


def index_ranges(graph: Graph) -> list[IndexRange]:
    """The ranges that the graph's integer inputs must keep to, each once."""
    inputs = set(graph.inputs)
    found: dict[tuple[Value, int | Expr, int, bool], IndexRange] = {}
    for node in graph.nodes:
        for index, axis in _indices(node):
            start = _origin(index, inputs)
            if start is not None:
                table = node.operands[0]
                assert isinstance(table, Value)
                wraps = node.op in _WRAPS
                made = IndexRange(start[0], table, axis, start[1], wraps)
                if data_decides(made.size):
                    continue
                found.setdefault((made.input, made.size, made.offset, wraps), made)
    return list(found.values())


def _indices(node: Node) -> Iterator[tuple[Value, int]]:
    first = _LOOKUPS.get(node.op)
    if first is None:
        return
    several = node.op in _WRAPS
    operands = node.operands[first:] if several else node.operands[first : first + 1]
    axes = node["axes"] if several else [node.attrs.get("axis") or 0]
    for operand, axis in zip(operands, axes, strict=True):
        if isinstance(operand, Value):
            yield operand, axis


def _origin(value: Value, inputs: set[Value]) -> tuple[Value, int] | None:
    """The input that the index is, and what to add to a table's size to bound it."""
    offset = 0
    while value not in inputs:
        node = value.node
        if node is None or not value.tensor.dtype.is_integer:
            return None
        if node.op in ("add", "subtract"):
            shift = node.operands[1]
            if not isinstance(shift, int):
                return None
            offset += -shift if node.op == "add" else shift
        elif node.op not in _KEEPS:
            return None
        first = node.operands[0]
        if not isinstance(first, Value):
            return None
        value = first
    return (value, offset) if value.tensor.dtype.is_integer else None
