"""Layout changes at the border of a layer move out of it, so that the layer is one network op."""

from __future__ import annotations

from ..ir import Graph, Node, Scope, Value

_LAYOUT = {"transpose", "expand_dims", "squeeze"}


def border_transposes(graph: Graph) -> bool:
    """Move transposes at the border of a scope that holds one layer besides to the scope around it."""
    inside: dict[Scope, list[Node]] = {}
    for node in graph.nodes:
        inside.setdefault(node.scope, []).append(node)
    parents = {s.parent for n in graph.nodes for s in n.scope.chain()}
    changed = False
    for scope, nodes in inside.items():
        others = [n for n in nodes if n.op not in _LAYOUT]
        if scope.parent is None or scope in parents or len(others) != 1 or others[0].row.layer is None:
            continue
        changed = _move_out(nodes, others[0]) or changed
    return changed


def _move_out(nodes: list[Node], layer: Node) -> bool:
    """Move what feeds the layer, and what follows it, one scope up."""
    scope = layer.scope
    at = nodes.index(layer)
    movable = [*_before(nodes[:at]), *nodes[at + 1 :]]
    for node in movable:
        if node.scope.parent is not None:
            node.scope = node.scope.parent
        name = scope.names.get(node.values[0]) if node in nodes[:at] else None
        if name:
            scope.names[node.out] = name
    return bool(movable)


def _before(nodes: list[Node]) -> list[Node]:
    """Those that work on a value which comes from outside: a parameter's own layout stays with the layer."""
    from ..ir import Param

    made: set[Value] = {r for n in nodes for r in n.results if isinstance(n.operands[0], Param)}
    return [n for n in nodes if not isinstance(n.operands[0], Param) and n.operands[0] not in made]
