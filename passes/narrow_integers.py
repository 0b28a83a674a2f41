"""64-bit index arithmetic that cannot overflow becomes 32-bit, MLX's own index type."""

from __future__ import annotations

from typing import Any

from ..ir import DType, Graph, Node, Value
from ..ir.dims import Expr, Sym
from ..ir.graph import Operand
from .rebuild import retype
from .record import applies

I64, I32 = DType.i64, DType.i32

# Sizes of one axis stay below this; products of two such sizes do not count as small.
LARGEST_SIZE = 2**24
LIMIT = 2**31 - 1

_CREATE = {"arange", "full"}
_SAME_RANGE = {
    "reshape", "transpose", "expand_dims", "squeeze", "broadcast_to", "slice", "select",
    "concatenate", "stack", "split", "flip", "roll", "tile", "negative", "abs", "maximum",
    "minimum", "clip", "where", "repeat", "tril", "triu",
}  # fmt: skip
_COMPARE = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}
_PLACES = {"argmax", "argmin", "argsort"}
_RUNNING = {"sum", "cumsum"}
_SMALL_TYPES = {DType.bool: 1, DType.u8: 2**8, DType.i8: 2**7, DType.u16: 2**16, DType.i16: 2**15}


def narrow_integers(graph: Graph) -> bool:
    """Make i64 values i32 where they are always small, and only compared, cast or indices."""
    bounds: dict[Value, int] = {}
    for node in graph.nodes:
        _bound_results(node, bounds)
    narrow = _closed(graph, {v for v, b in bounds.items() if b <= LIMIT})
    first = next((n for n in graph.nodes if any(r in narrow for r in n.results)), None)
    if first is None or not applies("narrow_integers", first):  # all at once, or types clash
        return False
    for node in graph.nodes:
        if any(r in narrow for r in node.results):
            if node.attrs.get("dtype") is I64:
                node.attrs["dtype"] = I32
            retype(node)
    return bool(narrow)


def _bound_results(node: Node, bounds: dict[Value, int]) -> None:
    """The largest magnitude of the i64 results, where it is known."""
    if any(getattr(r.type, "dtype", None) is not I64 for r in node.results):
        return
    bound = _bound(node, [_operand_bound(o, bounds) for o in node.operands])
    if bound is not None:
        bounds.update((r, bound) for r in node.results)


def _bound(node: Node, operands: list[int | None]) -> int | None:
    if node.op in _CREATE:
        ends = [node["value"]] if node.op == "full" else [node["start"], node["stop"]]
        sizes = [_magnitude(e) for e in ends]
        return None if None in sizes else max(s for s in sizes if s is not None)
    if node.op in _PLACES:
        return LARGEST_SIZE
    if node.op == "cast":
        return _SMALL_TYPES.get(node.type(0).dtype)
    if node.op == "where":
        operands = operands[1:]
    known = [
        o for o, operand in zip(operands, node.operands[-len(operands) :]) if operand is not None
    ]
    if not known or None in known:
        return None
    values = [k for k in known if k is not None]
    if node.op in _SAME_RANGE:
        return max(values)
    if node.op in ("add", "subtract"):
        return sum(values)
    if node.op == "multiply":
        return values[0] * values[1]
    if node.op in _RUNNING:
        return values[0] * LARGEST_SIZE
    if node.op in ("remainder", "floor_divide"):
        return max(values)
    return None


def _operand_bound(operand: Operand, bounds: dict[Value, int]) -> int | None:
    return bounds.get(operand) if isinstance(operand, Value) else _magnitude(operand)


def _magnitude(number: Any) -> int | None:
    """The largest magnitude of a scalar or a dim, sizes being at most LARGEST_SIZE."""
    if isinstance(number, bool | int):
        return abs(int(number))
    if not isinstance(number, Expr):
        return None
    total = 0
    for monomial, coefficient in number.terms:
        value = abs(coefficient)
        for atom, power in monomial:
            value *= _atom_magnitude(atom) ** power
        total += value
    return total


def _atom_magnitude(atom: Any) -> int:
    if isinstance(atom, Sym):
        return min(atom.high or LARGEST_SIZE, LARGEST_SIZE)
    return max(_magnitude(a) or 0 for a in atom.args)


def _closed(graph: Graph, small: set[Value]) -> set[Value]:
    """The values whose i64 neighbours are all small too, so that every op keeps one dtype."""
    uses = graph.uses()
    pending = [v for v in graph.outputs if v in small]
    pending += [
        v for v in small if not _uses_allow(v, uses, small) or not _operands_allow(v, small)
    ]
    while pending:
        value = pending.pop()
        if value not in small:
            continue
        small.discard(value)
        pending += _neighbours(value, uses, small)
    return small


def _neighbours(
    value: Value, uses: dict[Value, list[tuple[Node, int]]], small: set[Value]
) -> list[Value]:
    """Small values that may not stay so because this one is none."""
    found = [] if value.node is None else [*value.node.values, *value.node.results]
    for user, _ in uses.get(value, ()):
        found += [*user.values, *user.results]
    return [
        v
        for v in found
        if v in small and (not _uses_allow(v, uses, small) or not _operands_allow(v, small))
    ]


def _operands_allow(value: Value, small: set[Value]) -> bool:
    node = value.node
    if node is None or any(r not in small for r in node.results):
        return False
    return node.op in _PLACES or all(v in small for v in node.values if v.tensor.dtype is I64)


def _uses_allow(value: Value, uses: dict[Value, list[tuple[Node, int]]], small: set[Value]) -> bool:
    return all(_use_allows(node, place, small) for node, place in uses.get(value, ()))


def _is_index(node: Node, place: int) -> bool:
    """Whether the operand is positions in another array: any integer type will do."""
    names = node.row.operands.split()
    return names[min(place, len(names) - 1)].strip("*?") == "indices"


def _use_allows(node: Node, place: int, small: set[Value]) -> bool:
    if node.op in _COMPARE:
        return all(v in small for v in node.values)
    if _is_index(node, place):
        return True
    return node.op == "cast" or all(r in small for r in node.results)
