"""Composed attention becomes `attention`, which shares keys and values among query heads.

A guard that turns weights which are no number into zero (exporters write one for queries that see
no key) goes where the mask leaves finite scores; a mask of zeros and -inf becomes boolean for it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ir import DType, Graph, Node, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, is_param, make_node, producer
from .record import Log
from .rewrite import Bind, Is, Match, Number, Pattern, Perhaps, Rewrite, rewrite

PRODUCT = Is("matmul", (Bind("query"), Bind("key")), name="product")
_SCALED: tuple[Pattern, ...] = (
    Is("multiply", (PRODUCT, Number("scale"))),
    Is("divide", (PRODUCT, Number("divisor"))),
    PRODUCT,
)


def _biased(scaled: Pattern) -> list[Pattern]:
    """The scores with up to two masks added."""
    once = Is("add", (scaled, Bind("mask")))
    return [scaled, once, Is("add", (Perhaps("cast", once), Bind("more")))]


def windowed(scores: Pattern) -> Pattern:
    """A mask for each window of an image: the batch is parted into images and windows for it."""
    parted = Is("reshape", (scores,), name="parted")
    return Is("reshape", (Is("add", (parted, Bind("windows"))),), name="joined")


def _scores(scaled: Pattern) -> list[Pattern]:
    scaled = Perhaps("cast", scaled)
    plain, *masked = _biased(scaled)
    return [
        *masked,
        Is("where", (Bind("masked"), Number("fill"), scaled)),
        Is("where", (Bind("kept"), scaled, Number("fill"))),
        plain,
        *(windowed(scores) for scores in (masked[0], plain)),
    ]


# Scores below this have no weight next to any other score.
_HIDDEN = -1e9


def _guard(match: Match) -> str | None:
    query, key, value = match["query"], match["key"], match["value"]
    ranks = {x.tensor.rank if isinstance(x, Value) else 0 for x in (query, key, value)}
    if ranks not in ({3}, {4}):
        return "queries, keys and values are not all of rank 3 or 4"
    rank = ranks.pop()
    if match["softmax"]["axis"] != rank - 1:
        return "the softmax is not over the keys"
    if _turned(key) is None:
        return "the keys are not transposed for the product"
    if not query.tensor.shape[0] == key.tensor.shape[0] == value.tensor.shape[0]:
        return "the batch sizes differ"
    if rank == 4 and key.tensor.shape[1] != value.tensor.shape[1]:
        return "keys and values have different numbers of heads"
    if (
        query.tensor.dtype is not match.root.out.tensor.dtype
        or query.tensor.shape[:-1] != match.root.out.tensor.shape[:-1]
    ):
        return "the result has another type than the queries"
    return _guard_mask(match) or _guard_nan(match)


def _turned(key: Value) -> tuple[Node, float] | None:
    """The transpose that makes the keys, and the factor that they are scaled by after it."""
    turn = producer(key, "transpose")
    if turn is not None:
        return turn, 1.0
    scaled = producer(key, "multiply")
    if scaled is None:
        return None
    for x, factor in (scaled.operands, scaled.operands[::-1]):
        turn = producer(x, "transpose")
        if turn is not None and isinstance(factor, int | float) and factor > 0:
            return turn, float(factor)
    return None


def _guard_nan(match: Match) -> str | None:
    """Why the weights that are no number cannot be left to the op."""
    if "nan" not in match.bound:
        return None
    if match["nan"] != 0:
        return f"weights that are no number become {match['nan']}"
    masks = [match[name] for name in ("mask", "more", "windows") if name in match.bound]
    if match.get("fill") is not None:
        return None if math.isfinite(match["fill"]) else "masked scores are -inf, not added"
    if all(map(_is_finite, masks)) or (len(masks) == 1 and _shown(masks[0]) is not None):
        return None
    return "the mask may hide all keys of a query"


_FINITE = (
    "take", "index", "gather", "embedding", "reshape", "transpose", "expand_dims", "squeeze",
    "broadcast_to", "slice", "select", "concatenate", "cast", "add", "subtract", "multiply",
    "where", "full", "arange", "sigmoid",
)  # fmt: skip


def _is_finite(x: Operand) -> bool:
    """Whether a mask is made of finite numbers alone. Weights are taken to be finite."""
    todo, seen = [x], set[Value]()
    while todo:
        at = todo.pop()
        if isinstance(at, int | float):
            if not math.isfinite(at):
                return False
        elif isinstance(at, Value) and at.tensor.dtype.is_float and at not in seen:
            seen.add(at)
            if at.node is None and not is_param(at):
                return False
            if at.node is not None:
                if at.node.op not in _FINITE or not _is_finite_number(at.node.attrs.get("value")):
                    return False
                todo += at.node.operands
    return True


def _is_finite_number(x: Any) -> bool:
    return not isinstance(x, float) or math.isfinite(x)


def _shown(mask: Any) -> Value | None:
    """The condition of a mask that is 0 where it holds and -inf elsewhere."""
    node = producer(mask, "where")
    if node is None or node.operands[1] != 0 or node.operands[2] != -math.inf:
        return None
    condition = node.operands[0]
    return condition if isinstance(condition, Value) else None


def _guard_mask(match: Match) -> str | None:
    query = match["query"].tensor
    scores = (*query.shape[:-1], match["key"].tensor.shape[-1])
    if match["softmax"].out.tensor.shape != scores:
        return "the mask broadcasts the scores"
    for name in ("mask", "more", "windows"):
        mask = match.get(name)
        if name in match.bound and not (isinstance(mask, Value) and mask.tensor.dtype.is_float):
            return "what is added to the scores is no tensor"
    if "windows" in match.bound and _windows_refused(match):
        return "the windows are not parts of the batch"
    fill = match.get("fill")
    lowest = -65504.0 if query.dtype.value == "f16" else _HIDDEN
    return (
        f"masked scores are set to {fill}, which does not hide them"
        if fill is not None and fill > lowest
        else None
    )


def _windows_refused(match: Match) -> bool:
    batch, *rest = match["product"].out.tensor.shape
    parted = match["parted"].out.tensor.shape
    whole = parted[0] * parted[1] if len(parted) == 5 else None
    return bool(whole != batch or parted[2:] != tuple(rest) or match["windows"].tensor.rank != 5)


def _build(out: Rebuild, match: Match, like: Node) -> Any:
    turned = _turned(match["key"])
    assert turned is not None  # the guard saw it
    query, scale = _scale(match, turned[1])
    key = _transposed(out, turned[0], like)
    shown = (
        _shown(match.get("mask")) if "nan" in match.bound and "more" not in match.bound else None
    )
    mask = _mask(out, match, like) if shown is None else shown
    attrs: dict[str, Any] = {"scale": scale, "empty_rows": shown is not None}
    operands = [query, key, match["value"], mask]
    if query.tensor.rank == 4:
        return out.emit("attention", *operands, like=like, **attrs)
    grown = [_with_head(out, x, like) for x in operands]
    value = out.emit("attention", *grown, like=like, **attrs)
    return out.emit("squeeze", value, like=like, axes=(1,))


def _scale(match: Match, of_keys: float) -> tuple[Value, float]:
    """The queries and the scale. A root that queries and keys are both multiplied by is squared."""
    scale = float(match.get("scale") or 1.0) / float(match.get("divisor") or 1.0)
    query = match["query"]
    node = producer(query, "multiply")
    for x, factor in (node.operands, node.operands[::-1]) if node is not None else ():
        if factor == of_keys != 1.0 and isinstance(x, Value):
            return x, scale * squared(of_keys, query.tensor.shape[-1])
    return query, scale * of_keys


def squared(root: float, size: Any) -> float:
    """The number with that root in float32: size^-0.5 where it fits, else one with few digits."""
    single = np.float32(root)
    shortest = (float(f"{float(root) ** 2:.{digits}g}") for digits in range(1, 10))
    wanted = size**-0.5 if isinstance(size, int) and size > 0 else root**2
    for number in (wanted, *shortest):
        if np.float32(math.sqrt(number)) == single:
            return number
    return float(root) ** 2


def _with_head(out: Rebuild, x: Value | None, like: Node) -> Any:
    """One head: an axis behind the batch. A mask of rank 2 broadcasts as it is."""
    if x is None or x.tensor.rank < 3:
        return x
    return out.emit("expand_dims", x, like=like, hint=x.hint, axes=(1,))


def _transposed(out: Rebuild, inner: Node, like: Node) -> Operand:
    """The keys as (batch, heads, length, size), in one transpose at the most."""
    rank = len(inner["axes"])
    axes = tuple(inner["axes"][a] for a in (*range(rank - 2), rank - 1, rank - 2))
    if axes == tuple(range(rank)):
        return inner.operands[0]
    out.nodes.append(node := make_node("transpose", [inner.operands[0]], {"axes": axes}, inner))
    return node.out


def _mask(out: Rebuild, match: Match, like: Node) -> Any:
    """An additive mask of the queries' type: rows that are all masked stay uniform."""
    dtype = match["query"].tensor.dtype
    masks = [_cast(out, m, dtype, like) for m in (match.get("mask"), match.get("more")) if m]
    if match.get("windows") is not None:
        masks.append(_cast(out, _for_each_image(out, match, like), dtype, like))
    if masks:
        total = masks[0]
        for more in masks[1:]:
            total = out.emit("add", total, more, like=like, hint="mask")
        return total
    for name in ("masked", "kept"):
        condition = match.get(name)
        if condition is not None:
            sides = (float(match["fill"]), 0.0) if name == "masked" else (0.0, float(match["fill"]))
            mask = out.emit("where", condition, *sides, like=like, hint="mask")
            return _cast(out, mask, dtype, like)
    return None


