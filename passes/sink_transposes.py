"""Layout: transposes move down through ops that can work on permuted axes, until they cancel.

Ops between transposes form regions. Each region is tried as a whole and changes only if it needs
fewer transposes afterwards: code whose transposes do not cancel stays as its author wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ir import Graph, Node, Param, Scope, Value
from ..ir.graph import Operand, map_structure
from .layout import View, compose, identity, moves_only_ones, repeated, rule_of
from .rebuild import lend_name, make_node
from .record import applies
from .simplify_shapes import inserted_axes

_STRATEGIES = ("lazy", "eager", "last")

# What a region pays: a transpose that moves data, one that is a view, a reshape; and the gain
# that makes a change worth it.
TRANSPOSE, VIEW, RESHAPE, GAIN = 1.0, 0.25, 0.01, 0.2


class Sinker:
    """One walk that keeps transposes pending in the chosen regions. `commit` changes the graph."""

    def __init__(
        self, graph: Graph, regions: Mapping[Node, int], strategy: Mapping[int, str], *,
        layers: bool, commit: bool,
    ):  # fmt: skip
        self.graph, self.regions, self.strategy = graph, regions, strategy
        self.layers, self.commit = layers, commit
        self.nodes: list[Node] = []
        self.views: dict[Value, View] = {}
        self.made: dict[Value, dict[Scope, Value]] = {}
        self.cost: dict[int, float] = {}
        self.region_of: dict[Value, int] = {}
        self.eager = self.last = False
        self._region = -1

    def run(self) -> dict[int, float]:
        """The transposes that each region needs."""
        for node in self.graph.nodes:
            region = self.regions.get(node)
            strategy = self.strategy.get(region, "leave") if region is not None else "leave"
            self._region = -1 if region is None else region
            self.eager, self.last = strategy != "lazy", strategy == "last"
            if strategy == "leave" or not self._sink(node):
                self._keep(node)
        result = map_structure(self._output, self.graph.result)
        if self.commit:
            self.graph.nodes, self.graph.result = self.nodes, result
            self._rename()
        return self.cost

    def _sink(self, node: Node) -> bool:
        if node.op == "transpose":
            view = self.view(node.operands[0])
            self._record(node, [View(view.base, compose(view.axes, node["axes"]))])
            if self.commit:
                lend_name(node.out, view.base)
            return True
        if not any(isinstance(o, Value) and o in self.views for o in node.operands):
            return False
        rule = rule_of(node, self.layers)
        before, cost = len(self.nodes), self.cost.get(self._region, 0.0)
        views = rule(self, node) if rule else None
        if views is None:
            del self.nodes[before:]
            self.cost[self._region] = cost
            return False
        self._record(node, views)
        return True

    def _record(self, node: Node, views: list[View]) -> None:
        for old, view in zip(node.results, views, strict=True):
            self.views[old] = view
            self.region_of[old] = self._region

    def _keep(self, node: Node) -> None:
        operands = [self._plain(o, node) for o in node.operands]
        self.nodes.append(node)
        if self.commit:
            node.operands = operands

    def _plain(self, operand: Operand, like: Node) -> Operand:
        """The operand in its old layout, transposed in the reader's scope unless done around it."""
        if not isinstance(operand, Value) or operand not in self.views:
            return operand
        view = self.views[operand]
        if view.axes == identity(len(view.axes)):
            return view.base
        known = self.made.setdefault(operand, {})
        for scope in reversed(like.scope.chain()):
            if scope in known:
                return known[scope]
        self._region = self.region_of[operand]
        known[like.scope] = self.permuted(view.base, view.axes, like, operand.hint)
        return known[like.scope]

    def _output(self, leaf: Any) -> Any:
        if not isinstance(leaf, Value) or leaf not in self.views:
            return leaf
        root = Node("transpose", [], {}, [leaf.type], self.graph.root)
        root.source = leaf.node.source if leaf.node else None
        return self._plain(leaf, root)

    # ---- what rules use

    def view(self, operand: Operand) -> View:
        assert isinstance(operand, Value)
        return self.views.get(operand) or View(operand, identity(operand.tensor.rank))

    def emit(self, op: str, *operands: Operand, like: Node, **attrs: Any) -> Any:
        node = make_node(op, operands, attrs, like)
        for new, old in zip(node.results, like.results):
            new.hint = old.hint
        self.nodes.append(node)
        return tuple(node.results) if node.row.several else node.out

    def permuted(self, x: Value, axes: tuple[int, ...], like: Node, hint: str = "") -> Value:
        """`transpose(x, axes)`, as a reshape where only axes of size 1 move."""
        if axes == identity(len(axes)):
            return x
        if moves_only_ones(x.tensor.shape, axes):
            self._pay(0.0 if isinstance(x, Param) else VIEW)
            return self.reshaped(x, tuple(x.tensor.shape[a] for a in axes), like)
        shape = repeated(x, axes)
        if x.node and shape:
            name = "repeats" if x.node.op == "tile" else "shape"
            inner = self.reshaped(x.node.values[0], shape, like)
            attrs = {name: tuple(x.node[name][a] for a in axes)}
            return self._new(x.node.op, inner, like, hint or x.hint, **attrs)
        self._pay(0.0 if isinstance(x, Param) else TRANSPOSE)
        return self._new("transpose", x, like, hint, axes=axes)

    def reshaped(
        self, x: Value, shape: tuple[Any, ...], like: Node, free: int | None = None, hint: str = ""
    ) -> Value:
        if shape == x.tensor.shape:
            return x
        self._pay(0.0 if isinstance(x, Param) else RESHAPE)
        grown, dropped = inserted_axes(x.tensor.shape, shape), inserted_axes(shape, x.tensor.shape)
        if grown:
            return self._new("expand_dims", x, like, hint, axes=grown)
        if dropped:
            return self._new("squeeze", x, like, hint, axes=dropped)
        return self._new("reshape", x, like, hint, shape=shape, free=free)

    def _new(self, op: str, x: Value, like: Node, hint: str, **attrs: Any) -> Value:
        node = make_node(op, [x], attrs, like, hint=hint)
        self.nodes.append(node)
        return node.out

    def _pay(self, amount: float) -> None:
        self.cost[self._region] = self.cost.get(self._region, 0.0) + amount

    def _rename(self) -> None:
        """Arguments of a scope keep their names in their new layout."""
        for scope in self.graph.scopes():
            names: dict[Value, str] = {}
            for value, name in scope.names.items():
                for new in self._stand_ins(value):
                    names.setdefault(new, name)
            scope.names = names

    def _stand_ins(self, value: Value) -> list[Value]:
        if value not in self.views:
            return [value]
        return [self.views[value].base, *self.made.get(value, {}).values()]


