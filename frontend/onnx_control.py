"""ONNX rows: control flow. Conditions that are known are resolved, loops that end soon unrolled.

Where a condition depends on data, both branches of an If are computed and one is chosen, and a loop
of few trips keeps its state from the moment where it ends: that is right where results have one
type either way. Everything else is an error that says what would work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Tensor, Value
from ..ir.dims import Expr
from .aten_common import reshaped
from .onnx_shape import axis
from .onnx_values import UNKNOWN, Call, Host, NeedsValue, Source, host

UNROLLED = 64  # trips
NODES = 20_000  # trips times nodes of the body


def _if(c: Call, condition: Source) -> list[Any]:
    branches = [c.required(name) for name in ("then_branch", "else_branch")]
    if not isinstance(condition, Value):
        known = c.static(condition, "the condition").reshape(-1)[0]
        return c.run(branches[0 if bool(known) else 1], [])
    _small(1, *branches)
    pair = [c.run(branch, []) for branch in branches]
    for results in pair:
        _check(results)
    return [_chosen(c, condition, a, b) for a, b in zip(*pair, strict=True)]


def _chosen(c: Call, condition: Value, new: Source, old: Source) -> Any:
    """One of two values of one type."""
    if new is old:
        return new
    types = [_type(x) for x in (new, old)]
    if types[0] != types[1]:
        name = c.state.input_name(condition)
        if name is not None:
            raise NeedsValue(name, f"the condition of {c.op}")
        raise TranspileError(
            "its condition depends on data, and its results have two types: "
            f"{types[0]}, {types[1]}",
            hint="results of one type on both sides, or a condition of constants and sizes, work",
        )
    return c.b.op("where", reshaped(c.b, condition, ()), c.value(new), c.value(old))


def _type(x: Source) -> Tensor:
    if x is None:
        raise TranspileError("a result that is left out")
    return x.tensor if isinstance(x, Value) else Tensor(x.dtype, x.shape)


def _check(results: Sequence[Any]) -> None:
    if any(r is UNKNOWN for r in results):
        raise TranspileError("its body cannot be transpiled")


def _small(trips: int, *bodies: Any) -> None:
    nodes = trips * sum(len(body) for body in bodies)
    if trips > UNROLLED or nodes > NODES:
        raise TranspileError(
            f"{trips} trips of {nodes // max(trips, 1)} operators are too many to write out",
            hint=f"up to {UNROLLED} trips and {NODES:,} operators in all work",
        )


# ---- loops


def _loop(c: Call, trips: Source = None, condition: Source = None, *carried: Source) -> list[Any]:
    """Unrolled: the number of trips is known, or the condition after each trip."""
    body, count = c.required("body"), _trips(c, trips)
    if count is not None and condition is None:
        _small(count, body)
    state, rows, turn = list(carried), [], 0
    running = host(np.bool_(True), DType.bool)
    going: Any = True if condition is None else _known(c, condition)
    while going is not False and (count is None or turn < count):
        _small(max(turn + 1, count or 0) if turn >= UNROLLED else turn + 1, body)
        results = c.run(body, [host(np.int64(turn), DType.i64), running, *state])
        _check(results)
        new = results[1 : 1 + len(state)]
        state = new if going is True else _kept(c, going, new, state)
        rows.append(results[1 + len(state) :])
        going = _further(c, going, results[0], count)
        turn += 1
    if len(body.outputs) > 1 + len(state):
        _same_lengths(c, going, condition, rows)
    return [*state, *(_stacked(c, column, 0) for column in zip(*rows, strict=True))]


def _trips(c: Call, trips: Source) -> int | None:
    if trips is None:
        return None
    if isinstance(trips, Value) and c.state.input_name(trips) is None:
        raise TranspileError(
            "its number of trips depends on data",
            hint="a number made of constants and sizes works; so does a fixed limit of up to "
            f"{UNROLLED} trips with a condition that ends the loop",
        )
    count = c.scalar(trips, "the number of trips")
    if isinstance(count, Expr):
        raise TranspileError(
            f"a loop of {count} trips, which is not fixed", hint="fix the dim with --input"
        )
    return int(count)


def _known(c: Call, condition: Source) -> Any:
    """A condition as True, False, or a value that is known at run time."""
    return bool(condition.number) if isinstance(condition, Host) else condition


def _further(c: Call, going: Any, after: Source, count: int | None) -> Any:
    """Whether there is a next trip; once that depends on data it stays so, for `count` trips."""
    then = _known(c, after)
    if then is False:
        return False
    if isinstance(then, Value) and count is None:
        raise TranspileError(
            "its end depends on data, and nothing limits its trips",
            hint=f"a fixed limit of up to {UNROLLED} trips works",
        )
    if going is True or then is True:
        return going if then is True else then
    return c.b.op("bitwise_and", *(reshaped(c.b, v, ()) for v in (going, then)))


def _kept(c: Call, going: Value, new: list[Any], old: list[Any]) -> list[Any]:
    return [_chosen(c, going, a, b) for a, b in zip(new, old, strict=True)]


def _same_lengths(c: Call, going: Any, condition: Source, rows: list[Any]) -> None:
    """Rows that are collected must have a number that is known."""
    if not rows:
        raise TranspileError("a loop that collects rows and never runs")
    if not isinstance(going, Value):
        return
    name = c.state.input_name(condition) if isinstance(condition, Value) else None
    if name is not None:
        raise NeedsValue(name, f"the condition of {c.op}")
    raise TranspileError(
        "it collects a row for each trip, and its condition depends on data",
        hint="a loop that only carries values works, or one with a known condition",
    )


def _stacked(c: Call, values: Any, at: int) -> Value:
    return c.b.op("stack", *(c.value(v) for v in values), axis=at)


# ---- scans


def _scan(c: Call, *inputs: Source) -> list[Any]:
    """Unrolled over the elements of the scanned inputs."""
    if c.opset < 9:
        return _scan_8(c, *inputs)
    body, count = c.required("body"), int(c.required("num_scan_inputs"))
    return _scanned(c, body, list(inputs[: len(inputs) - count]), list(inputs[-count:]))


def _scan_8(c: Call, lengths: Source, *inputs: Source) -> list[Any]:
    """With a batch axis in front: each element of the batch is scanned alone."""
    if lengths is not None:
        raise TranspileError(
            "Scan with a length for each element of the batch",
            hint="leave sequence_lens out, or use Scan of opset 9 or later",
        )
    body, count = c.required("body"), int(c.required("num_scan_inputs"))
    values = [c.value(x) for x in inputs]
    size = values[0].tensor.shape[0]
    if not isinstance(size, int):
        raise TranspileError(f"Scan over a batch of {size}", hint="fix the dim with --input")
    rows = []
    for i in range(size):
        each = [c.b.op("select", v, axis=0, index=i) for v in values]
        rows.append(_scanned(c, body, list(each[: len(each) - count]), list(each[-count:])))
    return [_stacked(c, column, 0) for column in zip(*rows, strict=True)]


def _scanned(c: Call, body: Any, state: list[Any], scanned: list[Any]) -> list[Any]:
    values = [c.value(x) for x in scanned]
    along = c.attr("scan_input_axes") or [0] * len(values)
    back = c.attr("scan_input_directions") or c.attr("directions") or [0] * len(values)
    axes = [axis(v, a) for v, a in zip(values, along, strict=True)]
    steps = values[0].tensor.shape[axes[0]]
    if not isinstance(steps, int):
        raise TranspileError(
            f"a scan over {steps} elements, which is not fixed", hint="fix the dim with --input"
        )
    _small(steps, body)
    rows: list[list[Any]] = []
    for i in range(steps):
        places = [steps - 1 - i if b else i for b in back]
        each = [
            c.b.op("select", v, axis=a, index=p)
            for v, a, p in zip(values, axes, places, strict=True)
        ]
        results = c.run(body, [*state, *each])
        _check(results)
        state, rows = results[: len(state)], [*rows, results[len(state) :]]
    return [*state, *_columns(c, rows)]


def _columns(c: Call, rows: list[list[Any]]) -> list[Value]:
    columns = list(zip(*rows, strict=True))
    axes = c.attr("scan_output_axes") or [0] * len(columns)
    back = c.attr("scan_output_directions") or [0] * len(columns)
    out = []
    for column, at, turned in zip(columns, axes, back, strict=True):
        values = [c.value(v) for v in column]
        rank = values[0].tensor.rank + 1
        ordered = values[::-1] if turned else values
        out.append(c.b.op("stack", *ordered, axis=at % rank))
    return out


ROWS: dict[str, Any] = {"If": _if, "Loop": _loop, "Scan": _scan}
