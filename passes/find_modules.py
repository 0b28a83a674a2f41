"""Modules of a graph whose source states none: repeated blocks, and parts by what they hold.

The chain of the graph (see flow_tree) is cut into units. Sequences of units that repeat become the
items of a list, each a module with its attention and its feed-forward part as modules of their own;
so do residual blocks of convolutions that leave one shape. What is left stays with the caller, or
becomes a stage where it is long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..ir import Graph, Scope
from .canonical_order import canonical_order
from .find_units import NORMS, Run, Unit, labels_of, outcome, runs_of, units_of
from .flow_tree import Chain, FlowTree, Segment
from .name_modules import name_modules
from .parts import parts_of, role_of

_LARGE = 0.4  # a segment with this share of all weights is no block: its own chain is looked at
_INNER = 3  # ... where that has as many blocks
_STAGE = 8  # weights of a stage


def find_modules(graph: Graph) -> bool:
    """Give nodes and parameters modules, where the source named none."""
    if not graph.flat:
        return False
    graph.flat = False
    graph.nodes = canonical_order(graph)
    finder = _Finder(graph)
    finder.run()
    for i, node in enumerate(graph.nodes):
        node.scope = finder.scopes.get(i, graph.root)
    name_modules(graph)
    return True


@dataclass
class _Item:
    """One element of a list: its units, and the module that it is a call of."""

    units: list[Unit]


class _Finder:
    """Gives nodes, by number, their scopes."""

    def __init__(self, graph: Graph):
        self.graph, self.tree = graph, FlowTree(graph)
        self.scopes: dict[int, Scope] = {}
        self.paths: dict[str, int] = {}
        self.total = sum(self.tree.weights)

    def run(self) -> None:
        tree, root = self.tree, self.graph.root
        ends = sorted(tree.children[tree.exit], key=lambda c: -len(tree.below([c])))
        for end in ends:
            if tree.heavy[end] or end == ends[0]:
                self.chain(end, root)
            else:
                self._beside(end)

    def _beside(self, end: int) -> None:
        """An output that is hardly more than a view belongs to where its value is made."""
        for i in self.tree.below([end]):
            makers = self.tree.operands(i)
            if makers:
                self.scopes[i] = self.scopes.get(max(makers), self.graph.root)

    # ---- chains

    def chain(self, end: int, parent: Scope) -> None:
        """Scopes for all nodes that only this node's value needs."""
        chain = self._spliced(self.tree.chain(end))
        for side in chain.shared:
            self._side(side, parent)
        units = units_of(chain, self.tree)
        lists = self._lists(units)
        self._place(units, lists, parent)

    def _side(self, end: int, parent: Scope) -> None:
        """What several parts of a chain read: an encoder, or a mask."""
        inner = units_of(self.tree.chain(end), self.tree)
        if self._lists(inner):
            parent = self._scope("encoder", "Encoder", parent)
        self._assign(self.tree.below([end]), parent)
        self.chain(end, parent)

    def _spliced(self, chain: Chain) -> Chain:
        """The chain with the parts of segments that are most of the model, as in a U-Net."""
        out = Chain([], list(chain.shared))
        for segment in chain.segments:
            largest = max(segment.branches, key=self.tree.heavy.__getitem__, default=None)
            weights = sum(self.tree.weights[i] for i in segment.nodes)
            if largest is None or weights < _LARGE * self.total:
                out.segments.append(segment)
                continue
            inner = self.tree.chain(largest)
            blocks = [s for s in inner.segments if s.branches and _heavy(s, self.tree)]
            if len(blocks) < _INNER:
                out.segments.append(segment)
                continue
            inner = self._spliced(inner)
            gone = {i for s in inner.segments for i in s.nodes}
            gone |= set(self.tree.below(inner.shared))
            rest = [i for i in segment.nodes if i not in gone]
            others = [b for b in segment.branches if b != largest]
            out.shared += inner.shared
            out.segments += [*inner.segments, Segment(segment.end, rest, largest, others)]
        return out

    # ---- lists

    def _lists(self, units: Sequence[Unit]) -> list[tuple[int, list[_Item]]]:
        """(number of the first unit, items) of every list."""
        runs = [
            r
            for r in runs_of(units, labels_of(units, self.tree))
            if r.period > 1 or not self._conv_block(units[r.start])
        ]
        lists = [(r.start, _items(units, r)) for r in runs]
        taken = {i for r in runs for i in range(r.start, r.stop)}
        group: list[int] = []
        for i in [*range(len(units)), -1]:
            last = units[group[-1]] if group else None
            like = i >= 0 and i not in taken and self._conv_block(units[i])
            if like and last and outcome(units[i], self.graph) == outcome(last, self.graph):
                group.append(i)
                continue
            if len(group) > 1:
                lists.append((group[0], [_Item([units[g]]) for g in group]))
            group = [i] if like else []
        return sorted(lists, key=lambda entry: entry[0])

    def _conv_block(self, unit: Unit) -> bool:
        ops = {self.tree.nodes[i].op for i in unit.nodes}
        return unit.block and unit.entry is not None and role_of(ops) == "conv"

    def _place(
        self, units: Sequence[Unit], lists: list[tuple[int, list[_Item]]], parent: Scope
    ) -> None:
        at = 0
        for number, (start, items) in enumerate(lists, 1):
            self._loose(units[at:start], parent)
            name = _list_name(number, len(lists), self._conv_block(items[0].units[0]))
            self._list(items, self._path(name, parent), parent)
            at = start + sum(len(item.units) for item in items)
        self._loose(units[at:], parent)

    def _list(self, items: Sequence[_Item], path: str, parent: Scope) -> None:
        """Items that have all their weights in common are calls of one module."""
        first = self._weights(items[0])
        same = bool(first) and all(self._weights(item) == first for item in items)
        for k, item in enumerate(items):
            place, call = (f"{path}.0", k) if same else (f"{path}.{k}", 0)
            scope = Scope(place, self._class(item), parent, call)
            self._inside(item.units, scope)

    def _weights(self, item: _Item) -> list[object]:
        nodes = [self.tree.nodes[i] for u in item.units for i in u.nodes]
        return [v for n in nodes for v in n.values if v in self.params]

    @property
    def params(self) -> set[object]:
        return set(self.graph.params.values())

    def _class(self, item: _Item) -> str:
        ops = {self.tree.nodes[i].op for u in item.units for i in u.nodes}
        role = role_of(ops)
        if role == "conv":
            return "ResidualBlock" if item.units[0].block else "ConvBlock"
        return {"attention": "TransformerBlock", "recurrent": "RecurrentBlock"}.get(role, "Block")

    # ---- inside

    def _inside(self, units: Iterable[Unit], scope: Scope) -> None:
        """An item's attention and feed-forward parts are modules of their own."""
        calls: dict[str, int] = {}
        for unit in units:
            self._assign(unit.nodes, scope)
            for name, cls, nodes in parts_of(unit, self.tree):
                calls[name] = calls.get(name, 0) + 1
                last = name if calls[name] == 1 else f"{name}{calls[name]}"
                path = f"{scope.path}.{last}" if scope.path else last
                self._assign(nodes, Scope(path, cls, scope, scope.call))

    def _loose(self, units: Sequence[Unit], parent: Scope) -> None:
        """Units that are in no list."""
        for k, unit in enumerate(units):
            ops = {self.tree.nodes[i].op for i in unit.nodes}
            tables = sum(self.tree.nodes[i].op == "embedding" for i in unit.nodes)
            if tables > 1 and unit.heavy == tables:
                nodes = list(unit.nodes)
                if k + 1 < len(units) and self.tree.nodes[units[k + 1].end].op in NORMS:
                    nodes += units[k + 1].nodes
                self._assign(nodes, self._scope("embeddings", "Embeddings", parent))
            elif unit.block and role_of(ops) == "conv":
                cls = "ResidualBlock" if unit.entry is not None else "ConvBlock"
                self._assign(unit.nodes, self._scope("block", cls, parent))
            elif unit.block and not self._towers(unit, parent):
                self._inside([unit], parent)
            elif unit.end not in self.scopes:
                self._assign(unit.nodes, parent)

    def _towers(self, unit: Unit, parent: Scope) -> bool:
        """Whether the unit joins branches with lists of their own: each is an encoder."""
        found = False
        for branch in unit.branches:
            if self._lists(units_of(self.tree.chain(branch), self.tree)):
                if not found:
                    self._assign(unit.nodes, parent)
                found = True
                scope = self._scope("encoder", "Encoder", parent)
                self._assign(self.tree.below([branch]), scope)
                self.chain(branch, scope)
        return found

    # ---- scopes

    def _assign(self, nodes: Iterable[int], scope: Scope) -> None:
        self.scopes.update(dict.fromkeys(nodes, scope))

    def _scope(self, name: str, cls: str, parent: Scope) -> Scope:
        return Scope(self._path(name, parent), cls, parent)

    def _path(self, name: str, parent: Scope) -> str:
        """The name below the parent, numbered from the second on."""
        path = f"{parent.path}.{name}" if parent.path else name
        self.paths[path] = self.paths.get(path, 0) + 1
        return path if self.paths[path] == 1 else f"{path}{self.paths[path]}"


def _items(units: Sequence[Unit], run: Run) -> list[_Item]:
    starts = range(run.start, run.stop, run.period)
    return [_Item(list(units[s : s + run.period])) for s in starts]


def _list_name(number: int, count: int, conv: bool) -> str:
    if count > 1:
        return f"stage{number}"
    return "blocks" if conv else "layers"


def _heavy(segment: Segment, tree: FlowTree) -> bool:
    return any(tree.weights[i] for i in segment.nodes)
