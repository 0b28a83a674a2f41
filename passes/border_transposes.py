"""Layout changes at the border of a module move out of it where it is a better module without:
one network op, or like others of its class.
"""

from __future__ import annotations

from ..ir import Graph, Node, Param, Scope, Value
from .record import applies

_LAYOUT = {"transpose", "expand_dims", "squeeze", "reshape"}


def border_transposes(graph: Graph) -> bool:
    """Move transposes at the border of a scope to the scope around it, where it holds one layer or
    has siblings without them.
    """
    changed = _layers(graph)
    while _unlike_siblings(graph):
        changed = True
    return changed


def _layers(graph: Graph) -> bool:
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


def _unlike_siblings(graph: Graph) -> bool:
    """Move out what feeds or leaves a module while another of its class has nothing there."""
    bordering = _bordering(graph)
    of_class: dict[str, set[Scope]] = {}
    for scope in graph.scopes():
        if scope.parent is not None:
            of_class.setdefault(scope.cls, set()).add(scope)
    changed = False
    for (scope, side), nodes in bordering.items():
        alike = any(
            (other, side) not in bordering and other.path != scope.path
            for other in of_class.get(scope.cls, ())
        )
        if alike and applies("border_transposes", nodes[0]):
            for node in nodes:
                _lift(node, scope, side)
            changed = True
    return changed


def _bordering(graph: Graph) -> dict[tuple[Scope, str], list[Node]]:
    """Transposes between a module and what is around it, by module and side."""
    uses = graph.uses()
    out: dict[tuple[Scope, str], list[Node]] = {}
    for node in graph.nodes:
        x, scope = node.operands[0] if node.operands else None, node.scope
        if node.op != "transpose" or isinstance(x, Param) or scope.parent is None:
            continue
        assert isinstance(x, Value)
        made_inside = x.node is not None and scope.contains(x.node.scope)
        read_inside = {scope.contains(reader.scope) for reader, _ in uses.get(node.out, ())}
        if not made_inside and read_inside == {True}:
            out.setdefault((scope, "feeds"), []).append(node)
        elif made_inside and True not in read_inside:
            out.setdefault((scope, "leaves"), []).append(node)
    return out


def _lift(node: Node, scope: Scope, side: str) -> None:
    """Into the scope around, which gives the module the transposed value under the same name."""
    node.scope = scope.parent or scope
    name = scope.names.pop(node.values[0], None) if side == "feeds" else None
    if name:
        scope.names[node.out] = name
