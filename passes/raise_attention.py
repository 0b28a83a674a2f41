"""Composed attention becomes `attention`, which shares keys and values among query heads."""

from __future__ import annotations

from typing import Any

from ..ir import DType, Graph, Node, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, producer
from .rewrite import Bind, Is, Log, Match, Number, Pattern, Perhaps, Rewrite, rewrite

_PRODUCT = Is("matmul", (Bind("query"), Bind("key")), name="product")
_SCALED: tuple[Pattern, ...] = (
    Is("multiply", (_PRODUCT, Number("scale"))),
    Is("divide", (_PRODUCT, Number("divisor"))),
    _PRODUCT,
)


def _scores(scaled: Pattern) -> list[Pattern]:
    scaled = Perhaps("cast", scaled)
    return [
        Is("add", (scaled, Bind("mask"))),
        Is("where", (Bind("masked"), Number("fill"), scaled)),
        Is("where", (Bind("kept"), scaled, Number("fill"))),
        scaled,
    ]


# Scores below this have no weight next to any other score.
_HIDDEN = -1e9


def _guard(match: Match) -> str | None:
    query, key, value = match["query"], match["key"], match["value"]
    if any(not isinstance(x, Value) or x.tensor.rank != 4 for x in (query, key, value)):
        return "queries, keys and values are not all of rank 4"
    if match["softmax"]["axis"] != 3:
        return "the softmax is not over the keys"
    if producer(key, "transpose") is None:
        return "the keys are not transposed for the product"
    if not query.tensor.shape[0] == key.tensor.shape[0] == value.tensor.shape[0]:
        return "the batch sizes differ"
    if key.tensor.shape[1] != value.tensor.shape[1]:
        return "keys and values have different numbers of heads"
    if (
        query.tensor.dtype is not match.root.out.tensor.dtype
        or query.tensor.shape[1] != match.root.out.tensor.shape[1]
    ):
        return "the result has another type than the queries"
    return _guard_mask(match)


def _guard_mask(match: Match) -> str | None:
    query = match["query"].tensor
    scores = (*query.shape[:3], match["key"].tensor.shape[3])
    if match["softmax"].out.tensor.shape != scores:
        return "the mask broadcasts the scores"
    mask = match.get("mask")
    if "mask" in match.bound and not (isinstance(mask, Value) and mask.tensor.dtype.is_float):
        return "what is added to the scores is no tensor"
    fill = match.get("fill")
    lowest = -65504.0 if query.dtype.value == "f16" else _HIDDEN
    return (
        f"masked scores are set to {fill}, which does not hide them"
        if fill is not None and fill > lowest
        else None
    )


def _build(out: Rebuild, match: Match, like: Node) -> Any:
    scale = float(match.get("scale") or 1.0) / float(match.get("divisor") or 1.0)
    key = _transposed(out, match["key"], like)
    return out.emit(
        "attention",
        match["query"],
        key,
        match["value"],
        _mask(out, match, like),
        like=like,
        scale=scale,
    )


def _transposed(out: Rebuild, key: Value, like: Node) -> Operand:
    """The keys as (batch, heads, length, size), in one transpose at the most."""
    inner = producer(key, "transpose")
    assert inner is not None  # the guard saw it
    axes = tuple(inner["axes"][a] for a in (0, 1, 3, 2))
    if axes == (0, 1, 2, 3):
        return inner.operands[0]
    out.nodes.append(node := _like(inner, axes))
    return node.out


def _like(inner: Node, axes: tuple[int, ...]) -> Node:
    from .rebuild import make_node

    return make_node("transpose", [inner.operands[0]], {"axes": axes}, inner)


def _mask(out: Rebuild, match: Match, like: Node) -> Any:
    """An additive mask of the queries' type: rows that are all masked stay uniform."""
    dtype = match["query"].tensor.dtype
    mask = match.get("mask")
    if mask is not None:
        return (
            mask
            if mask.tensor.dtype is dtype
            else out.emit("cast", mask, like=like, hint=mask.hint, dtype=dtype)
        )
    for name in ("masked", "kept"):
        condition = match.get(name)
        if condition is not None:
            sides = (float(match["fill"]), 0.0) if name == "masked" else (0.0, float(match["fill"]))
            mask = out.emit("where", condition, *sides, like=like, hint="mask")
            return (
                mask
                if dtype is DType.f32
                else out.emit("cast", mask, like=like, hint="mask", dtype=dtype)
            )
    return None


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


def raise_attention(graph: Graph, log: Log | None = None) -> bool:
    """softmax(q @ k.T * scale + mask) @ v becomes one op, at rank 4."""
    return rewrite(graph, ATTENTION, log)


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
    return rewrite(graph, REPEATS, log)
