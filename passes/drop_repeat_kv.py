"""Keys and values that are repeated for groups of query heads are read once."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Rewrite, rewrite


def _repeated(x: str) -> Is:
    grown = Is("expand_dims", (Bind(x),), name=f"{x}_grown")
    return Is("reshape", (Is("broadcast_to", (grown,), name=f"{x}_wide"),), name=f"{x}_all")


def _guard_repeat(match: Match) -> str | None:
    for x in ("key", "value"):
        base = match[x].tensor
        if base.rank != 4 or match[f"{x}_grown"]["axes"] != (2,):
            return f"the {x}s are not repeated along their heads"
        batch, heads, length, size = base.shape
        wide = match[f"{x}_wide"].out.tensor.shape
        if wide != (batch, heads, wide[2], length, size):
            return f"the broadcast of the {x}s changes more than the heads"
        if match[f"{x}_all"].out.tensor.shape != (batch, heads * wide[2], length, size):
            return f"the repeated {x}s are not (batch, heads, length, size)"
    return (
        None
        if match["key"].tensor.shape[1] == match["value"].tensor.shape[1]
        else "keys and values differ in heads"
    )


def _build_repeat(out: Rebuild, match: Match, like: Node) -> Any:
    query, mask = match.root.operands[0], match.root.operands[3]
    return out.emit(
        "attention", query, match["key"], match["value"], mask, like=like, **match.root.attrs
    )


REPEATS = [
    Rewrite(
        "drop_repeat_kv", Is("attention", (Bind("query"), _repeated("key"), _repeated("value"))),
        _guard_repeat, _build_repeat,
    )
]  # fmt: skip


def drop_repeat_kv(graph: Graph, log: Log | None = None) -> bool:
    """Keys and values repeated for groups of query heads: the op shares them by itself."""
    changed = rewrite(graph, REPEATS, log)
    return rewrite(graph, PRODUCTS, log) or changed


# ---- grouped queries where attention stays composed: a product shares the repeated operand

_REPEATED = _repeated("shared")
PRODUCT_PATTERNS = [
    Is("matmul", (Bind("own"), _REPEATED)),
    Is("matmul", (Bind("own"), Is("transpose", (_REPEATED,), name="turned"))),
]


def _guard_product(match: Match) -> str | None:
    own, base = match["own"], match["shared"].tensor
    if not isinstance(own, Value) or own.tensor.rank != 4 or base.rank != 4:
        return "the product is not of rank 4"
    if match["shared_grown"]["axes"] != (2,):
        return "the heads are not what is repeated"
    batch, heads, *rest = base.shape
    wide = match["shared_wide"].out.tensor.shape
    if wide != (batch, heads, wide[2], *rest):
        return "the broadcast changes more than the heads"
    if match["shared_all"].out.tensor.shape != (batch, heads * wide[2], *rest):
        return "the result is not (batch, heads, length, size)"
    turned = match.get("turned")
    if turned is not None and turned["axes"] != (0, 1, 3, 2):
        return "the transpose moves the heads"
    return None if own.tensor.shape[:2] == (batch, heads * wide[2]) else "the heads differ"


def _build_product(out: Rebuild, match: Match, like: Node) -> Any:
    """Query heads in groups, against one key head each."""
    own, shared, turned = match["own"], match["shared"], match.get("turned")
    if turned is not None:
        shared = out.emit("transpose", shared, like=turned, axes=(0, 1, 3, 2))
    shared = out.emit("expand_dims", shared, like=match["shared_grown"], hint="", axes=(2,))
    groups = match["shared_wide"].out.tensor.shape[1:3]
    batch, _, *rest = own.tensor.shape
    parted = out.emit("reshape", own, like=like, hint="", shape=(batch, *groups, *rest))
    product = out.emit("matmul", parted, shared, like=like, hint="")
    return out.emit("reshape", product, like=like, shape=like.out.tensor.shape)


PRODUCTS = [
    Rewrite("shared_product", pattern, _guard_product, _build_product)
    for pattern in PRODUCT_PATTERNS
]
