"""Rows that are put in another order, and back."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from ..ir.casts import whole
from .dce import sweep
from .record import applies


def cancel_orders(graph: Graph) -> bool:
    """`x[order][back]` is x, where `order` sorts something and `back` undoes it.

    Sequences of different lengths are sorted for torch's packed sequences; here nothing needs it.
    """
    replaced: dict[Value, Any] = {}
    for node in graph.nodes:
        x = _restored(node)
        if x is not None and applies("cancel_orders", node):
            replaced[node.out] = replaced.get(x, x)
    if replaced:
        graph.replace(replaced)
        sweep(graph)
    return bool(replaced)


def _restored(node: Node) -> Value | None:
    """What the node has again after it was put in order: None where that is not known."""
    if node.op != "take" or not isinstance(inner := node.operands[0], Value):
        return None
    first, back = inner.node, whole(node.operands[1])
    if first is None or first.op != "take" or first["axis"] != node["axis"]:
        return None
    order = whole(first.operands[1])
    undone = _is_permutation(order) and _undoes(back, order)
    x = first.operands[0]
    return x if undone and isinstance(x, Value) and x.type == node.out.type else None


def _is_permutation(x: Any) -> bool:
    """Whether the value says how a list is sorted."""
    node = x.node if isinstance(x, Value) else None
    if node is None or x.tensor.rank != 1:
        return False
    return node.op == "argsort" or (node.op == "sort" and x is node.results[1])


def _undoes(back: Any, order: Value) -> bool:
    """Whether `back` is the inverse of the permutation."""
    node = back.node if isinstance(back, Value) else None
    if node is None:
        return False
    if _is_permutation(back) and not node.attrs.get("descending", False):
        return whole(node.operands[0]) is order
    if node.op != "scatter" or back.tensor.shape != order.tensor.shape:
        return False
    _, at, numbers = node.operands
    return whole(at) is order and _counts(whole(numbers), order)


def _counts(x: Any, order: Value) -> bool:
    """Whether the value is 0, 1, 2 ... for each element of the order."""
    node = x.node if isinstance(x, Value) else None
    if node is None or node.op != "arange" or x.tensor.shape != order.tensor.shape:
        return False
    return (node["start"], node["step"]) == (0, 1)