def _cast(out: Rebuild, mask: Value, dtype: DType, like: Node) -> Any:
    if mask.tensor.dtype is dtype:
        return mask
    return out.emit("cast", mask, like=like, hint=mask.hint, dtype=dtype)


def _for_each_image(out: Rebuild, match: Match, like: Node) -> Any:
    """The windows' mask (1, windows, heads, length, length) for the whole batch of windows."""
    windows = match["windows"]
    images, *rest = match["parted"].out.tensor.shape
    shape = (images, rest[0], *windows.tensor.shape[2:])
    wide = out.emit("broadcast_to", windows, like=like, hint="mask", shape=shape)
    flat = (images * rest[0], *shape[2:])
    return out.emit("reshape", wide, like=like, hint="mask", shape=flat)


def _weights(scores: Pattern) -> tuple[Pattern, Pattern]:
    """The softmax, and the softmax with zero for what is no number."""
    softmax = Is("softmax", (Perhaps("cast", scores),), name="softmax")
    return softmax, Is("where", (Is("isnan", (softmax,)), Number("nan"), softmax))


ATTENTION = [
    Rewrite(
        "attention", Is("matmul", (Perhaps("cast", weights), Bind("value"))), _guard, _build
    )
    for scaled in _SCALED
    for scores in _scores(scaled)
    for weights in _weights(scores)
]  # fmt: skip


# A soft cap: shown in the log, left as it is.
_CAP = Is("multiply", (Is("tanh", (Bind("scores"),), name="cap"), Number("ceiling")))
CAPPED = [
    Rewrite(
        "attention", Is("matmul", (Is("softmax", (capped,), name="softmax"), Bind("value"))),
        lambda match: "the scores are capped by tanh, which MLX's attention does not do",
        _build,
    )
    for capped in (Is("add", (_CAP, Bind("mask"))), _CAP)
]  # fmt: skip


def raise_attention(graph: Graph, log: Log | None = None) -> bool:
    """softmax(q @ k.T * scale + mask) @ v becomes one op."""
    return rewrite(graph, [*ATTENTION, *CAPPED], log)
