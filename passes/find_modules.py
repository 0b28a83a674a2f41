"""Modules of a graph whose source states none: repeated blocks, and parts by what they hold.

The chain of the graph (see flow_tree) is cut into units. Sequences of units that repeat become the
items of a list, each a module with its attention and its feed-forward part as modules of their own;
so do residual blocks of convolutions that leave one shape. What is left stays with the caller, or
becomes a stage where it is long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ..ir import Graph, Param, Scope
from .canonical_order import canonical_order
from .find_items import Item, items_of
from .find_stages import stages_of
from .find_units import NORMS, Unit, units_of
from .flow_tree import Chain, FlowTree, Segment
from .keep_names import keep_names
from .name_modules import name_modules
from .name_values import name_values
from .parts import parts_of, role_of

_LARGE = 0.4  # a segment with this share of all weights is no block: its own chain is looked at
_INNER = 3  # ... where that has as many blocks
_DEEP = 50  # modules inside modules; what is deeper is written in place
_NESTED = 8  # weights of a unit whose branches may hold blocks
_LISTS = {"attention": "layers", "conv": "blocks", "recurrent": "layers", "linear": "layers"}


def find_modules(graph: Graph) -> bool:
    """Give nodes and parameters modules, where the source named none."""
    if not graph.flat:
        return False
    graph.flat = False
    graph.nodes = canonical_order(graph)
    finder = _Finder(graph)
    finder.run()
    for node in graph.nodes:
        node.scope = finder.scopes.get(finder.tree.number[node], graph.root)
    keep_names(graph)
    name_values(graph)
    name_modules(graph)
    return True


class _Finder:
    """Gives nodes, by number, their scopes."""

    def __init__(self, graph: Graph):
        self.graph, self.tree = graph, FlowTree(graph)
        self.scopes: dict[int, Scope] = {}
        self.paths: dict[str, int] = {}
        self.depth = 0
        self.parts: dict[Scope, Counter[str]] = {}
        self.total = sum(self.tree.weights)
        self.readers = Counter(v for node in graph.nodes for v in set(node.values))

    def run(self) -> None:
        tree, root = self.tree, self.graph.root
        ends = sorted(tree.children[tree.exit], key=lambda c: -len(tree.below([c])))
        for end in ends:
            if tree.heavy[end] or end == ends[0]:
                self.chain(end, root)
            else:
                self._beside(end)
        self._number_first()

    def _number_first(self) -> None:
        """The first of several modules of one name has a number, too."""
        several = [path for path, count in self.paths.items() if count > 1]
        scopes = {s for scope in self.scopes.values() for s in scope.chain()}
        for path in several:
            for scope in scopes:
                if scope.path == path or scope.path.startswith(f"{path}."):
                    scope.path = f"{path}1{scope.path[len(path) :]}"

    def _beside(self, end: int) -> None:
        """An output that is hardly more than a view belongs to where its value is made."""
        for i in self.tree.below([end]):
            makers = self.tree.operands(i)
            if makers:
                self.scopes[i] = self.scopes.get(max(makers), self.graph.root)

    # ---- chains

    def chain(self, end: int, parent: Scope) -> None:
        """Scopes for all nodes that only this node's value needs."""
        if self.depth > _DEEP:
            self._assign(self.tree.below([end]), parent)
            return
        self.depth += 1
        self._chain(end, parent)
        self.depth -= 1

    def _chain(self, end: int, parent: Scope) -> None:
        chain = self._spliced(self.tree.chain(end))
        for side in chain.shared:
            self._side(side, parent)
        units = units_of(chain, self.tree)
        groups = self._lists(units)
        stages = stages_of(units, groups, self.tree)
        several = sum(own for _, _, own in stages) > 1
        for first, stop, own in stages:
            scope = self._stage(parent, several) if own else parent
            inside = [g for g in groups if first <= g[0].start < stop]
            self._place(units, inside, scope, first, stop)

    def _stage(self, parent: Scope, several: bool) -> Scope:
        scope = self._scope("stage", "Stage", parent)
        if several:
            scope.cls = f"Stage{self.paths[f'{parent.path}.stage'.lstrip('.')]}"
        return scope

    def _side(self, end: int, parent: Scope) -> None:
        """What several parts of a chain read: an encoder, or a mask."""
        scope = self._scope("encoder", "Encoder", parent) if self._has_list(end) else parent
        nodes = self.tree.below([end])
        self._assign(nodes, scope)
        self.chain(end, scope)
        self._assign((i for i in nodes if self._looks_up_shared(i)), parent)

    def _looks_up_shared(self, i: int) -> bool:
        """Whether the node is an embedding whose table others read: it stays with both."""
        node = self.tree.nodes[i]
        return node.op == "embedding" and self.readers[node.values[0]] > 1

    def _spliced(self, chain: Chain, depth: int = 0) -> Chain:
        """The chain with the parts of segments that are most of the model, as in a U-Net."""
        out = Chain([], list(chain.shared))
        for segment in chain.segments:
            largest = max(segment.branches, key=self.tree.heavy.__getitem__, default=None)
            weights = sum(self.tree.weights[i] for i in segment.nodes)
            if largest is None or weights < _LARGE * self.total or depth > _DEEP:
                out.segments.append(segment)
                continue
            inner = self.tree.chain(largest)
            blocks = [s for s in inner.segments if s.branches and _heavy(s, self.tree)]
            if len(blocks) < _INNER:
                out.segments.append(segment)
                continue
            inner = self._spliced(inner, depth + 1)
            gone = {i for s in inner.segments for i in s.nodes}
            gone |= set(self.tree.below(inner.shared))
            rest = [i for i in segment.nodes if i not in gone]
            others = [b for b in segment.branches if b != largest]
            out.shared += inner.shared
            out.segments += [*inner.segments, Segment(segment.end, rest, largest, others)]
        return out

    def _lists(self, units: Sequence[Unit]) -> list[list[Item]]:
        """Items that follow each other, do the same kind of work and leave the same shape."""
        groups: list[list[Item]] = []
        for item in items_of(units, self.tree):
            last = groups[-1][-1] if groups else None
            near = last is not None and last.start + len(last.units) == item.start
            if last is not None and near and last.cls == item.cls and last.out == item.out:
                groups[-1].append(item)
            else:
                groups.append([item])
        return groups

    def _place(
        self, units: Sequence[Unit], groups: Sequence[list[Item]], parent: Scope, at: int, stop: int
    ) -> None:
        """Scopes for the units from `at` to `stop`, of which the groups are some."""
        lists = [g for g in groups if len(g) > 1]
        for group in groups:
            first = group[0]
            self._loose(units[at : first.start], parent)
            at = first.start + sum(len(item.units) for item in group)
            if len(group) > 1:
                name = f"stage{lists.index(group) + 1}" if len(lists) > 1 else _LISTS[first.role]
                self._list(group, self._path(name, parent), parent)
            elif not self._towers(first.units[0], parent):
                self._inside(first.units, self._scope("block", first.cls, parent))
        self._loose(units[at:stop], parent)

    def _list(self, items: Sequence[Item], path: str, parent: Scope) -> None:
        """Items that have all their weights in common are calls of one module."""
        first = self._weights(items[0])
        same = bool(first) and all(self._weights(item) == first for item in items)
        for k, item in enumerate(items):
            place, call = (f"{path}.0", k) if same else (f"{path}.{k}", 0)
            self._inside(item.units, Scope(place, item.cls, parent, call))

    def _weights(self, item: Item) -> list[Param]:
        nodes = [self.tree.nodes[i] for u in item.units for i in u.nodes]
        return [v for n in nodes for v in n.values if isinstance(v, Param)]

    # ---- inside

    def _inside(self, units: Iterable[Unit], scope: Scope) -> None:
        """The attention and feed-forward parts of units are modules of their own."""
        calls = self.parts.setdefault(scope, Counter())
        for unit in units:
            self._assign(unit.nodes, scope)
            inner = self._nested(unit)
            for branch in inner:
                self.chain(branch, scope)
            for name, cls, nodes in [] if inner else parts_of(unit, self.tree):
                calls[name] += 1
                last = name if calls[name] == 1 else f"{name}{calls[name]}"
                path = f"{scope.path}.{last}" if scope.path else last
                self._assign(nodes, Scope(path, cls, scope, scope.call))

    def _nested(self, unit: Unit) -> list[int]:
        """Branches that hold blocks themselves, such as attention between convolutions."""
        if sum(bool(self.tree.weights[i]) for i in unit.nodes) < _NESTED:
            return []
        return [b for b in unit.branches if any(map(self._attends, self._units(b)))]

    def _attends(self, unit: Unit) -> bool:
        """Whether a unit is a sum of what came before and attention."""
        ops = {self.tree.nodes[i].op for i in unit.nodes}
        joins = self.tree.nodes[unit.joint].op in ("add", "concatenate")
        return unit.block and joins and role_of(ops) == "attention"

    def _units(self, end: int) -> list[Unit]:
        return units_of(self.tree.chain(end), self.tree)

    def _loose(self, units: Sequence[Unit], parent: Scope) -> None:
        """Units that are no items."""
        for k, unit in enumerate(units):
            tables = sum(self.tree.nodes[i].op == "embedding" for i in unit.nodes)
            if tables > 1 and unit.heavy == tables:
                nodes = list(unit.nodes)
                if k + 1 < len(units) and self.tree.nodes[units[k + 1].end].op in NORMS:
                    nodes += units[k + 1].nodes
                self._assign(nodes, self._scope("embeddings", "Embeddings", parent))
            elif self._nested(unit):
                role = "transformer" if self.tree.nodes[unit.joint].op == "add" else "stage"
                self._inside([unit], self._scope(role, role.capitalize(), parent))
            elif unit.block and not self._towers(unit, parent):
                self._inside([unit], parent)
            elif unit.end not in self.scopes:
                self._assign(unit.nodes, parent)

    def _towers(self, unit: Unit, parent: Scope) -> bool:
        """Whether the unit joins branches with lists of their own: each is an encoder."""
        towers = [b for b in unit.branches if self.tree.entries[b] and self._has_list(b)]
        if towers:
            self._assign(unit.nodes, parent)
        for branch in towers:
            scope = self._scope("encoder", "Encoder", parent)
            self._assign(self.tree.below([branch]), scope)
            self.chain(branch, scope)
        return bool(towers)

    def _has_list(self, end: int) -> bool:
        return any(len(g) > 1 for g in self._lists(self._units(end)))

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


def _heavy(segment: Segment, tree: FlowTree) -> bool:
    return any(tree.weights[i] for i in segment.nodes)
