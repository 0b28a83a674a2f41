"""Dead code: nodes and parameters that no output needs."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from ..ir.graph import Param


def dce(graph: Graph) -> bool:
    """Drop nodes that no output needs, and parameters that no node reads."""
    before = len(graph.nodes), len(graph.params)
    live = sweep(graph)
    graph.params = {name: p for name, p in graph.params.items() if p in live}
    return (len(graph.nodes), len(graph.params)) != before


def sweep(graph: Graph) -> set[Value]:
    """Drop nodes that no output needs; the values that are left in use."""
    live: set[Value] = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if any(r in live for r in node.results):
            live.update(node.values)
            kept.append(node)
    graph.nodes = kept[::-1]
    _forget_names(graph, live)
    return live


def _forget_names(graph: Graph, live: set[Value]) -> None:
    """Argument names of values that are gone go too."""
    defined = {r for n in graph.nodes for r in n.results} | set(graph.inputs)
    for scope in graph.scopes():
        gone = [
            v for v in scope.names if v not in defined and not (isinstance(v, Param) and v in live)
        ]
        for value in gone:
            del scope.names[value]
