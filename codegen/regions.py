"""Regions: the graph's nodes as a tree of module calls, each with its inputs and outputs.

A region becomes a class (or a layer of `mlx.nn`). A scope that cannot be one, because its nodes
cannot run as one call, because it reads weights of another module, or because it is only a
container, is dissolved: its items join the enclosing region. `Plan.log` says why.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ..ir import Graph, Node, Param, Scope, Value
from ..ir.blocks import binds, computed_sizes, data_sizes, reads
from ..ir.dims import Expr
from ..ir.draws import draws_inside
from ..ir.tree import Layer, Width
from .strays import move_strays

SMALL = 2  # a module without weights and with at most this many ops is written in place


@dataclass(eq=False)
class Region:
    """One call of a module: its items in order, the values that enter and leave it."""

    scope: Scope
    parent: Region | None = None
    items: list[Node | Region] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    layer: Layer | None = None
    made: bool = False  # a layer that is no module of the source

    @property
    def path(self) -> str:
        return self.scope.path

    @property
    def children(self) -> list[Region]:
        return [i for i in self.items if isinstance(i, Region)]

    def nodes(self) -> Iterator[Node]:
        for item in self.items:
            if isinstance(item, Node):
                yield item
            else:
                yield from item.nodes()

    def walk(self) -> Iterator[Region]:
        """This region and all below it, the deepest first."""
        for child in self.children:
            yield from child.walk()
        yield self


@dataclass
class Plan:
    """The region tree of a graph and what was dissolved on the way."""

    graph: Graph
    root: Region
    log: list[str] = field(default_factory=list)
    attributes: dict[tuple[str, Any], str] = field(default_factory=dict)  # of layers that are made
    fresh: frozenset[str] = frozenset()  # sizes that depend on data
    computed: frozenset[str] = frozenset()  # those that the code computes with


def under(path: str, name: str) -> bool:
    """Whether the dotted name lies below the module path."""
    return not path or name.startswith(path + ".")


def relative(path: str, name: str) -> str:
    return name[len(path) + 1 :] if path else name


def is_number(part: str) -> bool:
    """Whether a component of a path is the number of a list element."""
    return part.isascii() and part.isdecimal()


def build_regions(graph: Graph) -> Plan:
    """The region tree, with everything dissolved that cannot be a class of its own."""
    plan = Plan(graph, _nest(graph), fresh=frozenset(data_sizes(graph)))
    plan.computed = frozenset(computed_sizes(graph))
    _bring_home(plan)
    _adopt_layers(plan)
    _dissolve_where(plan, _is_container, "only holds other modules by number")
    _dissolve_where(plan, _is_small, "is one or two ops without weights")
    _dissolve_where(plan, _is_elsewhere, "is a module of another part of the model")
    for _ in range(len(list(plan.root.walk())) + 1):
        if not (_dissolve_foreign(plan) or _order(plan)):
            break
    relink(plan)
    while _dissolve_other_layers(plan) or (plan.fresh and _dissolve_leaking(plan)):
        relink(plan)
    if move_strays(plan):
        relink(plan)
    return plan


def relink(plan: Plan) -> None:
    """Order, inputs, outputs and layers anew, after the tree has changed."""
    _make_layers(plan)
    _order(plan)
    _link(plan)
    for region in plan.root.walk():
        region.layer = _layer_of(region)


def _dissolve_other_layers(plan: Plan) -> bool:
    """One attribute is one layer: a second op on its weights is written in the caller."""
    first: dict[str, Region] = {}
    classes = {region.path: region for region in plan.root.walk() if region.layer is None}
    for region in plan.root.walk():
        if region.layer is None:
            continue
        known = classes.get(region.path) or first.setdefault(region.path, region)
        if known.layer is None or (known.layer.cls, known.layer.kwargs) != (
            region.layer.cls,
            region.layer.kwargs,
        ):
            dissolve(plan, region, f"uses the weights of {region.path} in another way")
            return True
    return False


def _dissolve_leaking(plan: Plan) -> bool:
    """A size from data that is used outside must be the size of something that gets out."""
    for region in plan.root.walk():
        inside = set(region.nodes())
        bound = {name for n in inside for name in binds(n)}
        given = {str(d) for v in region.outputs for d in v.tensor.shape}
        if region.parent is None or bound <= given:
            continue
        outside = {name for n in plan.root.nodes() if n not in inside for name in reads(n)}
        if (bound - given) & outside:
            dissolve(plan, region, "finds out a size that is used outside")
            return True
    return False


def _nest(graph: Graph) -> Region:
    """Regions by scope, items in graph order."""
    root = Region(graph.root)
    regions = {graph.root: root}
    for node in graph.nodes:
        for scope in node.scope.chain()[1:]:
            if scope not in regions:
                assert scope.parent is not None
                parent = regions[scope.parent]
                regions[scope] = Region(scope, parent)
                parent.items.append(regions[scope])
        regions[node.scope].items.append(node)
    return root


def _bring_home(plan: Plan) -> None:
    """`encoder.embed_tokens`, whose weight is that of `shared`, is a call of `shared`.

    It runs where both are in reach: the encoder gets what it returns.
    """
    for region in list(plan.root.walk()):
        path = _only_owner(region) if region.parent and not region.children else None
        if path is None:
            continue
        around = next(r for r in _enclosing(region) if under(r.path, path) and r.path != path)
        scope = Scope(path, region.scope.cls, around.scope, _calls(plan, path))
        scope.names = region.scope.names
        module = next(r for r in [region, *_enclosing(region)] if r.parent is around)
        if module is not region and _reads_from(module, region):
            continue
        assert region.parent is not None
        region.parent.items.remove(region)
        around.items.insert(around.items.index(module) if module is not region else 0, region)
        plan.log.append(f"{region.path} ({scope.cls}) is a call of {path}, whose weights it reads")
        region.scope, region.parent = scope, around


def _enclosing(region: Region) -> Iterator[Region]:
    """The regions around this one, the innermost first."""
    while region.parent is not None:
        region = region.parent
        yield region


def _only_owner(region: Region) -> str | None:
    """The one module, elsewhere in the model, that all of the region's weights belong to."""
    owners = {p.name.rpartition(".")[0] for p in _params(region)}
    path = owners.pop() if len(owners) == 1 else ""
    elsewhere = not under(region.path, f"{path}.") and not is_number(path.rpartition(".")[2])
    return path if path and elsewhere else None


