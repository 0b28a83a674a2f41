"""Masks that several layers compute alike are computed once.

T5's first layer makes a bias from relative positions and hands it to the others; each puts the
mask of the padding on it. The others read that result instead, in the place of the bias. What
depends on nothing that a layer makes moves out of the layers.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Param, Scope, Value
from .cse import key_of
from .lift_shared import lift_shared
from .rebuild import Rebuild, common_scope, walk

_MASK = 3  # the operand of attention


def share_masks(graph: Graph) -> bool:
    """Equal masks of different layers are one value."""
    masks = _only_masks(graph)
    made_of: dict[Value, Any] = {}  # the keys of values of masks: equal where the masks are
    ends: dict[Node, set[Value]] = {}  # the values that are no part of masks
    seen: dict[Any, Node] = {}

    def step(out: Rebuild, node: Node) -> Any:
        if node not in masks:
            return None
        key = key_of(node, made_of)
        ends[node] = {
            end for v in node.values for end in (ends[v.node] if v in made_of and v.node else {v})
        }
        made_of.update(dict.fromkeys(node.results, key))
        first = seen.setdefault(key, node)
        shared = first is not node and _may_share(first, node, ends)
        return list(first.results) if shared else None

    changed = walk(graph, step)
    return changed and (lift_shared(graph) or True)


def _may_share(first: Node, node: Node, ends: dict[Node, set[Value]]) -> bool:
    """Whether the mask can move out of the layers, or is made of what the first passes on already.

    Else a layer would read from its sibling, and the two would no longer be alike.
    """
    around = len(common_scope([first.scope, node.scope]).chain())
    if around == len(first.scope.chain()):
        return True
    module = first.scope.chain()[around]

    def stays(made: Node) -> bool:
        return any(isinstance(v, Param) or _within(module, v) for v in ends.get(made, made.values))

    passed_on = (v.node for v in node.values if v.node is not None and _within(module, v))
    return not stays(first) or any(map(stays, passed_on))


def _within(module: Scope, value: Value) -> bool:
    return value.node is not None and module.contains(value.node.scope)


def _only_masks(graph: Graph) -> set[Node]:
    """Nodes whose results are masks of attention, or make one, and nothing else."""
    uses, outputs = graph.uses(), set(graph.outputs)
    found: set[Node] = set()
    for node in reversed(graph.nodes):
        readers = [use for r in node.results for use in uses.get(r, ())]
        if (
            readers
            and outputs.isdisjoint(node.results)
            and all(
                reader in found or (reader.op == "attention" and place == _MASK)
                for reader, place in readers
            )
        ):
            found.add(node)
    return found
