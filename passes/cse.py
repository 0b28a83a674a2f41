"""Common subexpressions, within what repeated layers allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir import Graph, Node, Scope, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, walk


def cse(graph: Graph) -> bool:
    """Compute equal nodes once, where the first one's scope encloses the second one's.

    A layer never reads what a sibling layer computed: repeated layers would differ. Nodes without
    value operands (`arange`, `full`) are shared within one scope only: passing them on costs more.
    """
    seen: dict[Any, dict[Scope, Node]] = {}

    def step(out: Rebuild, node: Node) -> Any:
        known = seen.setdefault(key_of(node), {})
        scopes = reversed(node.scope.chain()) if node.values else [node.scope]
        for scope in scopes:
            if scope in known:
                return list(known[scope].results)
        known[node.scope] = node
        return None

    return walk(graph, step)


def key_of(node: Node, known: Mapping[Value, Any] | None = None) -> Any:
    """Equal for nodes that compute the same. `known` has keys for some of the values they read."""
    known = known or {}
    operands = [
        known[o] if isinstance(o, Value) and o in known else _operand_key(o) for o in node.operands
    ]
    if node.row.commutative:
        operands.sort(key=str)
    attrs = tuple((k, _attr_key(v)) for k, v in node.attrs.items())
    return node.op, tuple(operands), attrs


def _operand_key(operand: Operand) -> Any:
    return ("value", id(operand)) if isinstance(operand, Value) else _attr_key(operand)


def _attr_key(value: Any) -> Any:
    """Numbers compare with their type and sign: 1 is not 1.0 is not True, 0.0 is not -0.0."""
    if isinstance(value, tuple):
        return tuple(map(_attr_key, value))
    return type(value).__name__, repr(value) if isinstance(value, float) else value