def sink_transposes(graph: Graph) -> bool:
    """Move transposes down where fewer remain: a channels-first CNN keeps those at its border.

    First between layers, then also through those that work on the last axis.
    """
    between = _sink(graph, layers=False)
    return _sink(graph, layers=True) or between


def _sink(graph: Graph, layers: bool) -> bool:
    regions = _regions(graph, layers)
    before: dict[int, float] = {}
    for node, region in regions.items():
        if node.op == "transpose":
            view = moves_only_ones(node.type(0).shape, node["axes"])
            before[region] = before.get(region, 0.0) + (VIEW if view else TRANSPOSE)
    best: dict[int, tuple[float, str]] = {r: (cost, "leave") for r, cost in before.items()}
    for name in _STRATEGIES if before else ():
        costs = Sinker(
            graph, regions, dict.fromkeys(before, name), layers=layers, commit=False
        ).run()
        for region in before:
            if costs.get(region, 0.0) <= best[region][0] - GAIN:
                best[region] = (costs.get(region, 0.0), name)
    first = {region: node for node, region in reversed(regions.items())}
    chosen = {
        region: name
        for region, (_, name) in best.items()
        if name != "leave" and applies(f"sink_transposes ({name})", first[region])
    }
    if chosen:
        Sinker(graph, regions, chosen, layers=layers, commit=True).run()
    return bool(chosen)


def _regions(graph: Graph, layers: bool) -> dict[Node, int]:
    """Nodes that a pending transpose can reach, numbered by connected region."""
    parent: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while parent[node] is not node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for node in graph.nodes:
        starts = node.op == "transpose" and not isinstance(node.operands[0], Param)
        feeding = [v.node for v in node.values if v.node in parent]
        if starts or (feeding and rule_of(node, layers) is not None):
            parent[node] = node
            for other in feeding:
                assert other is not None
                parent[find(other)] = find(node)
    numbers: dict[Node, int] = {}
    return {node: numbers.setdefault(find(node), len(numbers)) for node in parent}
