"""Copies of graphs. Tensors are not copied: recipes and constants are shared."""

from __future__ import annotations

from typing import Any

from .graph import Graph, Node, Param, Scope, Value, map_structure


def clone(graph: Graph) -> Graph:
    """An equal graph that shares no value, node, scope or parameter with this one."""
    return _Cloner().graph(graph)


class _Cloner:
    def __init__(self) -> None:
        self.values: dict[Value, Value] = {}
        self.scopes: dict[Scope, Scope] = {}

    def graph(self, graph: Graph) -> Graph:
        out = Graph(graph.name, self.scope(graph.root))
        out.tensors, out.facts, out.flat = graph.tensors, dict(graph.facts), graph.flat
        out.params = {name: self.param(p) for name, p in graph.params.items()}
        out.arguments = [(n, map_structure(self.leaf, t)) for n, t in graph.arguments]
        out.nodes = [self.node(n) for n in graph.nodes]
        out.result = map_structure(self.leaf, graph.result)
        for old, new in self.scopes.items():
            new.names = {self.values[v]: k for v, k in old.names.items() if v in self.values}
        return out

    def scope(self, scope: Scope) -> Scope:
        if scope not in self.scopes:
            parent = self.scope(scope.parent) if scope.parent else None
            self.scopes[scope] = Scope(scope.path, scope.cls, parent, scope.call)
        return self.scopes[scope]

    def param(self, param: Param) -> Param:
        out = Param(param.name, param.tensor, param.recipe, param.buffer)
        out.hint = param.hint
        self.values[param] = out
        return out

    def leaf(self, leaf: Any) -> Any:
        if not isinstance(leaf, Value):
            return leaf
        if leaf not in self.values:
            self.values[leaf] = Value(leaf.type, leaf.hint)
        return self.values[leaf]

    def node(self, node: Node) -> Node:
        types = [r.type for r in node.results]
        operands = [self.leaf(o) for o in node.operands]
        attrs = {k: self.graph(v) if isinstance(v, Graph) else v for k, v in node.attrs.items()}
        out = Node(node.op, operands, attrs, types, self.scope(node.scope), node.source)
        out.by, out.via = node.by, node.via
        for old, new in zip(node.results, out.results, strict=True):
            new.hint = old.hint
            self.values[old] = new
        return out
