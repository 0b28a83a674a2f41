"""What sibling modules share is computed around them, before the first of them.

Exporters that drop common subexpressions leave the mask or the positions of all layers in the
first layer, and the others read them there: repeated layers would differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeGuard

from ..ir import Graph, Node, Scope, Value
from ..ir.draws import draws_inside
from ..ir.graph import Param
from .rebuild import common_scope, make_node
from .record import applies

_LARGEST = 64  # nodes; a computation of that size is no mask and no table
_ROUNDS = 8

Uses = dict[Value, list[tuple[Node, int]]]


@dataclass(frozen=True)
class _Lift:
    """Nodes of a module that go to the scope around it, before its own first node."""

    nodes: tuple[Node, ...]
    scope: Scope
    before: int


def lift_shared(graph: Graph) -> bool:
    """Move nodes that a module shares with a sibling out of it.

    A module keeps what it does not read itself (its results) and what is computed from its
    parameters. Constants do not move: every module makes its own.
    """
    changed = _copy_constants(graph)
    for _ in range(_ROUNDS):
        lifts = _lifts(graph)
        if not lifts:
            break
        _move(graph, lifts)
        changed = True
    return changed


def _copy_constants(graph: Graph) -> bool:
    """Modules beside the one that fills a tensor with a number fill one of their own."""
    copies: dict[tuple[Node, Scope], Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        for i, value in enumerate(node.operands):
            if not isinstance(value, Value) or not _is_constant(value.node):
                continue
            if value.node.scope.contains(node.scope):
                continue
            key = value.node, node.scope
            if key not in copies:
                copies[key] = make_node("full", [], value.node.attrs, value.node, node.scope)
                nodes.append(copies[key])
            node.operands[i] = copies[key].out
        nodes.append(node)
    graph.nodes = nodes
    return bool(copies)


def _is_constant(node: Node | None) -> TypeGuard[Node]:
    return (
        node is not None
        and node.op == "full"
        and all(isinstance(dim, int) for dim in node.out.tensor.shape)
    )


def _lifts(graph: Graph) -> list[_Lift]:
    uses, place = graph.uses(), {n: i for i, n in enumerate(graph.nodes)}
    first: dict[Scope, int] = {}
    for node in graph.nodes:
        for scope in node.scope.chain():
            first.setdefault(scope, place[node])
    out: list[_Lift] = []
    taken: set[Node] = set()
    for node in graph.nodes:
        lift = None if node in taken else _lift(node, uses, place, first)
        if lift and taken.isdisjoint(lift.nodes) and applies("lift_shared", node):
            out.append(lift)
            taken.update(lift.nodes)
    return out


def _lift(node: Node, uses: Uses, place: dict[Node, int], first: dict[Scope, int]) -> _Lift | None:
    """What has to move for the node to stand around the modules that read it."""
    readers = [user.scope for v in node.results for user, _ in uses.get(v, ())]
    around = common_scope([node.scope, *readers])
    if around is node.scope or not readers:
        return None
    module = node.scope.chain()[len(around.chain())]
    inside = [s for s in readers if module.contains(s)]
    sibling = [s for s in readers if s not in inside and not s.contains(node.scope)]
    if not inside or not sibling:
        return None
    before = first[module]
    nodes = _cone(node, module)
    return (
        None
        if nodes is None or not _ready(nodes, place, before)
        else _Lift(tuple(sorted(nodes, key=lambda n: place[n])), around, before)
    )


def _cone(node: Node, module: Scope) -> set[Node] | None:
    """The nodes of the module that the node is computed from; None where weights are read, or
    numbers are drawn: those of the module would be drawn in another order.
    """
    found, todo = {node}, [node]
    while todo:
        if draws_inside(todo[-1]):
            return None
        for value in todo.pop().values:
            if isinstance(value, Param):
                return None
            if value.node and module.contains(value.node.scope) and value.node not in found:
                found.add(value.node)
                todo.append(value.node)
        if len(found) > _LARGEST:
            return None
    return found


def _ready(nodes: Iterable[Node], place: dict[Node, int], before: int) -> bool:
    """Whether all that the nodes read from elsewhere is there before the module."""
    made = {v for n in nodes for v in n.results}
    return all(
        v in made or v.node is None or place[v.node] < before for n in nodes for v in n.values
    )


def _move(graph: Graph, lifts: list[_Lift]) -> None:
    """In the order of the places where they go; the order of the others stays."""
    moved = {n: (lift.before, 0, i) for i, lift in enumerate(lifts) for n in lift.nodes}
    order = {n: moved.get(n, (i, 1, 0)) for i, n in enumerate(graph.nodes)}
    for lift in lifts:
        for node in lift.nodes:
            node.scope = lift.scope
    graph.nodes.sort(key=lambda n: order[n])
