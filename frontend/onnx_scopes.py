"""Scopes of a walk: one for each module path of the file, one for each call of a function."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Scope
from .onnx_names import class_of, scope_path


class Scopes:
    """The scope of each node. Nodes of a function's body belong to the function's scope."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self._known: dict[tuple[str, int], Scope] = {}
        self._stack: list[Scope] = []
        self._calls: dict[str, int] = {}

    def of(self, node: Any) -> Scope:
        base = self._stack[-1] if self._stack else self.graph.root
        if self._stack:
            return base
        scope = self.graph.root
        for path, cls in scope_path(node):
            scope = self._child(scope, path, cls)
        return scope

    def _child(self, parent: Scope, path: str, cls: str) -> Scope:
        key = (path, id(parent))
        if key not in self._known:
            self._known[key] = Scope(path, cls, parent)
        return self._known[key]

    def enter(self, outer: Scope, node: Any, function: Any) -> None:
        """Nodes from here on belong to a call of the function."""
        self._stack.append(self._call_of(outer, node, function))

    def leave(self) -> None:
        self._stack.pop()

    def _call_of(self, outer: Scope, node: Any, function: Any) -> Scope:
        """A function of the standard is no module: its nodes stay where the call is."""
        if getattr(function, "domain", "") in ("", "ai.onnx", "ai.onnx.ml") or not node.name:
            return outer
        part = node.name.strip("/").split("/")[-1]
        if not part.isidentifier():
            return outer
        path = f"{outer.path}.{part}" if outer.path else part
        call = self._calls.get(path, 0)
        self._calls[path] = call + 1
        return Scope(path, class_of(function.name), outer, call)
