"""Scopes of a walk: one for each module path of the file, one for each call of a function.

Exporters fold a norm into the convolution before it: the node says that it is the norm, its weights
that they are the convolution's, which has no node left. It is the module of the weights. Nodes that
an exporter's own clean-up made say nothing: they are in the module around their neighbours. Where a
model calls `self.net.decoder` and not `self.net`, names of nodes start at `decoder`, and those of
its weights at `net.decoder`: the module has the longer path.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from ..ir import Graph, Scope
from .onnx_names import Path, class_of, readable, scope_path


def paths_of(nodes: Sequence[Any]) -> dict[Any, Path]:
    """The modules around each node of the model's graph.

    What quantizing tools put between nodes is outside of the modules of these: rounding is in what
    is around both, and what makes the floats of a stored weight where they are read. Where they
    replace a layer, they drop what was said of it: the data tells what it is part of.
    """
    between = {node for node in nodes if node.op_type in _BETWEEN}
    layers = {node for node in nodes if _is_quantized_layer(node) and scope_path(node) is None}
    out = _paths_of([node for node in nodes if node not in between and node not in layers])
    for node in nodes:
        if node in layers:
            out[node] = _around(node, out, between | layers)
    for node in nodes:
        if node in between:
            after = _path(_after(node, between), out)
            stored = node.inputs[0] is None or node.inputs[0].const_value is not None
            out[node] = after if stored else _common(_path(_before(node, between), out), after)
    return out


_BETWEEN = ("QuantizeLinear", "DequantizeLinear")


def _is_quantized_layer(node: Any) -> bool:
    """Whether it multiplies by a matrix that the file holds as whole numbers."""
    weight = node.inputs[1] if len(node.inputs) > 1 else None
    maker = weight.producer() if weight is not None else None
    if maker is not None and maker.op_type == "DequantizeLinear":
        weight = maker.inputs[0]
    stored = weight.const_value if weight is not None else None
    whole = stored is not None and "INT" in stored.dtype.name and len(stored.shape) > 1
    return whole and "MatMul" in node.op_type


_LEAF = re.compile(r"Norm|Activation|GELU|SiLU|Sigmoid|Tanh|ReLU|Dropout|Identity|Embedding", re.I)


def _around(node: Any, paths: Mapping[Any, Path], unknown: Container[Any]) -> Path:
    """The module of a layer between a node that makes its input and one that reads its result:
    the inner one where one holds the other, else the reader's. Norms and activations hold none.
    """
    before, after = node, node
    while before in unknown:
        before = before.inputs[0].producer() if before.inputs[0] is not None else None
    while after in unknown:
        after = next((use.node for use in after.outputs[0].uses()), None)
    if after is None:
        return []
    maker, reader = _without_leaf(_path(before, paths)), _without_leaf(_path(after, paths))
    return maker if maker[: len(reader)] == reader else reader


def _without_leaf(path: Path) -> Path:
    while path and _LEAF.search(path[-1][1]):
        path = path[:-1]
    return path


def _path(node: Any, paths: Mapping[Any, Path]) -> Path:
    return paths.get(node, []) if node is not None else []


def _before(node: Any, between: Container[Any]) -> Any:
    """What computes the value that the node rounds; None for an input."""
    while node in between:
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return node


def _after(node: Any, between: Container[Any]) -> Any:
    """The first node that reads what was rounded; None for a result."""
    while node in between:
        node = next((use.node for use in node.outputs[0].uses()), None)
    return node


def _paths_of(nodes: Sequence[Any]) -> dict[Any, Path]:
    stated = _rooted(nodes, [scope_path(node) for node in nodes])
    known = {path for modules in stated for path, _ in modules or ()}
    out: dict[Any, Path] = {}
    before: Path = []
    after = _next_stated(stated)
    for node, modules, following in zip(nodes, stated, after, strict=True):
        if modules is None:
            modules = _common(before, following)
        before = modules
        out[node] = _module_of_weights(node, modules, known)
    return out


def _rooted(nodes: Sequence[Any], stated: Sequence[Path | None]) -> list[Path | None]:
    """Paths as the names of the weights have them, where all weights of a module agree."""
    out = list(stated)
    for run in _runs_of_modules(stated):
        prefixes = {p for i in run for p in _prefixes(nodes[i], stated[i] or [])}
        if len(prefixes) != 1 or "" in prefixes:
            continue
        (prefix,) = prefixes
        for i in run:
            out[i] = [(f"{prefix}.{path}", cls) for path, cls in stated[i] or []]
    return out


def _runs_of_modules(stated: Sequence[Path | None]) -> list[list[int]]:
    """Places that follow each other in one outermost module."""
    runs: list[list[int]] = []
    last = ""
    for i, modules in enumerate(stated):
        if modules is None:
            continue
        first = modules[0][0] if modules else ""
        if first and first == last:
            runs[-1].append(i)
        elif first:
            runs.append([i])
        last = first
    return runs


def _prefixes(node: Any, modules: Path) -> set[str]:
    """What stands before the module's path in the names of the weights that the node reads."""
    path = modules[-1][0]
    owners = {readable(v.name or "").rpartition(".")[0] for v in _weights(node)}
    found = {o for o in owners if o == path or o.endswith(f".{path}")}
    return {owner.removesuffix(path).rstrip(".") for owner in found}


def _weights(node: Any) -> list[Any]:
    return [v for v in node.inputs if v is not None and v.const_value is not None]


def _next_stated(stated: Sequence[Path | None]) -> list[Path]:
    """For each place the modules of the next node that states them."""
    out: list[Path] = []
    following: Path = []
    for modules in reversed(stated):
        following = following if modules is None else modules
        out.append(following)
    return out[::-1]


def _common(a: Path, b: Path) -> Path:
    count = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return a[:count]


def _module_of_weights(node: Any, modules: Path, known: set[str]) -> Path:
    """The modules, the last one replaced by a sibling whose weights the node alone reads."""
    names = [v.name for v in _weights(node)]
    owners = {readable(name or "").rpartition(".")[0] for name in names if readable(name or "")}
    if len(owners) != 1 or not modules:
        return modules
    (owner,) = owners
    sibling = owner.rpartition(".")[0] == modules[-1][0].rpartition(".")[0]
    if not owner or owner in known or not sibling:
        return modules
    return [*modules[:-1], (owner, class_of(owner.rpartition(".")[2]))]


class Scopes:
    """The scope of each node. Nodes of a function's body belong to the function's scope."""

    def __init__(self, graph: Graph, nodes: Sequence[Any]):
        self.graph, self.paths = graph, paths_of(nodes)
        self.known = {path for modules in self.paths.values() for path, _ in modules}
        self._known: dict[tuple[str, int], Scope] = {}
        self._stack: list[Scope] = []
        self._calls: dict[str, int] = {}

    def of(self, node: Any) -> Scope:
        base = self._stack[-1] if self._stack else self.graph.root
        if self._stack:
            return base
        scope = self.graph.root
        known = self.paths.get(node)
        for path, cls in scope_path(node) or () if known is None else known:
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
