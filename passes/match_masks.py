"""Additive masks in the type of the queries, whatever the weights are stored as.

MLX's attention wants a mask of the queries' own type. Here both are float32; but a mask that is
made from integers stays so where weights in half precision make the queries narrower.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .rebuild import Rebuild, walk


def match_masks(graph: Graph) -> bool:
    """Every additive mask goes through match_mask. One that has no name is called that."""
    changed = walk(graph, _match)
    for node in graph.nodes:
        if node.op == "match_mask" and not node.values[0].hint:
            node.values[0].hint, changed = "mask", True
    return changed


def _match(out: Rebuild, node: Node) -> Any:
    if node.op != "attention" or not isinstance(node.operands[3], Value):
        return None
    query, mask = node.values[0], node.operands[3]
    if not mask.tensor.dtype.is_float or (mask.node and mask.node.op == "match_mask"):
        return None
    matched = out.emit("match_mask", mask, query, like=node)
    return out.emit("attention", *node.operands[:3], matched, like=node, **node.attrs)
