"""Composed attention becomes `attention`, which shares keys and values among query heads."""

from __future__ import annotations

from typing import Any

from ..ir import DType, Graph, Node, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, make_node, producer
from .rewrite import Bind, Is, Log, Match, Number, Pattern, Perhaps, Rewrite, rewrite

_PRODUCT = Is("matmul", (Bind("query"), Bind("key")), name="product")
_SCALED: tuple[Pattern, ...] = (
    Is("multiply", (_PRODUCT, Number("scale"))),
    Is("divide", (_PRODUCT, Number("divisor"))),
    _PRODUCT,
)


def _biased(scaled: Pattern) -> list[Pattern]:
    """The scores with up to two masks added."""
    once = Is("add", (scaled, Bind("mask")))
    return [scaled, once, Is("add", (Perhaps("cast", once), Bind("more")))]


def _windowed(scores: Pattern) -> Pattern:
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
        *(_windowed(scores) for scores in (masked[0], plain)),
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
    return whole != batch or parted[2:] != tuple(rest) or match["windows"].tensor.rank != 5


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

# ---- a gain for each head, as cosine attention has it


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


_GAINED = Is("multiply", (_PRODUCT, Bind("gain")), name="scores")
GAINS = [
    Rewrite("attention_gain", Is("softmax", (scores,)), _guard_gain, _build_gain)
    for plain in (_GAINED, Is("add", (_GAINED, Bind("mask"))))
    for scores in (plain, _windowed(plain))
]


def raise_attention(graph: Graph, log: Log | None = None) -> bool:
    """softmax(q @ k.T * scale + mask) @ v becomes one op."""
    gained = rewrite(graph, GAINS)
    return rewrite(graph, [*ATTENTION, *CAPPED], log) or gained


# ---- scalars on the queries or keys


def _guard_scale(match: Match) -> str | None:
    return None if match["factor"] > 0 else f"the factor {match['factor']} is not positive"


def _build_scale(side: int) -> Any:
    def build(out: Rebuild, match: Match, like: Node) -> Any:
        operands = list(match.root.operands)
        operands[side] = match["scaled"]
        for name in ("reshaped", "transposed"):
            node = match.get(name)
            if node is not None:
                operands[side] = out.emit(node.op, operands[side], like=node, **node.attrs)
        attrs = {**match.root.attrs, "scale": match.root["scale"] * float(match["factor"])}
        return out.emit("attention", *operands, like=like, **attrs)

    return build


# The factor may stand below the views that part the heads.
_TIMES = Is("multiply", (Bind("scaled"), Number("factor")))
_FACTOR = Perhaps("transpose", Perhaps("reshape", _TIMES, name="reshaped"), name="transposed")

SCALES = [
    Rewrite("attention_scale", Is("attention", (_FACTOR,)), _guard_scale, _build_scale(0)),
    Rewrite(
        "attention_scale", Is("attention", (Bind("other"), _FACTOR)), _guard_scale, _build_scale(1)
    ),
]


def fold_attention_scale(graph: Graph, log: Log | None = None) -> bool:
    """A scalar factor of the queries or the keys is the attention's scale."""
    changed = rewrite(graph, SCALES, log)
    return rewrite(graph, SCALES, log) or changed if changed else False


# ---- grouped queries


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
