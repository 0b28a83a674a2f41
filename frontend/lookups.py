"""Which operands of which ops index what: the sizes that indices must stay below.

Nothing in MLX checks an index, so a length that makes positions run past their table must be known
as a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.dims import Expr, minimum

Dim = int | Expr
Range = tuple[Dim, Dim]  # the least and the greatest value


def lookups(node: Node) -> Iterator[tuple[Value, Dim]]:
    """Every index operand with the size of the axis that it indexes."""
    rule = _LOOKUPS.get(node.op)
    if rule is None:
        return
    table = node.type(0).shape
    for operand, axis in rule(node):
        if isinstance(operand, Value):
            yield operand, table[axis]


def _one(position: int) -> Callable[[Node], list[tuple[Any, int]]]:
    return lambda node: [(node.operands[position], node.attrs.get("axis") or 0)]


def _several(first: int) -> Callable[[Node], list[tuple[Any, int]]]:
    return lambda node: list(zip(node.operands[first:], node["axes"]))


_LOOKUPS: dict[str, Callable[[Node], list[tuple[Any, int]]]] = {
    "embedding": _one(1),
    "take": _one(1),
    "gather": _one(1),
    "scatter": _one(1),
    "scatter_reduce": _one(1),
    "index": _several(1),
    "index_put": _several(2),
}


def needs(graph: Graph) -> Iterator[tuple[Dim, str]]:
    """Dims that must not be negative for all indices to be in range, with what they are about."""
    ranges = value_ranges(graph)
    for node in graph.nodes:
        for operand, size in lookups(node):
            if operand in ranges:
                at = f" at {node.source.at}" if node.source else ""
                yield (
                    size - 1 - ranges[operand][1],
                    f"{node.op} in {node.scope.path or graph.name}{at}",
                )


def value_ranges(graph: Graph) -> dict[Value, Range]:
    """Ranges of integers that follow from sizes alone: positions, not ids. Bounds are reached."""
    ranges: dict[Value, Range] = {}
    for node in graph.nodes:
        rule = _RANGES.get(node.op)
        found = rule(node, [_range(o, ranges) for o in node.operands]) if rule else None
        if found is not None:
            for result in node.results:
                ranges[result] = found
    return ranges


def _range(operand: Any, ranges: dict[Value, Range]) -> Range | None:
    if isinstance(operand, Value):
        return None if isinstance(operand, Param) else ranges.get(operand)
    if isinstance(operand, int | Expr) and not isinstance(operand, bool):
        return operand, operand
    return None


Rule = Callable[[Node, list["Range | None"]], "Range | None"]


def _arange(node: Node, operands: list[Range | None]) -> Range | None:
    start, step = node["start"], node["step"]
    if isinstance(start, float) or not isinstance(step, int) or step < 1:
        return None
    return start, start + (node.out.tensor.shape[0] - 1) * step


def _same(node: Node, operands: list[Range | None]) -> Range | None:
    return operands[0]


def _cast(node: Node, operands: list[Range | None]) -> Range | None:
    if not node.out.tensor.dtype.is_integer:
        return None
    return (0, 1) if node.type(0).dtype.value == "bool" else operands[0]


def _joint(combine: Callable[[Range, Range], Range | None]) -> Rule:
    def rule(node: Node, operands: list[Range | None]) -> Range | None:
        first, second = operands[:2]
        return None if first is None or second is None else combine(first, second)

    return rule


def _product(a: Range, b: Range) -> Range | None:
    small = all(isinstance(r[0], int) and r[0] >= 0 for r in (a, b))
    return (a[0] * b[0], a[1] * b[1]) if small else None


def _cumsum(node: Node, operands: list[Range | None]) -> Range | None:
    if operands[0] != (0, 1):
        return None
    return 0, node.type(0).shape[node["axis"]]


def _full(node: Node, operands: list[Range | None]) -> Range | None:
    value = node["value"]
    return (value, value) if isinstance(value, int | Expr) and not isinstance(value, bool) else None


_RANGES: dict[str, Rule] = {
    "arange": _arange,
    "full": _full,
    "cast": _cast,
    "cumsum": _cumsum,
    **dict.fromkeys(
        [
            "reshape",
            "transpose",
            "expand_dims",
            "squeeze",
            "broadcast_to",
            "flip",
            "tile",
            "roll",
            "repeat",
        ],
        _same,
    ),
    "add": _joint(lambda a, b: (a[0] + b[0], a[1] + b[1])),
    "subtract": _joint(lambda a, b: (a[0] - b[1], a[1] - b[0])),
    "multiply": _joint(_product),
    "minimum": _joint(lambda a, b: (minimum(a[0], b[0]), minimum(a[1], b[1]))),
}
