"""Layers whose weights have no names of their own become modules of the module they are in.

Tools that quantize a model put operators in the place of its layers and drop what the file said of
them: which module, which weight. The layer is named by what the data shows about it.
"""

from __future__ import annotations

from collections import Counter

from ..ir import Graph, Node, Param
from ..ir.graph import Scope
from ..ir.recipe import Dequantize, recipes_in
from .layer_roles import RULES, Context
from .make_params import Uses
from .name_modules import DEFAULTS


def place_layers(graph: Graph) -> bool:
    """Give linear layers and embeddings with nameless packed weights a module and a name."""
    if graph.flat:
        return False
    uses = graph.uses()
    inside = Counter(node.scope for node in graph.nodes)
    found = [
        node
        for node in graph.nodes
        if (inside[node.scope] > 1 or not node.scope.path) and _is_nameless(node, uses)
    ]
    if not found:
        return False
    wanted = _wanted(graph, found)
    taken = {name for param in graph.params for name in _paths(param)}
    renamed: dict[str, Param] = {}
    for node in found:
        path = _free(node, wanted.get(node) or DEFAULTS[node.op], taken)
        for place, attr in _parameters(node):
            old = node.operands[place]
            assert isinstance(old, Param)
            new = Param(f"{path}.{attr}", old.tensor, old.recipe, old.buffer)
            node.operands[place] = renamed[old.name] = new
        cls = "Linear" if node.op == "linear" else "Embedding"
        node.scope = Scope(path, cls, node.scope, node.scope.call)
    graph.params = {
        (new := renamed.get(name, param)).name: new for name, param in graph.params.items()
    }
    return True


def _is_nameless(node: Node, uses: Uses) -> bool:
    """Whether the layer's weight is packed, and called a weight of the module around it."""
    if node.op not in ("linear", "embedding"):
        return False
    weight = next((node.operands[place] for place, attr in _parameters(node)), None)
    if not isinstance(weight, Param) or len(uses[weight]) > 1:
        return False
    owner, _, attr = weight.name.rpartition(".")
    packed = any(isinstance(recipe, Dequantize) for recipe in recipes_in(weight.recipe))
    return packed and owner == node.scope.path and attr.endswith("weight")


def _parameters(node: Node) -> list[tuple[int, str]]:
    """Where the weights of the layer stand among the operands, with their attributes."""
    layer = node.row.layer(node) if node.row.layer else None
    return [(i, a) for i, a in layer.params if isinstance(node.operands[i], Param)] if layer else []


def _wanted(graph: Graph, found: list[Node]) -> dict[Node, str]:
    """What the rules call the layers; numbered where a module has several of one name."""
    context, names = Context(graph), dict[Node, str]()
    for rule in RULES:
        for node, name in rule(context):
            names.setdefault(node, name)
    names = {node: names.get(node) or DEFAULTS[node.op] for node in found}
    several = Counter((node.scope, name) for node, name in names.items())
    counts: Counter[tuple[Scope, str]] = Counter()
    for node, name in names.items():
        key = node.scope, name
        counts[key] += 1
        names[node] = f"{name}{counts[key]}" if several[key] > 1 else name
    return names


def _free(node: Node, name: str, taken: set[str]) -> str:
    whole = f"{node.scope.path}.{name}" if node.scope.path else name
    path, number = whole, 2
    while path in taken:
        path, number = f"{whole}{number}", number + 1
    taken.add(path)
    return path


def _paths(param: str) -> list[str]:
    parts = param.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
