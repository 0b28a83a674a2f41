"""Rounding to the steps of a quantized model, spelled out in the source, becomes one op."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Number, Pattern, Rewrite, rewrite

_STEPS = Is("round", (Is("divide", (Bind("x"), Number("scale"))),))


def _back(steps: Pattern) -> Is:
    """To whole numbers of a type, and to floats again."""
    whole = Is("cast", (Is("clip", (steps, Number("low"), Number("high"))),), name="whole")
    return Is("cast", (whole,))


def _scaled(steps: Pattern) -> Is:
    return Is("multiply", (steps, Number("scale")))


_ZERO = Number("zero")
# Without a zero point, with one, with one below zero.
_PATTERNS = (
    (_scaled(_back(_STEPS)), 0.0),
    (_scaled(Is("subtract", (_back(Is("add", (_STEPS, _ZERO))), _ZERO))), 1.0),
    (_scaled(Is("add", (_back(Is("subtract", (_STEPS, _ZERO))), _ZERO))), -1.0),
)


def _guard(match: Match) -> str | None:
    x = match["x"]
    if not isinstance(x, Value) or x.type != match.root.out.type:
        return "the result has another type than the operand"
    return None if match["whole"]["dtype"].is_integer else "the steps are no whole numbers"


def _build(sign: float) -> Any:
    def build(out: Rebuild, match: Match, like: Node) -> Any:
        attrs: dict[str, Any] = {n: float(match[n]) for n in ("scale", "low", "high")}
        attrs["zero"] = sign * float(match["zero"]) if sign else 0.0
        return out.emit("fake_quantize", match["x"], like=like, **attrs)

    return build


ROWS = [Rewrite("fake_quantize", pattern, _guard, _build(sign)) for pattern, sign in _PATTERNS]


def raise_rounding(graph: Graph, log: Log | None = None) -> bool:
    """QuantizeLinear and DequantizeLinear behind each other are one rounding."""
    return rewrite(graph, ROWS, log)
