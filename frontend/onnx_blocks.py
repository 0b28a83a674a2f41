"""Control flow of ONNX that depends on data: graphs inside a node as blocks of an IR node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Value
from ..ir.dims import Expr, bounds, maximum
from . import blocks
from .aten_common import reshaped
from .blocks import Turn, Turns, cut
from .onnx_values import UNKNOWN, Call, Host, Source


def valued(c: Call, x: Source) -> Value:
    """The input of a block or loop as a value; a known number stands in the code."""
    if isinstance(x, Host) and x.size == 1 and not x.symbolic:
        return c.constant(x.array, x.dtype)
    return c.value(x)


def checked(results: Sequence[Any]) -> Sequence[Any]:
    if any(r is UNKNOWN for r in results):
        raise TranspileError("its body cannot be transpiled")
    if any(r is None for r in results):
        raise TranspileError("its body gives a value that is left out")
    return results


# ---- if


def branch(c: Call, condition: Value, sides: Sequence[Any]) -> list[Any]:
    """Both graphs as blocks; results that are known and the same either way stay known."""
    walked: list[Sequence[Any]] = []

    def side(graph: Any) -> Callable[[], Sequence[Value]]:
        def run() -> Sequence[Value]:
            walked.append(checked(c.run(graph, [])))
            return [valued(c, r) for r in walked[-1]]

        return run

    parts = [cut(c.b, side(graph)) for graph in sides]
    same = [_same(*pair) for pair in zip(*walked, strict=True)]
    for part in parts:
        part.results = [v for v, known in zip(part.results, same, strict=True) if not known]
    found: list[Any] = list(blocks.branch(c.b, condition, parts))
    return [a if known else found.pop(0) for a, known in zip(walked[0], same, strict=True)]


def _same(a: Source, b: Source) -> bool:
    if isinstance(a, Host) and isinstance(b, Host):
        alike = (a.dtype, a.shape, a.initializer) == (b.dtype, b.shape, b.initializer)
        return alike and (bool(a.initializer) or bool((a.array == b.array).all()))
    return a is b


# ---- loops


def loop(
    c: Call, turns: Turns, walk: Callable[[Expr, list[Value]], Sequence[Any]], tested: bool
) -> list[Value]:
    """The node of a loop. `walk(turn, carried)` walks one turn; with `tested` its first result is
    the condition to go on.
    """

    def turn(number: Expr, own: list[Value]) -> Turn:
        known = list(walk(number, own))
        first = known.pop(0) if tested else None
        going = first is None or (isinstance(first, Host) and bool(first.number))
        values = [valued(c, r) for r in checked(known)]
        return Turn(None if going else valued(c, first), values[: len(own)], values[len(own) :])

    return blocks.loop(c.b, turns, turn)


def limit(c: Call, trips: Source) -> int | Expr | None:
    """The number of trips as an int, a dim, or a size that is read from data; None: no limit."""
    if trips is None:
        return None
    if isinstance(trips, Value):
        return c.b.size(c.b.op("maximum", reshaped(c.b, trips, ()), 0))
    count = c.scalar(trips, "the number of trips")
    if isinstance(count, Expr):
        low = bounds(count)[0]
        return count if low is not None and low >= 0 else maximum(count, 0)
    return None if count > 2**31 - 1 else max(int(count), 0)