def _calls(plan: Plan, path: str) -> int:
    return sum(region.path == path for region in plan.root.walk())


def _reads_from(module: Region, region: Region) -> bool:
    """Whether a part of a module reads what another part of it makes."""
    made = set(_defined(module)) - set(_defined(region))
    return not made.isdisjoint(_used(region, sizes=True))


def _adopt_layers(plan: Plan) -> None:
    """`F.linear(x, self.out_proj.weight, self.out_proj.bias)` is a call of the layer `out_proj`."""
    for region in list(plan.root.walk()):
        for at, item in enumerate(region.items):
            layer = layer_of(item) if isinstance(item, Node) else None
            if layer is None or not layer.params:
                continue
            assert isinstance(item, Node)
            owner = _layer_owner(item, layer)
            if owner and owner != region.path and under(region.path, owner):
                scope = Scope(owner, layer.cls.rpartition(".")[2], region.scope)
                region.items[at] = Region(scope, region, [item])


def _make_layers(plan: Plan) -> None:
    """Layers that the source writes as functions, such as `nn.RoPE`, are attributes of their class.

    Equal ones of a class share an attribute.
    """
    held = _held_paths(plan.graph) | set(plan.attributes.values())
    for region in list(plan.root.walk()):
        alone = region.parent is not None and len(region.items) == 1
        for at, item in enumerate(region.items):
            layer = layer_of(item) if isinstance(item, Node) else None
            if layer is None or not layer.attribute or alone:
                continue
            assert isinstance(item, Node)
            path = _attribute(plan, region, item, layer, held)
            scope = Scope(path, layer.cls.rpartition(".")[2], region.scope)
            region.items[at] = Region(scope, region, [item], made=True)


