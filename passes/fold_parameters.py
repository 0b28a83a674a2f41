"""Layout changes of a parameter become part of its recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.dims import Expr
from ..ir.recipe import Cast, Constant, Permute, Recipe, Reshape, Slice
from ..ir.types import Tensor
from .dce import sweep
from .layout import moves_only_ones
from .record import applies


def _reshape(of: Recipe, node: Node) -> Recipe | None:
    """Axes that are added for one use stay in the code: the checkpoint's shape says more."""
    shape = node.out.tensor.shape
    if len(shape) > node.type(0).rank:
        return None
    return Reshape(
        of.of if isinstance(of, Reshape) else of, tuple(int(d) for d in shape if isinstance(d, int))
    )


def _slice(of: Recipe, node: Node) -> Recipe | None:
    size = node.type(0).shape[node["axis"]]
    if node["step"] != 1 or any(isinstance(d, Expr) for d in (size, node["start"], node["stop"])):
        return None
    bounds = slice(node["start"], node["stop"]).indices(size)
    return Slice(of, node["axis"], bounds[0], bounds[1])


def _permute(of: Recipe, node: Node) -> Recipe:
    if node.out.type == node.type(0) and moves_only_ones(node.type(0).shape, node["axes"]):
        return of
    if isinstance(of, Permute):
        axes = tuple(of.axes[a] for a in node["axes"])
        return of.of if axes == tuple(range(len(axes))) else Permute(of.of, axes)
    return Permute(of, node["axes"])


_RECIPES: dict[str, Callable[[Recipe, Node], Recipe | None]] = {
    "transpose": _permute,
    "reshape": _reshape,
    "squeeze": _reshape,
    "cast": lambda of, node: Cast(of, node["dtype"]),
    "slice": _slice,
}


def fold_parameters(graph: Graph) -> bool:
    """Fold a transform that every use of a parameter shares into its recipe; the name stays.

    A parameter that is used in two different ways keeps its layout and its nodes.
    """
    uses = graph.uses()
    outputs = set(graph.outputs)
    replaced: dict[Value, Param] = {}
    gone: set[Node] = set()
    for param in list(graph.params.values()):
        while (nodes := _shared_transform(param, uses, outputs)) is not None:
            folded = _folded(param, nodes[0])
            if folded is None or not applies("fold_parameters", nodes[0]):
                break
            graph.params[param.name] = folded
            uses[folded] = [u for n in nodes for u in uses.get(n.out, [])]
            replaced.update((n.out, folded) for n in nodes)
            gone.update(nodes)
            param = folded
    if replaced:
        graph.nodes = [n for n in graph.nodes if n not in gone]
        graph.replace(replaced)
        sweep(graph)
    return bool(replaced)


def _shared_transform(
    param: Param, uses: dict[Value, list[tuple[Node, int]]], outputs: set[Value]
) -> list[Node] | None:
    nodes = [node for node, _ in uses.get(param, [])]
    if (
        not nodes
        or param in outputs
        or any(n.op not in _RECIPES or n.out in outputs for n in nodes)
    ):
        return None
    first = nodes[0]
    alike = all(n.op == first.op and _attrs(n) == _attrs(first) for n in nodes)
    return nodes if alike else None


def _attrs(node: Node) -> Any:
    """Attributes that change the result: `reshape` also has one that is for the printer."""
    return {k: v for k, v in node.attrs.items() if k != "free"}


def _folded(param: Param, node: Node) -> Param | None:
    kind = node.out.type
    recipe = _RECIPES[node.op](param.recipe, node)
    if (
        recipe is None
        or not isinstance(kind, Tensor)
        or any(not isinstance(d, int) for d in kind.shape)
    ):
        return None
    if (
        node.op == "cast"
        and isinstance(param.recipe, Constant)
        and kind.dtype.is_integer
        and not param.tensor.dtype.is_integer
    ):
        return None  # truncation stays visible in the code
    return Param(param.name, kind, recipe, param.buffer)
