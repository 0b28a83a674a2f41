"""Cosine attention multiplies the scores by a gain for each head: it moves to the queries."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .raise_attention import PRODUCT, windowed
from .rebuild import Rebuild
from .rewrite import Bind, Is, Match, Rewrite, rewrite


def _guard_gain(match: Match) -> str | None:
    gain, query = match["gain"], match["query"]
    if not isinstance(gain, Value) or not isinstance(query, Value):
        return "the gain is no tensor"
    if gain.tensor.rank > query.tensor.rank or gain.tensor.shape[-1:] != (1,):
        return "the gain differs from key to key"
    return None if match["scores"].out.type == match["product"].out.type else "the gain broadcasts"


def _build_gain(out: Rebuild, match: Match, like: Node) -> Any:
    """softmax(gain * (q @ k)) as softmax((gain * q) @ k), up to the softmax."""
    product = match["product"]
    query = out.emit("multiply", match["query"], match["gain"], like=product, hint="queries")
    value = out.emit("matmul", query, match["key"], like=product)
    for node in match.nodes[::-1]:
        if node.op in ("add", "reshape", "softmax"):
            operands = [value if o in _results(match) else o for o in node.operands]
            value = out.emit(node.op, *operands, like=node, **node.attrs)
    return value


def _results(match: Match) -> list[Value]:
    return [node.out for node in match.nodes[1:]]


_GAINED = Is("multiply", (PRODUCT, Bind("gain")), name="scores")
GAINS = [
    Rewrite("attention_gain", Is("softmax", (scores,)), _guard_gain, _build_gain)
    for plain in (_GAINED, Is("add", (_GAINED, Bind("mask"))))
    for scores in (plain, windowed(plain))
]


def attention_gain(graph: Graph) -> bool:
    """softmax(gain * (q @ k.T)) @ v, with a gain that is one number a query, is attention."""
    return rewrite(graph, GAINS)
