"""What a tensor is as a function of position and feature pair: the tables of rotary embeddings.

`position * frequency` goes through views, copies and `cos` or `sin`; `table` follows it back. Axes
are counted from the end, so that broadcasting leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..ir import Node, Param, Value
from ..ir.dims import Expr

CIS = "cis"  # cos + i sin
HALVES, PAIRS = "halves", "pairs"  # pair i is features (i, i + n / 2), or (2 i, 2 i + 1)


@dataclass(frozen=True)
class Table:
    """`scale * function((offset + i) * freqs[j])`, i along one axis, j along another.

    `function` is "" for the angles themselves; either axis is None where the tensor does not vary.
    `layout` tells how frequencies stand for features: "" one each, HALVES or PAIRS two each,
    "grown" two each along an axis of their own at the end.
    """

    position: int | None = None
    feature: int | None = None
    offset: int | Expr = 0
    freqs: Value | None = None
    layout: str = ""
    function: str = ""
    scale: float = 1.0


class Unproved(Exception):
    """Why a tensor is no such table."""


def table(value: Any, known: dict[Value, Table] | None = None) -> Table:
    """The table that the value is; Unproved with the reason."""
    known = {} if known is None else known
    if not isinstance(value, Value):
        raise Unproved(f"{value!r} is no tensor")
    if value not in known:
        known[value] = _table(value, known)
    return known[value]


def _table(value: Value, known: dict[Value, Table]) -> Table:
    if isinstance(value, Param):
        shape = value.tensor.shape
        long = [axis - len(shape) for axis, size in enumerate(shape) if size != 1] or [-1]
        if not shape or len(long) > 1 or value.tensor.dtype.value not in ("f32", "f16", "bf16"):
            raise Unproved(f"{value.name} is no vector of frequencies")
        return Table(feature=long[0], freqs=value)
    if value.node is None:
        raise Unproved(f"the positions come from the input {value.hint}")
    row = _ROWS.get(value.node.op)
    if row is None:
        raise Unproved(f"the positions or frequencies come from {value.node.op}, which is data")
    return row(value.node, known)


# ---- rows


def _arange(node: Node, known: dict[Value, Table]) -> Table:
    if node["step"] != 1 or isinstance(node["start"], float):
        raise Unproved("the positions do not count by one")
    return Table(position=-1, offset=node["start"])


def _literal(node: Node, known: dict[Value, Table]) -> Table:
    """Frequencies that stand in the code."""
    if node["dtype"].value != "f32":
        raise Unproved("the frequencies in the code are not float32")
    return Table(feature=-1, freqs=node.out)


def _cast(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    if not of.function and node["dtype"].value in ("f16", "bf16"):
        raise Unproved("the angles are rounded to half precision")
    if of.freqs is not None and not node["dtype"].is_float:
        raise Unproved("the angles are rounded to whole numbers")
    return of


def _add(node: Node, known: dict[Value, Table]) -> Table:
    a, b = node.operands
    if not isinstance(a, Value):
        a, b = b, a
    of = table(a, known)
    if of.freqs is not None or isinstance(b, float | Value) or b is None:
        raise Unproved("the positions are no arange and a constant")
    return replace(of, offset=of.offset + b)


def _multiply(node: Node, known: dict[Value, Table]) -> Table:
    a, b = node.operands
    if not isinstance(a, Value):
        a, b = b, a
    if not isinstance(b, Value):
        return _scaled(table(a, known), b)
    return _product(node, table(a, known), table(b, known))


def _scaled(of: Table, factor: Any) -> Table:
    if not of.function or not isinstance(factor, int | float):
        raise Unproved(f"the angles are multiplied by {factor}")
    return replace(of, scale=of.scale * factor)


def _product(node: Node, a: Table, b: Table) -> Table:
    """Positions times frequencies, in either order and in float32."""
    if node.out.tensor.dtype.value != "f32":
        raise Unproved("the angles are rounded to half precision")
    if a.position is None:
        a, b = b, a
    counts = a.position is not None and a.freqs is None
    freqs = b.freqs is not None and b.position is None and not b.function
    if not (counts and freqs) or a.position == b.feature:
        raise Unproved("what is multiplied is not positions and frequencies")
    return replace(b, position=a.position, offset=a.offset)


def _matmul(node: Node, known: dict[Value, Table]) -> Table:
    """An outer product: the axis that is summed has size 1."""
    a, b = node.type(0), node.type(1)
    if min(a.rank, b.rank) < 2 or a.shape[-1] != 1 or b.shape[-2] != 1:
        raise Unproved("positions and frequencies are summed over")
    return _product(node, table(node.operands[0], known), table(node.operands[1], known))


def _einsum(node: Node, known: dict[Value, Table]) -> Table:
    """An outer product, spelled as a sum over nothing."""
    inputs, _, output = node["subscripts"].partition("->")
    parts = inputs.split(",")
    if len(parts) != 2 or sorted("".join(parts)) != sorted(output):
        raise Unproved("positions and frequencies are summed over")
    a, b = (
        _moved(table(o, known), _places(letters, output))
        for o, letters in zip(node.operands, parts, strict=True)
    )
    return _product(node, a, b)


def _places(letters: str, output: str) -> Callable[[int], int | None]:
    """Where the axes of an operand stand in the result."""
    return lambda axis: output.index(letters[axis]) - len(output)


def _moved(of: Table, to: Callable[[int], int | None]) -> Table:
    """The table with its axes renumbered; Unproved where one goes away."""

    def axis(old: int | None) -> int | None:
        new = to(old) if old is not None else None
        if old is not None and new is None:
            raise Unproved("an axis of positions or features is split or joined")
        return new

    if of.layout == "grown" and to(-1) != -1:
        raise Unproved("the axis of feature pairs moves")
    return replace(of, position=axis(of.position), feature=axis(of.feature))


def _reshape(node: Node, known: dict[Value, Table]) -> Table:
    """Axes of size 1 come and go; (n, 2) becomes 2 n."""
    of = table(node.operands[0], known)
    before, after = node.type(0).shape, node.out.tensor.shape
    if of.layout == "grown":
        if before[:-2] != after[:-1] or of.feature != -2:
            raise Unproved("the pairs of features are joined with something else")
        position = None if of.position is None else of.position + 1
        return replace(of, layout=PAIRS, position=position, feature=-1)
    long = [i - len(before) for i, d in enumerate(before) if d != 1]
    places = [i - len(after) for i, d in enumerate(after) if d != 1]
    if [before[i] for i in long] != [after[i] for i in places]:
        raise Unproved("an axis of positions or features is split or joined")
    return _moved(of, dict(zip(long, places, strict=True)).get)


def _expand_dims(node: Node, known: dict[Value, Table]) -> Table:
    rank = node.out.tensor.rank
    kept = [i - rank for i in range(rank) if i not in node["axes"]]
    return _moved(table(node.operands[0], known), lambda axis: kept[axis])


def _squeeze(node: Node, known: dict[Value, Table]) -> Table:
    return _reshape(node, known)


def _transpose(node: Node, known: dict[Value, Table]) -> Table:
    axes, rank = node["axes"], node.out.tensor.rank
    return _moved(table(node.operands[0], known), lambda axis: axes.index(axis + rank) - rank)


def _slice(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    axis, start = node["axis"] - node.type(0).rank, node["start"]
    if axis == of.feature and of.layout == HALVES and _is_half(node):
        return replace(of, layout="")
    if axis != of.position or node["step"] != 1:
        raise Unproved("a part of the frequencies is taken")
    if isinstance(start, int) and start < 0:
        raise Unproved("the last positions are taken")
    return replace(of, offset=of.offset + start)


def _is_half(node: Node) -> bool:
    """Whether a slice takes one of the two equal halves of its axis."""
    size, half = node.type(0).shape[node["axis"]], node.out.tensor.shape[node["axis"]]
    start = node["start"]
    if not isinstance(size, int) or not isinstance(start, int) or node["step"] != 1:
        return False
    return 2 * half == size and start % size in (0, half)


def _concatenate(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    alike = all(o is node.operands[0] or table(o, known) == of for o in node.operands)
    if len(node.operands) != 2 or not alike or of.layout:
        raise Unproved("what is concatenated is not the same angles twice")
    if node["axis"] - node.out.tensor.rank != of.feature:
        raise Unproved("the angles are concatenated along another axis than the features")
    return replace(of, layout=HALVES)


def _stack(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    alike = all(o is node.operands[0] or table(o, known) == of for o in node.operands)
    if len(node.operands) != 2 or not alike or of.layout or of.feature != -1:
        raise Unproved("what is stacked is not the same angles twice")
    if node["axis"] != node.out.tensor.rank - 1:
        raise Unproved("the angles are stacked along another axis than the last")
    position = None if of.position is None else of.position - 1
    return replace(of, layout="grown", position=position, feature=-2)


def _repeat(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    if node["repeats"] != 2 or of.layout or node["axis"] - node.out.tensor.rank != of.feature:
        raise Unproved("what is repeated is not each feature's angle twice")
    return replace(of, layout=PAIRS)


def _function(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    if of.position is None or of.freqs is None or of.function:
        raise Unproved(f"the {node.op} is not of positions times frequencies")
    return replace(of, function=node.op)


def _complex(node: Node, known: dict[Value, Table]) -> Table:
    cos, sin = (table(o, known) for o in node.operands)
    if cos.function != "cos" or replace(cos, function="sin") != sin:
        raise Unproved("the complex numbers are no cosine and sine of the same angles")
    return replace(cos, function=CIS)


def _same(node: Node, known: dict[Value, Table]) -> Table:
    of = table(node.operands[0], known)
    before, after = node.type(0).shape, node.out.tensor.shape
    for axis in (of.position, of.feature):
        if axis is not None and before[axis] != after[axis]:
            raise Unproved("positions or features are repeated")
    return of


_ROWS: dict[str, Callable[[Node, dict[Value, Table]], Table]] = {
    "arange": _arange,
    "literal": _literal,
    "cast": _cast,
    "add": _add,
    "multiply": _multiply,
    "matmul": _matmul,
    "einsum": _einsum,
    "reshape": _reshape,
    "expand_dims": _expand_dims,
    "squeeze": _squeeze,
    "transpose": _transpose,
    "broadcast_to": _same,
    "slice": _slice,
    "concatenate": _concatenate,
    "stack": _stack,
    "repeat": _repeat,
    "complex": _complex,
    "cos": _function,
    "sin": _function,
}
