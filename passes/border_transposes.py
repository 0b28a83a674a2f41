"""Layout changes at the border of a layer move out of it, so that the layer is one network op."""

from __future__ import annotations

from ..ir import Graph, Node, Param, Scope, Value
from .record import applies

_LAYOUT = {"transpose", "expand_dims", "squeeze", "reshape"}


def border_transposes(graph: Graph) -> bool:
    """Move transposes at the border of a scope with one layer to the scope around it."""
    inside: dict[Scope, list[Node]] = {}
    for node in graph.nodes:
        inside.setdefault(node.scope, []).append(node)
    parents = {s.parent for n in graph.nodes for s in n.scope.chain()}
    changed = False
    for scope, nodes in inside.items():
        others = [n for n in nodes if n.op not in _LAYOUT]
        if (
            scope.parent is None
            or scope in parents
            or len(others) != 1
            or others[0].row.layer is None
        ):
            continue
        changed = _move_out(nodes, others[0]) or changed
    return changed


def _move_out(nodes: list[Node], layer: Node) -> bool:
    """Move what feeds the layer, and what follows it, one scope up."""
    scope, at = layer.scope, nodes.index(layer)
    feeding = _from_outside(nodes[:at])
    moves = bool(feeding) or at + 1 < len(nodes)
    if moves and not applies("border_transposes", layer):
        return False
    for node in [*feeding, *nodes[at + 1 :]]:
        node.scope = scope.parent or scope
    for node in feeding:
        name = scope.names.get(node.values[0])
        if name:
            scope.names[node.out] = name
    read = {v for n in nodes if n.scope is scope for v in n.values}
    scope.names = {v: name for v, name in scope.names.items() if v in read}
    return moves


def _from_outside(nodes: list[Node]) -> list[Node]:
    """Those that work on values from outside: a parameter's layout stays with the layer."""
    own: set[Value] = set()
    for node in nodes:
        if isinstance(node.operands[0], Param) or node.operands[0] in own:
            own.update(node.results)
    return [n for n in nodes if n.out not in own]
