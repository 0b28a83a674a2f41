"""Transposes of weights that the model computes from parameters move up to the parameters."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Param, Value
from .layout import Axes
from .rebuild import Rebuild, walk


def hoist_weight_transposes(graph: Graph) -> bool:
    """`weight_norm(v, g).T` is `weight_norm(v.T, g.T)`, whose transposes the recipes take."""

    def step(out: Rebuild, node: Node) -> Any:
        x = node.operands[0] if node.op == "transpose" else None
        if not isinstance(x, Value) or isinstance(x, Param) or not _computed(x, out):
            return None
        return _transposed(out, x, node["axes"], node)

    return walk(graph, step)


def _computed(x: Value, out: Rebuild) -> bool:
    """Whether the value is made of parameters of its own rank alone, for this one use."""
    if isinstance(x, Param):
        return True
    node = x.node
    if node is None or not out.used_once(x):
        return False
    if not node.row.elementwise and node.op != "weight_norm":
        return False
    same_rank = all(v.tensor.rank in (0, x.tensor.rank) for v in node.values)
    return same_rank and all(_computed(v, out) for v in node.values)


def _transposed(out: Rebuild, x: Value, axes: Axes, like: Node) -> Any:
    """The value with its axes permuted, computed anew from permuted parameters."""
    node = x.node
    if x.tensor.rank == 0:
        return x
    if node is None:
        return out.emit("transpose", x, like=like, hint="", axes=axes)
    operands = [
        _transposed(out, o, axes, node) if isinstance(o, Value) else o for o in node.operands
    ]
    attrs = dict(node.attrs)
    if node.op == "weight_norm" and attrs["axis"] >= 0:
        attrs["axis"] = axes.index(attrs["axis"])
    return out.emit(node.op, *operands, like=node, **attrs)
