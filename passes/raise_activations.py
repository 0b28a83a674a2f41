"""Activations that are spelled out become the op that they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..ir import Graph, Node, Value
from .raise_rms_norm import reduced_axes
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Number, Pattern, Rewrite, rewrite

_X = Bind("x")


@dataclass(frozen=True)
class _Row:
    """An op in the place of a pattern; the pattern's numbers must be these, to rounding."""

    op: str
    pattern: Is
    numbers: Mapping[str, float] = field(default_factory=dict)
    attrs: Callable[[Match], dict[str, Any]] = lambda match: {}
    guard: Callable[[Match], str | None] = lambda match: None


def _guard(row: _Row) -> Callable[[Match], str | None]:
    def guard(match: Match) -> str | None:
        x = match["x"]
        if not isinstance(x, Value) or not x.tensor.dtype.is_float:
            return "its operand is no floating point tensor"
        for name, number in row.numbers.items():
            if not math.isclose(match[name], number, rel_tol=1e-5):
                return f"{match[name]} stands where {number:.6g} should"
        if x.type != match.root.out.type:
            return "the result has another type than the operand"
        return row.guard(match)

    return guard


def _build(row: _Row) -> Callable[[Rebuild, Match, Node], Any]:
    return lambda out, match, like: out.emit(row.op, match["x"], like=like, **row.attrs(match))


# ---- parts that several rows share


def _one_plus(x: Pattern) -> Is:
    return Is("add", (x, Number("one")))


_NEGATED = Is("negative", (_X,))
_SIGMOIDS: tuple[Pattern, ...] = (
    Is("reciprocal", (_one_plus(Is("exp", (_NEGATED,))),)),
    Is("divide", (Number("unit"), _one_plus(Is("exp", (_NEGATED,))))),
)
_SHIFTED = Is("clip", (Is("add", (_X, Number("three"))), Number("low"), Number("six")))


def _over_max(name: str) -> Pattern:
    return Is("subtract", (_X, Is("max", (_X,), name=name)))


def _axis(name: str) -> Callable[[Match], dict[str, Any]]:
    return lambda match: {"axis": reduced_axes(match[name])[0]}


def _one_axis(*names: str) -> Callable[[Match], str | None]:
    def guard(match: Match) -> str | None:
        nodes = [match[n] for n in names]
        if any(not n["keepdims"] for n in nodes):
            return "a reduction drops its axis"
        axes = {reduced_axes(n) for n in nodes}
        return None if len(axes) == 1 and len(axes.pop()) == 1 else "it is not over one axis"

    return guard


_LEAK = Is("multiply", (_X, Number("slope")))

ACTIVATIONS: list[_Row] = [
    *(
        _Row("sigmoid", p, {"one": 1, **({"unit": 1} if p.ops == "divide" else {})})
        for p in _SIGMOIDS
        if isinstance(p, Is)
    ),
    _Row("silu", Is("multiply", (_X, Is("sigmoid", (_X,))))),
    _Row("silu", Is("divide", (_X, _one_plus(Is("exp", (_NEGATED,))))), {"one": 1}),
    _Row(
        "gelu",
        Is("multiply", (_X, Is("sigmoid", (Is("multiply", (_X, Number("slope"))),)))),
        {"slope": 1.702},
        lambda match: {"approximate": "sigmoid"},
    ),
    _Row("relu", Is("maximum", (_X, Number("zero"))), {"zero": 0}),
    _Row("log_sigmoid", Is("log", (Is("sigmoid", (_X,)),))),
    _Row("softplus", Is("log", (_one_plus(Is("exp", (_X,))),)), {"one": 1}),
    _Row("softplus", Is("log1p", (Is("exp", (_X,)),))),
    _Row("softplus", Is("logaddexp", (_X, Number("zero"))), {"zero": 0}),
    _Row(
        "softplus",
        Is(
            "add",
            (Is("relu", (_X,)), Is("softplus", (Is("negative", (Is("abs", (_X,)),)),))),
        ),
    ),
    *(
        _Row(op, Is(how, (Is("log", (_X,)), Number("unit"))), {"unit": unit})
        for op, base in (("log10", 10), ("log2", 2))
        for how, unit in (("divide", math.log(base)), ("multiply", 1 / math.log(base)))
    ),
    _Row("mish", Is("multiply", (_X, Is("tanh", (Is("softplus", (_X,)),))))),
    *(
        _Row(op, Is("divide", (p, Number("divisor"))), numbers | {"divisor": 6})
        for op, wrap in (
            ("hardsigmoid", lambda inner: inner),
            ("hardswish", lambda inner: Is("multiply", (_X, inner))),
        )
        for inner, numbers in ((_SHIFTED, {"three": 3, "low": 0, "six": 6}),)
        for p in (wrap(inner),)
    ),
    _Row("hardswish", Is("multiply", (_X, Is("hardsigmoid", (_X,))))),
    _Row(
        "leaky_relu",
        Is("where", (Is("greater", (_X, Number("zero"))), _X, _LEAK)),
        {"zero": 0},
        lambda match: {"slope": float(match["slope"])},
    ),
    _Row(
        "log_softmax",
        Is("log", (Is("softmax", (_X,), name="softmax"),)),
        {},
        lambda match: {"axis": match["softmax"]["axis"]},
    ),
    _Row(
        "log_softmax",
        Is("subtract", (_X, Is("logsumexp", (_X,), name="sum"))),
        {},
        _axis("sum"),
        _one_axis("sum"),
    ),
    _Row(
        "log_softmax",
        Is(
            "subtract",
            (
                _over_max("max"),
                Is("log", (Is("sum", (Is("exp", (_over_max("max_too"),)),), name="sum"),)),
            ),
        ),
        {},
        _axis("sum"),
        _one_axis("sum", "max", "max_too"),
    ),
    _Row(
        "softmax",
        Is(
            "divide",
            (
                Is("exp", (_over_max("max"),)),
                Is("sum", (Is("exp", (_over_max("max_too"),)),), name="sum"),
            ),
        ),
        {},
        _axis("sum"),
        _one_axis("sum", "max", "max_too"),
    ),
]  # fmt: skip


def _guard_glu(match: Match) -> str | None:
    a, b = match["a"], match["b"]
    halves = a.node if isinstance(a, Value) else None
    if halves is None or halves.op != "split" or not isinstance(b, Value) or b.node is not halves:
        return "value and gate are no halves of one split"
    if [a.index, b.index] != [0, 1] or len(halves.results) != 2 or a.type != b.type:
        return "value and gate are not the first and the second half"
    return None


def _build_glu(out: Rebuild, match: Match, like: Node) -> Any:
    halves = match["a"].node
    return out.emit("glu", halves.operands[0], like=like, axis=halves["axis"])


ROWS = [
    *(Rewrite(row.op, row.pattern, _guard(row), _build(row)) for row in ACTIVATIONS),
    Rewrite(
        "glu", Is("multiply", (Bind("a"), Is("sigmoid", (Bind("b"),)))), _guard_glu, _build_glu
    ),
]


def raise_activations(graph: Graph, log: Log | None = None) -> bool:
    """SiLU, sigmoid, softplus, log-softmax and others, from their formulas."""
    return rewrite(graph, ROWS, log)
