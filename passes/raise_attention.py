"""Composed attention becomes `attention`, which shares keys and values among query heads."""

from __future__ import annotations

from typing import Any

from ..ir import DType, Graph, Node, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, make_node, producer
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
    if producer(key, "transpose") is None:
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
    return _guard_mask(match)


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
    scale = float(match.get("scale") or 1.0) / float(match.get("divisor") or 1.0)
    key = _transposed(out, match["key"], like)
    operands = [match["query"], key, match["value"], _mask(out, match, like)]
    if match["query"].tensor.rank == 4:
        return out.emit("attention", *operands, like=like, scale=scale)
    grown = [_with_head(out, x, like) for x in operands]
    value = out.emit("attention", *grown, like=like, scale=scale)
    return out.emit("squeeze", value, like=like, axes=(1,))


def _with_head(out: Rebuild, x: Value | None, like: Node) -> Any:
    """One head: an axis behind the batch. A mask of rank 2 broadcasts as it is."""
    if x is None or x.tensor.rank < 3:
        return x
    return out.emit("expand_dims", x, like=like, hint=x.hint, axes=(1,))


def _transposed(out: Rebuild, key: Value, like: Node) -> Operand:
    """The keys as (batch, heads, length, size), in one transpose at the most."""
    inner = producer(key, "transpose")
    assert inner is not None  # the guard saw it
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


ATTENTION = [
    Rewrite(
        "attention",
        Is(
            "matmul",
            (
                Perhaps("cast", Is("softmax", (Perhaps("cast", scores),), name="softmax")),
                Bind("value"),
            ),
        ),
        _guard,
        _build,
    )
    for scaled in _SCALED
    for scores in _scores(scaled)
]


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