def _held_paths(graph: Graph) -> set[str]:
    """The paths of modules and weights."""
    parts = [name.split(".") for name in graph.params]
    paths = {".".join(p[:i]) for p in parts for i in range(1, len(p) + 1)}
    return paths | {s.path for s in graph.scopes()}


def _attribute(plan: Plan, region: Region, node: Node, layer: Layer, held: set[str]) -> str:
    """The path of the layer in the region's class; new layers get a name that nothing has."""
    sizes = [node.type(a.operand).shape[a.axis] if isinstance(a, Width) else a for a in layer.args]
    wanted = (region.path, (layer.cls, tuple(sizes), layer.kwargs))
    if wanted not in plan.attributes:
        prefix = f"{region.path}." if region.path else ""
        name = prefix + layer.attribute
        while name in held:
            name = f"{prefix}other_{name.removeprefix(prefix)}"
        held.add(name)
        plan.attributes[wanted] = name
    return plan.attributes[wanted]


def _layer_owner(node: Node, layer: Layer) -> str | None:
    """The module whose `weight`, `bias` ... are the node's parameters, all of them."""
    owners = set()
    for index, attr in layer.params:
        param = node.operands[index]
        if not isinstance(param, Param) or not param.name.endswith(f".{attr}"):
            return None
        owners.add(param.name.removesuffix(f".{attr}"))
    return owners.pop() if len(owners) == 1 else None


def _params(region: Region) -> list[Param]:
    found = {v: None for n in region.nodes() for v in n.values if isinstance(v, Param)}
    return list(found)


def _is_container(region: Region) -> bool:
    """Attributes named by number are no Python attributes: such a module is a list of its
    caller.
    """
    names = [relative(region.path, c.path) for c in region.children]
    names += [relative(region.path, p.name) for p in _params(region) if under(region.path, p.name)]
    return any(is_number(name.split(".")[0]) for name in names)


def _is_small(region: Region) -> bool:
    small = not region.children and len(region.items) <= SMALL and not _params(region)
    return small and _layer_of(region) is None


def _is_elsewhere(region: Region) -> bool:
    """A module called from a class that does not hold it."""
    return region.parent is not None and not under(region.parent.path, region.path)


def _dissolve_where(plan: Plan, test: Callable[[Region], bool], why: str) -> None:
    for region in list(plan.root.walk()):
        if region.parent and test(region):
            dissolve(plan, region, why)


def dissolve(plan: Plan, region: Region, why: str) -> None:
    parent = region.parent
    assert parent is not None
    at = parent.items.index(region)
    for child in region.children:
        child.parent = parent
    kept = [n for item in region.items for n in _unmade(item)]
    parent.items[at : at + 1] = kept
    plan.log.append(f"{region.path} ({region.scope.cls}) is written in its caller: it {why}")


def _unmade(item: Node | Region) -> list[Node | Region]:
    """What a made layer was before, and everything else as it is."""
    return item.items if isinstance(item, Region) and item.made else [item]


def _dissolve_foreign(plan: Plan) -> bool:
    """A region of one op that reads another module's weight belongs where both are in reach."""
    for region in list(plan.root.walk()):
        if region.parent and len(region.items) == 1 and not region.children:
            foreign = [p.name for p in _params(region) if not under(region.path, p.name)]
            if foreign:
                dissolve(plan, region, f"reads {foreign[0]} of another module")
                return True
    return False


def _order(plan: Plan) -> bool:
    """Sort every region's items by their dependencies; dissolve a region that is in a cycle."""
    drawing = {n: i for i, n in enumerate(plan.graph.nodes) if draws_inside(n)}
    for region in plan.root.walk():
        stuck = _sort_items(region, drawing)
        if stuck:
            dissolve(plan, stuck, "cannot run as one call: values leave it and come back")
            return True
    return False


