"""Composed Gaussian error linear units become `gelu`. Hendrycks and Gimpel, 2016."""

from __future__ import annotations

import math
from typing import Any

from ..ir import Graph, Node, Value
from .rebuild import Rebuild
from .rewrite import Bind, Is, Log, Match, Number, Pattern, Rewrite, rewrite

_X = Bind("x")
_CUBIC = Is("add", (_X, Is("multiply", (Is("power", (_X, Number("three"))), Number("cubic")))))
_TANH = Is("tanh", (Is("multiply", (_CUBIC, Number("slope"))),))
_ERF: tuple[Pattern, ...] = (
    Is("erf", (Is("divide", (_X, Number("root"))),)),
    Is("erf", (Is("multiply", (_X, Number("inverse_root"))),)),
)
_EXPECTED = {
    "half": 0.5,
    "one": 1.0,
    "three": 3.0,
    "cubic": 0.044715,
    "slope": math.sqrt(2 / math.pi),
    "root": math.sqrt(2),
    "inverse_root": math.sqrt(0.5),
}


def _gated(gate: Pattern) -> list[Is]:
    """x / 2 * (1 + gate), in each order of the factors."""
    risen = Is("add", (gate, Number("one")))
    half = Number("half")
    return [
        Is("multiply", (Is("multiply", (_X, half)), risen)),
        Is("multiply", (Is("multiply", (_X, risen)), half)),
        Is("multiply", (_X, Is("multiply", (risen, half)))),
    ]


def _guard(match: Match) -> str | None:
    if not isinstance(match["x"], Value):
        return "its operand is no tensor"
    for name, number in _EXPECTED.items():
        found = match.get(name)
        if found is not None and not math.isclose(found, number, rel_tol=1e-5):
            return f"{found} stands where {number:.6g} should"
    return None


def _build(approximate: str) -> Any:
    def build(out: Rebuild, match: Match, like: Node) -> Any:
        return out.emit("gelu", match["x"], like=like, approximate=approximate)

    return build


ROWS = [
    *(Rewrite("gelu_tanh", p, _guard, _build("tanh")) for p in _gated(_TANH)),
    *(Rewrite("gelu", p, _guard, _build("none")) for erf in _ERF for p in _gated(erf)),
]


def raise_gelu(graph: Graph, log: Log | None = None) -> bool:
    """x / 2 * (1 + erf(x / sqrt 2)), and its tanh approximation, become one op."""
    return rewrite(graph, ROWS, log)
