"""What only a module's own weights are in, and only the module reads, is computed in the module.

`weight_norm` computes a layer's weight before each call of the layer: in the trace it stands in the
caller, which would hand the layer a weight that is made of the layer's own.
"""

from __future__ import annotations

from ..ir import Graph, Node, Param, Scope, Value
from ..ir.blocks import blocks
from ..ir.draws import draws_inside
from .rebuild import make_node
from .record import applies

Uses = dict[Value, list[tuple[Node, int]]]


def own_weights(graph: Graph) -> bool:
    """Move such nodes into the call that reads them; each of several calls gets a copy."""
    made = _of_weights(graph)
    uses, leaving = graph.uses(), set(graph.outputs)
    before: dict[Node, list[Node]] = {}  # the moved nodes by the reader that they go before
    moved: set[Node] = set()
    for node in reversed(graph.nodes):
        if node not in made or leaving.intersection(node.results):
            continue
        homes = _homes(node, made[node], uses)
        if homes and applies("own_weights", node):
            moved.add(node)
            _move(node, homes, uses, before)
    if moved:
        graph.nodes = _placed([n for n in graph.nodes if n not in moved], before)
    return bool(moved)


def _of_weights(graph: Graph) -> dict[Node, frozenset[str]]:
    """Nodes that are computed from weights alone, with the names of these."""
    made: dict[Node, frozenset[str]] = {}
    for node in graph.nodes:
        if blocks(node) or draws_inside(node) or not node.values or len(node.results) != 1:
            continue
        names = [
            frozenset([v.name]) if isinstance(v, Param) else made.get(v.node) if v.node else None
            for v in node.values
        ]
        if None not in names:
            made[node] = frozenset().union(*(n for n in names if n))
    return made


def _homes(node: Node, names: frozenset[str], uses: Uses) -> dict[Node, Scope]:
    """The call that each reader belongs to, of the module that has these weights; {} where a
    reader is in none.
    """
    homes: dict[Node, Scope] = {}
    for user, _ in uses.get(node.out, ()):
        inner = user.scope.chain()[len(node.scope.chain()) :]
        within = node.scope.contains(user.scope)
        fitting = [s for s in inner if all(n.startswith(s.path + ".") for n in names)]
        if not within or not fitting:
            return {}
        homes[user] = fitting[-1]
    return homes


def _move(node: Node, homes: dict[Node, Scope], uses: Uses, before: dict[Node, list[Node]]) -> None:
    """One node in each of the calls, before its readers there."""
    made: dict[Scope, Node] = {}
    for user, scope in homes.items():
        if scope not in made:
            made[scope] = _copy(node, scope, uses) if made else node
        if made[scope] is not node:
            user.operands = [made[scope].out if o is node.out else o for o in user.operands]
        before.setdefault(user, []).append(made[scope])
    for scope, each in made.items():
        each.scope = scope


def _copy(node: Node, scope: Scope, uses: Uses) -> Node:
    copy = make_node(node.op, list(node.operands), node.attrs, node, scope)
    for i, value in enumerate(copy.values):
        uses.setdefault(value, []).append((copy, i))
    return copy


def _placed(nodes: list[Node], before: dict[Node, list[Node]]) -> list[Node]:
    """The nodes in order, the moved ones before the first of their readers."""
    out: dict[Node, None] = {}

    def place(node: Node) -> None:
        for earlier in before.get(node, ()):
            if earlier not in out:
                place(earlier)
        out[node] = None

    for node in nodes:
        place(node)
    return list(out)
