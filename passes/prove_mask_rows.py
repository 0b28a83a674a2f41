"""Attention masks that leave every query a key need no guard against empty rows."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value

_VIEWS = ("expand_dims", "squeeze", "reshape", "broadcast_to", "cast")


def prove_mask_rows(graph: Graph) -> bool:
    """Clear `empty_rows` where the first key is visible to every query.

    What the mask says of positions must show that. What it says of data (a padding mask) is taken
    to leave the first key visible: left padding empties only rows of padding, whose results mean
    nothing.
    """
    inputs = set(graph.inputs)
    known: dict[Value, bool] = {}
    changed = False
    for node in graph.nodes:
        if node.op == "attention" and node["empty_rows"]:
            mask = node.operands[3]
            if isinstance(mask, Value) and _shows_first_key(mask, inputs, known):
                node.attrs["empty_rows"] = False
                changed = True
    return changed


def _shows_first_key(mask: Value, inputs: set[Value], known: dict[Value, bool]) -> bool:
    """Whether column 0 of the mask is true in every row."""
    node = mask.node
    if _depends(mask, inputs, known) and (node is None or node.op not in ("bitwise_and", *_VIEWS)):
        return True
    if node is None:
        return False
    if node.op in _VIEWS:
        return _shows_first_key(node.values[0], inputs, known)
    if node.op in ("bitwise_and", "bitwise_or"):
        quantifier = all if node.op == "bitwise_and" else any
        return quantifier(_shows_first_key(v, inputs, known) for v in node.values)
    if node.op == "full":
        return bool(node["value"])
    return _compares_with_first_key(node)


def _depends(value: Value, inputs: set[Value], known: dict[Value, bool]) -> bool:
    """Whether the value is computed from the data of an input."""
    if value not in known:
        stack = [value]
        found = False
        seen: set[Value] = set()
        while stack and not found:
            at = stack.pop()
            found = at in inputs
            if at.node is not None and at not in seen:
                stack += at.node.values
            seen.add(at)
        known[value] = found
    return known[value]


def _compares_with_first_key(node: Node) -> bool:
    """`key <= query`, `query >= key`, `position >= 0`: all hold for key 0."""
    if node.op not in ("less_equal", "greater_equal"):
        return False
    low, high = node.operands if node.op == "less_equal" else reversed(node.operands)
    starts_at_zero = low == 0 if isinstance(low, int) else _counts(low) and _along_keys(low)
    return bool(starts_at_zero) and _counts(high)


def _along_keys(value: Any) -> bool:
    return isinstance(value, Value) and value.tensor.rank > 0 and value.tensor.shape[-1] != 1


def _counts(value: Any) -> bool:
    """Whether the value is 0, 1, 2, ... along an axis."""
    while isinstance(value, Value) and value.node is not None and value.node.op in _VIEWS:
        value = value.node.values[0]
    node = value.node if isinstance(value, Value) else None
    return node is not None and node.op == "arange" and node["start"] == 0 and node["step"] == 1
