"""Names of layers and weights by what they do, for graphs whose source has none.

A layer's name is the first that a row of `RULES` has for it: what attention shows (`q_proj`), what
a gate shows (`gate_proj`), what a norm stands in front of, what an embedding looks up. Layers that
no row knows are called after their op, and numbered where a module has several.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from ..ir import Graph, Node, Param, Scope
from ..ir.graph import Operand
from .flow_tree import is_weight
from .keep_names import is_named, own_name
from .layer_roles import RULES, Context

DEFAULTS = {
    "linear": "linear", "conv": "conv", "conv_transpose": "conv_transpose",
    "layer_norm": "norm", "rms_norm": "norm", "group_norm": "norm", "instance_norm": "norm",
    "batch_norm": "bn", "embedding": "embedding", "lstm": "lstm", "gru": "gru", "rnn": "rnn",
    "prelu": "act",
}  # fmt: skip
POOLS = {"max_pool": ("pool", "MaxPool"), "avg_pool": ("pool", "AvgPool")}
# What a weight outside of a layer is called, by the op that reads it.
WEIGHTS = {
    "add": "bias", "subtract": "shift", "multiply": "scale", "divide": "scale", "matmul": "weight",
    "linear": "weight", "concatenate": "token", "broadcast_to": "token", "where": "fill",
    "attention": "mask", "match_mask": "mask", "slice": "table", "take": "table",
    "embedding": "table", "expand_dims": "table", "power": "exponent",
}  # fmt: skip


def name_modules(graph: Graph) -> None:
    """Name every parameter after the layer that it is part of, or after its use."""
    names = _layer_names(graph)
    _place_pools(graph)
    renamer = _Renamer(graph)
    for node in graph.nodes:
        layer = node.row.layer(node) if node.row.layer else None
        attrs = dict(layer.params) if layer else {}
        if node in names and all(isinstance(node.operands[i], Param) for i in attrs):
            for index, attr in attrs.items():
                renamer.layer(node, index, f"{names[node]}.{attr}")
            _place(node, names[node], attrs)
    renamer.rest()
    renamer.finish()


def _place(node: Node, name: str, attrs: dict[int, str]) -> None:
    """A layer is a module of its own, unless it reads the weights of another."""
    outer, layer = node.scope, node.row.layer(node) if node.row.layer else None
    path = f"{outer.path}.{name}" if outer.path else name
    owned = all(getattr(node.operands[i], "name", "") == f"{path}.{a}" for i, a in attrs.items())
    if layer is not None and owned:
        node.scope = Scope(path, layer.cls.rpartition(".")[2], outer, outer.call)


def _layer_names(graph: Graph) -> dict[Node, str]:
    """The attribute of every node that is a layer with weights."""
    context = Context(graph)
    wanted: dict[Node, str] = {}
    for rule in RULES:
        for node, name in rule(context):
            wanted.setdefault(node, name)
    layers = [n for n in graph.nodes if _is_layer(n)]
    own = _own_names(layers)
    plain = {n: wanted.get(n) or DEFAULTS.get(n.op, n.op) for n in layers if n not in own}
    numbers: dict[tuple[Scope, str], dict[Operand | Node, int]] = {}
    for node, name in plain.items():
        known = numbers.setdefault((node.scope, name), {})
        known.setdefault(_identity(node), len(known) + 1)
    names = dict(own)
    for node, name in plain.items():
        known = numbers[node.scope, name]
        names[node] = f"{name}{known[_identity(node)]}" if len(known) > 1 else name
    return names


def _identity(node: Node) -> Operand | Node:
    """What layers that are one have in common: a matrix, which no two layers have by chance."""
    return next((v for v in node.values if is_weight(v)), node)


def _own_names(layers: list[Node]) -> dict[Node, str]:
    """The layers that the file names, each name once a module."""
    names: dict[Node, str] = {}
    taken: set[tuple[Scope, str]] = set()
    for node in layers:
        assert node.row.layer is not None
        layer = node.row.layer(node)
        name = own_name(node, dict(layer.params)) if layer else ""
        if name and (node.scope, name) not in taken:
            taken.add((node.scope, name))
            names[node] = name
    return names


def _is_layer(node: Node) -> bool:
    layer = node.row.layer(node) if node.row.layer else None
    return layer is not None and any(isinstance(node.operands[i], Param) for i, _ in layer.params)


def _place_pools(graph: Graph) -> None:
    """Pooling that is a layer of `mlx.nn` is a module of its own."""
    pools = [
        n for n in graph.nodes
        if n.op in POOLS and n.row.layer is not None and n.row.layer(n) is not None
    ]  # fmt: skip
    several = Counter(n.scope for n in pools)
    taken: Counter[Scope] = Counter()
    for node in pools:
        outer, (name, cls) = node.scope, POOLS[node.op]
        taken[outer] += 1
        name = f"{name}{taken[outer]}" if several[outer] > 1 else name
        path = f"{outer.path}.{name}" if outer.path else name
        node.scope = Scope(path, cls, outer, outer.call)


class _Renamer:
    """Parameters under their new names. What several layers share is one only where it is large:
    exporters keep one of several equal vectors.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.made: dict[str, Param] = {}
        self.first: dict[tuple[Param, str], Param] = {}

    def layer(self, node: Node, index: int, name: str) -> None:
        param = node.operands[index]
        assert isinstance(param, Param)
        path = f"{node.scope.path}.{name}" if node.scope.path else name
        known = self.first.get((param, _item(node.scope)))
        if is_weight(param) and known is not None:
            node.operands[index] = known
        else:
            node.operands[index] = self._make(param, path)

    def rest(self) -> None:
        """Weights outside of layers, below the scope that holds all their uses."""
        uses: dict[Param, list[tuple[Node, int]]] = {}
        for node in self.graph.nodes:
            for i, operand in enumerate(node.operands):
                if isinstance(operand, Param) and self.made.get(operand.name) is not operand:
                    uses.setdefault(operand, []).append((node, i))
        for param, places in uses.items():
            known = [p for (old, _), p in self.first.items() if old is param]
            new = known[0] if known and is_weight(param) else self._shared(param, places)
            for node, i in places:
                node.operands[i] = new

    def _shared(self, param: Param, places: list[tuple[Node, int]]) -> Param:
        chains = [node.scope.chain() for node, _ in places]
        common = chains[0][0]
        for level in zip(*chains, strict=False):
            if any(scope is not level[0] for scope in level):
                break
            common = level[0]
        if is_named(param) and (not common.path or param.name.startswith(f"{common.path}.")):
            return self._make(param, param.name)
        role = _role(param, places[0][0])
        return self._make(param, f"{common.path}.{role}" if common.path else role)

    def _make(self, param: Param, path: str) -> Param:
        for name in _numbered(path):
            found = self.made.get(name)
            if found is None:
                found = Param(name, param.tensor, param.recipe, param.buffer)
                self.made[name] = found
                self.first.setdefault((param, _item_of_path(name)), found)
                return found
            if found.recipe == param.recipe:
                return found
        raise AssertionError("numbered names have no end")

    def finish(self) -> None:
        """Parameters in the order of use; those that are results keep the place they had."""
        results = [v for v in self.graph.outputs if isinstance(v, Param)]
        self.graph.params = {**self.made, **{p.name: p for p in results}}


def _role(param: Param, node: Node) -> str:
    role = WEIGHTS.get(node.op, "weight")
    if role == "bias" and is_weight(param):
        role = "position_embedding"
    if role == "token" and node.op == "broadcast_to" and not is_weight(param):
        return "class_token" if param.tensor.rank > 2 else "constant"
    if role == "token":
        role = "class_token" if 1 in param.tensor.shape else "token"
    if param.buffer and role in ("weight", "bias", "scale"):
        return "constant"
    return role


def _numbered(path: str) -> Iterator[str]:
    head, _, last = path.rpartition(".")
    yield path
    number = 2
    while True:
        yield f"{head}.{last}{number}" if head else f"{last}{number}"
        number += 1


def _item(scope: Scope) -> str:
    return _item_of_path(scope.path)


def _item_of_path(path: str) -> str:
    """The list element that the path is in: such have weights of their own."""
    found = re.match(r"(.*?\.\d+)(\.|$)", path)
    return found[1] if found else ""
