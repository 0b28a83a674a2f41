"""Composed root mean square normalisation becomes `rms_norm`. Zhang and Sennrich, 2019."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .rebuild import Rebuild
from .rewrite import Bind, Is, Log, Match, Number, Rewrite, rewrite

_X = Bind("x")
_SQUARES = (Is("power", (_X, Number("two"))), Is("square", (_X,)), Is("multiply", (_X, _X)))


def _normalised(square: Is) -> list[Is]:
    """x / sqrt(mean(x^2) + eps), however it is spelled."""
    mean = Is("add", (Is("mean", (square,), name="mean"), Number("eps")))
    root = Is("sqrt", (mean,))
    return [
        Is("multiply", (_X, Is("rsqrt", (mean,)))),
        Is("multiply", (_X, Is("power", (mean, Number("minus_half"))))),
        Is("multiply", (_X, Is("reciprocal", (root,)))),
        Is("multiply", (_X, Is("divide", (Number("one"), root)))),
        Is("divide", (_X, root)),
    ]


_EXPECTED = {"two": 2, "one": 1, "minus_half": -0.5}


def _guard(match: Match) -> str | None:
    x, mean = match["x"], match["mean"]
    if not isinstance(x, Value) or not x.tensor.dtype.is_float:
        return "its operand is no floating point tensor"
    if reduced_axes(mean) != (x.tensor.rank - 1,) or not mean["keepdims"]:
        return "the mean is not over the last axis alone"
    for name, number in _EXPECTED.items():
        if match.get(name) not in (None, number):
            return f"{match[name]} stands where {number} should"
    return "eps is negative" if match["eps"] < 0 else None


def reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes a reduction goes over."""
    axes = node.attrs.get("axes", node.attrs.get("axis"))
    rank = node.type(0).rank
    if axes is None:
        return tuple(range(rank))
    return tuple(a % rank for a in (axes if isinstance(axes, tuple) else (axes,)))


def _build(out: Rebuild, match: Match, like: Node) -> Any:
    return out.emit("rms_norm", match["x"], None, like=like, eps=float(match["eps"]))


def _guard_weight(match: Match) -> str | None:
    norm, weight = match["norm"], match["weight"]
    if norm.operands[1] is not None:
        return "the norm has a weight already"
    if not isinstance(weight, Value) or weight.tensor.shape != norm.out.tensor.shape[-1:]:
        return "the factor is no vector over the last axis"
    return None


def _build_weight(out: Rebuild, match: Match, like: Node) -> Any:
    return out.emit(
        "rms_norm", match["norm"].operands[0], match["weight"], like=like, eps=match["norm"]["eps"]
    )


def _guard_cast(match: Match) -> str | None:
    """The op computes in float32 by itself: casts around it that undo each other are needless."""
    narrow, wide = match["narrow"], match["norm"].type(0).dtype
    if (
        match.root["dtype"] is not narrow.tensor.dtype
        or not narrow.tensor.dtype.is_float
        or wide.value != "f32"
    ):
        return "the casts around the norm do not undo each other"
    weight = match["norm"].operands[1]
    if weight is not None and _narrow_weight(weight, narrow) is None:
        return "the weight is wider than the operand"
    return None


def _narrow_weight(weight: Value, narrow: Value) -> Any:
    """The weight below its cast, if it has the operand's own type."""
    cast = weight.node if weight.node and weight.node.op == "cast" else None
    below = cast.operands[0] if cast else weight
    return below if isinstance(below, Value) and below.tensor.dtype is narrow.tensor.dtype else None


def _build_cast(out: Rebuild, match: Match, like: Node) -> Any:
    weight = match["norm"].operands[1]
    if weight is not None:
        weight = _narrow_weight(weight, match["narrow"])
    return out.emit("rms_norm", match["narrow"], weight, like=like, eps=match["norm"]["eps"])


ROWS = [
    *(Rewrite("rms_norm", p, _guard, _build) for square in _SQUARES for p in _normalised(square)),
    Rewrite(
        "rms_norm_weight", Is("multiply", (Is("rms_norm", (), name="norm"), Bind("weight"))),
        _guard_weight, _build_weight,
    ),
    Rewrite(
        "rms_norm_cast",
        Is("cast", (Is("rms_norm", (Is("cast", (Bind("narrow"),)),), name="norm"),)),
        _guard_cast, _build_cast,
    ),
]  # fmt: skip


def raise_rms_norm(graph: Graph, log: Log | None = None) -> bool:
    """x * rsqrt(mean(x^2) + eps) * weight becomes one op, without needless casts."""
    return rewrite(graph, ROWS, log)
