"""Arithmetic on parameters alone becomes part of their recipes (-O2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.graph import Operand
from ..ir.recipe import (
    Add,
    Divide,
    Multiply,
    Norm,
    Number,
    Permute,
    Recipe,
    Reshape,
    Rsqrt,
    Subtract,
)
from .dce import dce
from .make_params import made, put, recipe_of
from .rebuild import is_number
from .record import Log, applies, entry


def fold_arithmetic(graph: Graph, log: Log | None = None) -> bool:
    """`1 + weight` of a norm, and weight norms, are computed once, when the weights are converted.

    A parameter that the model also reads as it is stays as it is. Buffers stay: a checkpoint may
    lack them.
    """
    log = log if log is not None else []
    recipes, refused = _foldable(graph)
    for node, reason in refused.items():
        log.append(entry("fold_arithmetic", node, reason))
    outputs = set(graph.outputs)
    uses = graph.uses()
    replaced: dict[Value, Operand] = {}
    for node in [n for n in graph.nodes if n.out in recipes]:
        readers = uses.get(node.out, [])
        if node.out not in outputs and all(reader.out in recipes for reader, _ in readers):
            continue
        name = _name(node, readers)
        if applies("fold_arithmetic", node):
            log.append(entry("fold_arithmetic", node))
            shape = [int(str(d)) for d in node.out.tensor.shape]
            new = made(name, node.out.tensor, shape, recipes[node.out])
            put(graph, [new], _first(node).name)
            replaced[node.out] = new
    graph.replace(replaced)
    return bool(replaced) and (dce(graph) or True)


def _foldable(graph: Graph) -> tuple[dict[Value, Recipe], dict[Node, str]]:
    """The recipes of values that parameters alone make, less those whose parameters are needed."""
    recipes: dict[Value, Recipe] = {}
    for node in graph.nodes:
        made_of = [_operand(o, recipes) for o in node.operands]
        known = node.op in _RECIPES and node.values and all(r is not None for r in made_of)
        if known and _is_float(node):
            recipes[node.out] = _RECIPES[node.op](node, *made_of)
    refused: dict[Node, str] = {}
    uses, outputs = graph.uses(), set(graph.outputs)
    while bad := [n for n in graph.nodes if n.out in recipes and _kept(n, recipes, uses, outputs)]:
        for node in bad:
            del recipes[node.out]
            refused[node] = "a parameter is used elsewhere"
    return recipes, refused


def _is_float(node: Node) -> bool:
    return node.out.tensor.dtype.is_float and all(v.tensor.dtype.is_float for v in node.values)


def _kept(node: Node, recipes: Any, uses: Any, outputs: set[Value]) -> bool:
    """Whether an operand would have to stay beside the folded one."""
    for value in node.values:
        if isinstance(value, Param):
            if value in outputs or any(reader.out not in recipes for reader, _ in uses[value]):
                return True
        elif value not in recipes:
            return True
    return False


def _operand(operand: Operand, recipes: dict[Value, Recipe]) -> Recipe | None:
    if isinstance(operand, Param):
        return None if operand.buffer else recipe_of(operand)
    if isinstance(operand, Value):
        return recipes.get(operand)
    return Number(float(operand)) if is_number(operand) else None  # type: ignore[arg-type]


def _first(node: Node) -> Param:
    """The first parameter that the value is made of."""
    value: Any = node.values[0]
    while not isinstance(value, Param):
        value = value.node.values[0]
    return value


def _name(node: Node, readers: list[tuple[Node, int]]) -> str:
    """The name that the only layer which reads the value has for it; else its parameter's."""
    first = _first(node)
    if len(readers) != 1:
        return first.name
    reader, place = readers[0]
    layer = reader.row.layer(reader) if reader.row.layer else None
    attr = dict(layer.params).get(place) if layer else None
    if attr is None or first.name.endswith(f".{attr}"):
        return first.name
    path = first.name.split(".parametrizations.")[0].rpartition(".")[0]
    if ".parametrizations." in first.name:
        path = first.name.split(".parametrizations.")[0]
    return f"{path}.{attr}" if path else first.name


def _weight_norm(node: Node, v: Recipe, g: Recipe) -> Recipe:
    rank, axis = node.out.tensor.rank, node["axis"]
    return Multiply(v, Divide(g, Norm(v, tuple(a for a in range(rank) if a != axis))))


_RECIPES: dict[str, Callable[..., Recipe]] = {
    "add": lambda n, a, b: Add(a, b),
    "subtract": lambda n, a, b: Subtract(a, b),
    "multiply": lambda n, a, b: Multiply(a, b),
    "divide": lambda n, a, b: Divide(a, b),
    "rsqrt": lambda n, x: Rsqrt(x),
    "weight_norm": _weight_norm,
    "transpose": lambda n, x: Permute(x, n["axes"]),
    "reshape": lambda n, x: Reshape(x, tuple(int(str(d)) for d in n["shape"])),
}