def _sort_items(region: Region, drawing: Mapping[Node, int]) -> Region | None:
    """Stable topological order of the items; a region of a cycle if there is one.

    `drawing` has the places of the nodes that draw random numbers, which keep their order.
    """
    owner: dict[Any, int] = {v: i for i, item in enumerate(region.items) for v in _defined(item)}
    sizes = any(isinstance(v, str) for v in owner)
    needs = [
        {owner[v] for v in _used(item, sizes) if v in owner} - {i}
        for i, item in enumerate(region.items)
    ]
    for earlier, later in pairwise(_drawers(region, drawing)):
        needs[later] |= {earlier} - {later}
    dependents: dict[int, list[int]] = {}
    for i, before in enumerate(needs):
        for j in before:
            dependents.setdefault(j, []).append(i)
    missing = [len(before) for before in needs]
    ready = [i for i, count in enumerate(missing) if count == 0]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in dependents.get(i, ()):
            missing[j] -= 1
            if missing[j] == 0:
                heapq.heappush(ready, j)
    if len(order) < len(region.items):
        return next(r for i, r in enumerate(region.items) if missing[i] and isinstance(r, Region))
    region.items = [region.items[i] for i in order]
    return None


def _drawers(region: Region, drawing: Mapping[Node, int]) -> list[int]:
    """The items that draw, in the order of the draws; one that draws several times is there as
    often.
    """
    if not drawing:
        return []
    places = [
        (drawing[n], i)
        for i, item in enumerate(region.items)
        for n in ([item] if isinstance(item, Node) else item.nodes())
        if n in drawing
    ]
    return [i for _, i in sorted(places)]


def _defined(item: Node | Region) -> list[Value | str]:
    """The values that the item makes, and the sizes that it finds out."""
    nodes = [item] if isinstance(item, Node) else list(item.nodes())
    return [*(v for n in nodes for v in n.results), *(name for n in nodes for name in binds(n))]


def _used(item: Node | Region, sizes: bool = False) -> list[Value | str]:
    nodes = [item] if isinstance(item, Node) else list(item.nodes())
    names = [name for n in nodes for name in sorted(reads(n))] if sizes else []
    return [*(v for n in nodes for v in n.values), *names]


def _link(plan: Plan) -> None:
    """Inputs and outputs of every region, inputs in the order of their first use.

    A trace lists a callee's arguments in an order of its own, so first use reads better than that.
    """
    uses = plan.graph.uses()
    leaving = set(plan.graph.outputs)
    for region in plan.root.walk():
        inside = set(region.nodes())
        defined = {v for n in inside for v in n.results}
        used: dict[Value, None] = {}
        for node in region.nodes():
            for value in node.values:
                own = isinstance(value, Param) and under(region.path, value.name)
                if value not in defined and not own:
                    used[value] = None
        region.inputs = list(used)
        region.outputs = [
            v
            for n in region.nodes()
            for v in n.results
            if v in leaving or any(user not in inside for user, _ in uses.get(v, ()))
        ]
    plan.root.inputs = list(plan.graph.inputs)
    plan.root.outputs = list(plan.graph.outputs)


def layer_of(node: Node) -> Layer | None:
    """The `mlx.nn` layer that could compute the node: sizes that a constructor gets are known."""
    layer = node.row.layer(node) if node.row.layer else None
    if layer is None:
        return None
    given = [node.type(a.operand).shape[a.axis] if isinstance(a, Width) else a for a in layer.args]
    return None if any(isinstance(size, Expr) for size in given) else layer


def _layer_of(region: Region) -> Layer | None:
    """The `mlx.nn` layer that the region is: one network op on its own weights under their usual
    names.
    """
    if region.parent is None or len(region.items) != 1 or not isinstance(region.items[0], Node):
        return None
    node = region.items[0]
    layer = layer_of(node)
    if layer is None:
        return None
    given = [(i, node.operands[i]) for i, _ in layer.params]
    names = {i: param.name for i, param in given if isinstance(param, Param)}
    wanted = {i: f"{region.path}.{attr}" for i, attr in layer.params}
    others = [o for i, o in enumerate(node.operands) if i not in wanted]
    return layer if names == wanted and not any(isinstance(o, Param) for o in others) else None
