"""Clean-up: nodes that do nothing, and pairs that cancel.

Rules look through a producer only within one scope: a pair that cancels across the border of a
layer would make the first or the last of repeated layers differ from the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..ir import DType, Graph, InferError, Node, Value
from ..ir.dims import Expr
from ..ir.graph import Operand
from ..ir.ops_shape import slice_range
from .rebuild import Rebuild, producer, walk
from .record import applies

Rule = Callable[[Rebuild, Node], Any]
_OPPOSITES = {"equal": "not_equal", "not_equal": "equal"}


def same_type(out: Rebuild, node: Node) -> Any:
    """A view or a cast that keeps the type keeps the value."""
    x = node.operands[0]
    return x if isinstance(x, Value) and x.type == node.out.type else None


def _slice(out: Rebuild, node: Node) -> Any:
    return same_type(out, node) if node["step"] == 1 else None


def _pad(out: Rebuild, node: Node) -> Any:
    return node.operands[0] if all(w == 0 for w in (*node["low"], *node["high"])) else None


def _transpose(out: Rebuild, node: Node) -> Any:
    """T(T(x)) is one T, or none."""
    inner = producer(node.operands[0], "transpose", scope=node.scope)
    axes = tuple(inner["axes"][a] for a in node["axes"]) if inner else node["axes"]
    x = inner.operands[0] if inner else node.operands[0]
    if axes == tuple(range(len(axes))):
        return x
    return out.emit("transpose", x, like=node, axes=axes) if inner else None


def _concatenate(out: Rebuild, node: Node) -> Any:
    """One array alone; all parts of a split put together again, or all slices of an axis."""
    if len(node.operands) == 1:
        return node.operands[0]
    whole = _joined_slices(node)
    if whole is not None:
        return whole
    split = producer(node.operands[0], "split", scope=node.scope)
    if split and split["axis"] == node["axis"] and list(node.operands) == list(split.results):
        return split.operands[0]
    return None


def _joined_slices(node: Node) -> Value | None:
    """The array of which the parts are slices, one behind the other, from its start to its end."""
    slices = [producer(x, "slice", scope=node.scope) for x in node.operands]
    whole, at = slices[0].values[0] if slices[0] else None, 0
    if whole is None:
        return None
    size: Any = whole.tensor.shape[node["axis"]]
    for part in slices:
        if part is None or part.values[0] is not whole or part["axis"] != node["axis"]:
            return None
        start, stop, _ = slice_range(size, part["start"], part["stop"], 1)
        if part["step"] != 1 or start != at:
            return None
        at = stop
    return whole if at == size else None


def _split(out: Rebuild, node: Node) -> Any:
    return [node.operands[0]] if len(node.results) == 1 else None


def _without_axes(attr: str) -> Rule:
    return lambda out, node: node.operands[0] if node[attr] == () else None


# Integers that the left type holds, all of which the right one holds as well.
_EXACT_BITS = {DType.f16: 11, DType.bf16: 8, DType.f32: 24, DType.f64: 53}


def _bits(dtype: DType) -> int:
    return int(dtype.value[1:]) if dtype.value[0] in "uif" else 0


def lossless(source: DType, target: DType) -> bool:
    """Whether the target type holds every value of the source type."""
    if source is target or source is DType.bool:
        return True
    if source.is_float:
        if source is DType.bf16:
            return target in (DType.f32, DType.f64)
        return target.is_float and target is not DType.bf16 and _bits(target) >= _bits(source)
    if not source.is_integer:
        return False
    signed = source.value[0] == "i"
    if target.is_float:
        return bool(_bits(source) - signed <= _EXACT_BITS[target])
    if not target.is_integer or (signed and target.value[0] == "u"):
        return False
    return bool(_bits(target) - (target.value[0] == "i") >= _bits(source) - signed)


def _cast(out: Rebuild, node: Node) -> Any:
    """A cast to the type that there is; a cast after a widening one reads the narrow value."""
    x = node.operands[0]
    inner = producer(x, "cast", scope=node.scope)
    while inner and lossless(inner.type(0).dtype, inner["dtype"]):
        x = inner.operands[0]
        inner = producer(x, "cast", scope=node.scope)
    if isinstance(x, Value) and x.type == node.out.type:
        return x
    return (
        out.emit("cast", x, like=node, dtype=node["dtype"]) if x is not node.operands[0] else None
    )


def _neutral(value: float, sides: tuple[int, ...]) -> Rule:
    """`x + 0`, `1 * x`: the operand that is left, where it has the result's type."""

    def rule(out: Rebuild, node: Node) -> Any:
        for side in sides:
            number, x = node.operands[side], node.operands[1 - side]
            if _is_number(number, value) and isinstance(x, Value) and x.type == node.out.type:
                return x
        return None

    return rule


def _is_number(operand: Operand, value: float) -> bool:
    return isinstance(operand, int | float) and not isinstance(operand, bool) and operand == value


def _twice(out: Rebuild, node: Node) -> Any:
    """-(-x), not (not x)."""
    inner = producer(node.operands[0], node.op, scope=node.scope)
    return inner.operands[0] if inner else None


def _logic(neutral: bool) -> Rule:
    """`x & True` and `x | False` are x; the other constant decides alone."""

    def rule(out: Rebuild, node: Node) -> Any:
        for number, x in (node.operands, node.operands[::-1]):
            if isinstance(number, bool) and isinstance(x, Value) and x.type == node.out.type:
                if x.tensor.dtype is not DType.bool:
                    return None
                if number is neutral:
                    return x
                return out.emit(
                    "full", like=node, shape=x.tensor.shape, value=number, dtype=DType.bool
                )
        return None

    return rule


