"""Names of values in flat graphs: `x` enters a module, `h` runs through a list of them."""

from __future__ import annotations

from ..ir import Graph, Node, Param, Scope, Value

_VIEWS = frozenset(["expand_dims", "reshape", "transpose", "cast", "squeeze"])
_TABLES = frozenset(["cos", "sin"])


def name_values(graph: Graph) -> None:
    """Give values names where the file has none."""
    _name_tables(graph)
    entering: dict[Scope, Value] = {}
    last: dict[Scope, Node] = {}
    for node in graph.nodes:
        for scope in node.scope.chain()[1:]:
            last[scope] = node
            if scope not in entering:
                _enter(node, scope, entering)
    for node in graph.nodes:
        if node.op == "attention":
            _name_attention(node)
    inputs = set(graph.inputs)
    for scope, value in entering.items():
        if value not in inputs and not value.hint:
            scope.names.setdefault(value, "x")
    for scope, node in last.items():
        if scope.path.rpartition(".")[2].isdigit() and not node.out.hint:
            node.out.hint = "h"


def _enter(node: Node, scope: Scope, entering: dict[Scope, Value]) -> None:
    for value in node.values:
        outside = value.node is None or not scope.contains(value.node.scope)
        if not isinstance(value, Param) and outside:
            entering[scope] = value
            return


def _name_attention(node: Node) -> None:
    """What attends and is attended to from outside: a mask, and another sequence."""
    cross = node.scope.cls == "CrossAttention"
    if len(node.operands) > 3 and isinstance(node.operands[3], Value):
        _call(node.operands[3], node.scope, "context_mask" if cross else "mask")
    if cross:
        _call(node.values[1], node.scope, "context")


def _call(value: Value, scope: Scope, name: str) -> None:
    """Name what a value is made from, in all modules that it enters on the way."""
    while value.node is not None and value.node.values and value.node.scope is scope:
        value = value.node.values[0]
    if isinstance(value, Param) or value.hint not in ("", "mask"):
        return
    if name == "context_mask":  # beside the mask of what attends
        value.hint = name
    for inner in reversed(scope.chain()[1:]):
        if value.node is not None and inner.contains(value.node.scope):
            return
        inner.names.setdefault(value, name)


def _name_tables(graph: Graph) -> None:
    """Tables of angles, and views of them."""
    for node in graph.nodes:
        before = node.values[0].hint if node.op in _VIEWS and node.values else ""
        name = node.op if node.op in _TABLES else before if before in _TABLES else ""
        if name and not node.out.hint:
            node.out.hint = name
