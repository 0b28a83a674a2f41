"""Numbers of float32 in a graph, written as people write them: 1e-06, not 9.999999974752427e-07."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir import Graph, Node, Tensor
from ..ir.ops_resize import ROWS as RESIZING


def shorten_floats(graph: Graph) -> None:
    """Attributes and scalars with the fewest digits that are the same number in float32.

    Factors of a size stay as they are: what they give is rounded to whole numbers.
    """
    exact = {row.name for row in RESIZING} | {"arange", "linspace"}
    for node in graph.nodes:
        if node.op not in exact and _in_float32(node):
            node.attrs.update({name: shortest(value) for name, value in node.attrs.items()})
            node.operands = [shortest(operand) for operand in node.operands]


def _in_float32(node: Node) -> bool:
    types = [v.type for v in (*node.values, *node.results)]
    return all(isinstance(t, Tensor) and t.dtype.value not in ("f64", "c128") for t in types)


def shortest(value: Any) -> Any:
    """The shortest decimal of a float that float32 holds exactly; any other value as it is."""
    if isinstance(value, tuple):
        return tuple(map(shortest, value))
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if float(single) == value else value