def _where_not(out: Rebuild, node: Node) -> Any:
    """`where(a == b, x, where(a != b, y, z))` is `where(a == b, x, y)`."""
    outer, x, other = node.operands
    inner = producer(other, "where", scope=node.scope)
    if inner is None or not _opposite(outer, inner.operands[0]):
        return None
    y = inner.operands[1]
    types = [o.type if isinstance(o, Value) else o for o in (outer, x, y)]
    same = node.row.infer_types(types, {}) == [node.out.type]
    return out.emit("where", outer, x, y, like=node) if same else None


def _opposite(one: Any, other: Any) -> bool:
    """Whether one condition holds exactly where the other does not."""
    first, second = producer(one, *_OPPOSITES), producer(other, *_OPPOSITES)
    if first is None or second is None or _OPPOSITES[first.op] != second.op:
        return False
    pairs = zip(first.operands, second.operands, strict=True)
    return all(a is b if isinstance(a, Value) else _alike(a, b) for a, b in pairs)


def _alike(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def _where(out: Rebuild, node: Node) -> Any:
    condition, a, b = node.operands
    if isinstance(a, Value) and a is b and a.type == node.out.type:
        return a
    inverted = producer(condition, "invert", scope=node.scope)
    return out.emit("where", inverted.operands[0], b, a, like=node) if inverted else None


def _clip(out: Rebuild, node: Node) -> Any:
    return node.operands[0] if node.operands[1] is None and node.operands[2] is None else None


def _select(out: Rebuild, node: Node) -> Any:
    """An index of a stack is one of its arrays."""
    inner, index = producer(node.operands[0], "stack", scope=node.scope), node["index"]
    if inner and inner["axis"] == node["axis"] and not isinstance(index, Expr):
        return inner.operands[index]
    return None


def _of_nothing(identity: Any) -> Rule:
    """A reduction over an axis of size 0, where MLX's CPU loops may not end, is a constant."""

    def of_nothing(out: Rebuild, node: Node) -> Any:
        type_ = node.out.tensor
        if all(node.type(0).shape[a] != 0 for a in node["axes"]):
            return None
        return out.emit("full", like=node, shape=type_.shape, value=identity, dtype=type_.dtype)

    return of_nothing


RULES: dict[str, tuple[Rule, ...]] = {
    "sum": (_of_nothing(0),),
    "prod": (_of_nothing(1),),
    "mean": (_of_nothing(math.nan),),
    "any": (_of_nothing(False),),
    "all": (_of_nothing(True),),
    "cast": (_cast,),
    "reshape": (same_type,),
    "broadcast_to": (same_type,),
    "tile": (same_type,),
    "expand_dims": (same_type,),
    "squeeze": (same_type,),
    "slice": (_slice,),
    "pad": (_pad,),
    "transpose": (_transpose,),
    "flip": (_without_axes("axes"),),
    "concatenate": (_concatenate,),
    "split": (_split,),
    "select": (_select,),
    "add": (_neutral(0, (0, 1)),),
    "subtract": (_neutral(0, (1,)),),
    "multiply": (_neutral(1, (0, 1)),),
    "divide": (_neutral(1, (1,)),),
    "power": (_neutral(1, (1,)),),
    "negative": (_twice,),
    "invert": (_twice,),
    "bitwise_and": (_logic(True),),
    "bitwise_or": (_logic(False),),
    "where": (_where, _where_not),
    "clip": (_clip,),
}


def first_rule(rules: dict[str, tuple[Rule, ...]]) -> Rule:
    """The step that applies the first fitting rule of a node's op."""

    def step(out: Rebuild, node: Node) -> Any:
        for rule in rules.get(node.op, ()):
            replacement = rule(out, node)
            if replacement is not None:
                out.rule = rule.__name__.strip("_")
                return replacement
        return None

    return step


def cleanup(graph: Graph) -> bool:
    """Drop casts, views, arithmetic and broadcasts that change nothing, and pairs that cancel."""
    changed = walk(graph, first_rule(RULES))
    return drop_broadcasts(graph) or changed


def drop_broadcasts(graph: Graph) -> bool:
    """Drop a `broadcast_to` where everything that reads it broadcasts by itself."""
    uses, outputs, dropped = graph.uses(), set(graph.outputs), set()
    for node in graph.nodes:
        if node.op != "broadcast_to" or node.out in outputs:
            continue
        users = list(dict.fromkeys(user for user, _ in uses.get(node.out, ())))
        fits = users and all(_broadcasts(user, node) for user in users)
        if fits and applies("drop_broadcasts", node):
            for user in users:
                user.operands = _swapped(user, node)
            uses.setdefault(node.values[0], []).extend(uses.pop(node.out))
            dropped.add(node)
    if dropped:
        graph.nodes = [n for n in graph.nodes if n not in dropped]
        graph.replace({n.out: n.operands[0] for n in dropped})
    return bool(dropped)


def _swapped(user: Node, node: Node) -> list[Operand]:
    return [node.operands[0] if o is node.out else o for o in user.operands]


def _broadcasts(user: Node, node: Node) -> bool:
    """Whether the user's result stays the same when it reads what is below the broadcast."""
    if not _may_broadcast(user, node.out):
        return False
    try:
        operands = [o.type if isinstance(o, Value) else o for o in _swapped(user, node)]
        return user.row.infer_types(operands, user.attrs) == [r.type for r in user.results]
    except InferError:
        return False


def _may_broadcast(user: Node, value: Value) -> bool:
    places = [i for i, o in enumerate(user.operands) if o is value]
    if user.row.elementwise or user.op == "matmul":
        return True
    return user.op == "attention" and places == [3]
