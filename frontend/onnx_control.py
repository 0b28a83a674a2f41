"""ONNX rows: control flow. Conditions that are known are resolved, loops that end soon unrolled.

What depends on data becomes blocks of an IR node: an `if`, `for` or `while` of the emitted code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Value
from ..ir.dims import Expr
from .aten_common import reshaped
from .blocks import Turns
from .onnx_blocks import branch, checked, limit, loop, valued
from .onnx_shape import axis
from .onnx_values import Call, Host, Source, host

UNROLLED = 64  # trips
NODES = 1000  # trips times nodes of the body


class _Long(Exception):
    """A loop that is not written out turn by turn."""


def _if(c: Call, condition: Source) -> list[Any]:
    sides = [c.required(name) for name in ("then_branch", "else_branch")]
    if isinstance(condition, Value):
        return branch(c, condition, sides)
    known = c.static(condition, "the condition").reshape(-1)[0]
    return c.run(sides[0 if bool(known) else 1], [])


def _small(trips: int, body: Any) -> None:
    if trips > UNROLLED or trips * len(body) > NODES:
        raise _Long


def _turn(counter: int | Expr) -> Any:
    """The number of a turn, as ONNX gives it to the body."""
    if not isinstance(counter, Expr):
        return host(np.int64(counter), DType.i64)
    array = np.empty((), object)
    array[()] = counter
    return host(array, DType.i64)


_RUNNING = host(np.bool_(True), DType.bool)


# ---- loops


def _loop(c: Call, trips: Source = None, condition: Source = None, *carried: Source) -> list[Any]:
    if isinstance(trips, Value):
        c.found(trips, "the number of trips")
    if isinstance(condition, Value) and len(c.required("body").outputs) > 1 + len(carried):
        c.found(condition, "the condition")
    mark = c.state.mark()
    try:
        return _unrolled(c, trips, condition, list(carried))
    except _Long:
        c.state.rewind(mark)
    return _as_loop(c, trips, condition, list(carried))


def _unrolled(c: Call, trips: Source, condition: Source, state: list[Any]) -> list[Any]:
    """Turn by turn: the number of trips is known, or the condition after each trip."""
    body, rows, turn = c.required("body"), [], 0
    if isinstance(trips, Value) or isinstance(condition, Value):
        raise _Long
    count = None if trips is None else c.scalar(trips, "the number of trips")
    if isinstance(count, Expr):
        raise _Long
    if count is not None and condition is None:
        _small(count, body)
    going = condition is None or bool(condition.number)
    while going and (count is None or turn < count):
        _small(turn + 1, body)
        results = checked(c.run(body, [_turn(turn), _RUNNING, *state]))
        state, row = list(results[1 : 1 + len(state)]), results[1 + len(state) :]
        rows.append(row)
        if isinstance(results[0], Value):
            raise _Long
        going, turn = bool(results[0].number), turn + 1
    if not rows and len(body.outputs) > 1 + len(state):
        raise _Long
    return [*state, *(_stacked(c, column, 0) for column in zip(*rows, strict=True))]


def _as_loop(c: Call, trips: Source, condition: Source, carried: list[Source]) -> list[Any]:
    body = c.required("body")
    start = [valued(c, x) for x in carried]
    enter = reshaped(c.b, condition, ()) if isinstance(condition, Value) else None
    count = limit(c, trips)
    if isinstance(condition, Host) and not bool(condition.number):
        count = 0
    turns = Turns(count, enter, start, c.b.found.fresh("i"))

    def walk(turn: Expr, state: list[Value]) -> Sequence[Any]:
        return checked(c.run(body, [_turn(turn), _RUNNING, *state]))

    return loop(c, turns, walk, tested=True)


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
    mark = c.state.mark()
    try:
        if not isinstance(steps, int) or steps == 0:
            raise _Long
        _small(steps, body)
        rows: list[Any] = []
        for i in range(steps):
            results = checked(c.run(body, [*state, *_elements(c, values, axes, back, i, steps)]))
            state, rows = list(results[: len(state)]), [*rows, results[len(state) :]]
        return [*state, *_columns(c, rows)]
    except _Long:
        c.state.rewind(mark)

    def walk(turn: Expr, carried: list[Value]) -> Sequence[Any]:
        return checked(c.run(body, [*carried, *_elements(c, values, axes, back, turn, steps)]))

    turns = Turns(steps, None, [valued(c, x) for x in state], c.b.found.fresh("i"))
    found = loop(c, turns, walk, tested=False)
    return [*found[: len(state)], *_turned(c, found[len(state) :])]


def _elements(
    c: Call, values: list[Value], axes: list[int], back: list[int], turn: Any, steps: Any
) -> list[Value]:
    """What a turn takes of the scanned inputs."""
    places = [steps - 1 - turn if b else turn for b in back]
    return [
        c.b.op("select", v, axis=a, index=p) for v, a, p in zip(values, axes, places, strict=True)
    ]


def _turned(c: Call, columns: Sequence[Value]) -> list[Value]:
    """Rows that are stacked in front, in the order and on the axis that the node asks for."""
    axes = c.attr("scan_output_axes") or [0] * len(columns)
    back = c.attr("scan_output_directions") or [0] * len(columns)
    out = []
    for value, at, turned in zip(columns, axes, back, strict=True):
        value = c.b.op("flip", value, axes=(0,)) if turned else value
        rank = value.tensor.rank
        order = [*range(1, rank)]
        order.insert(at % rank, 0)
        out.append(value if at % rank == 0 else c.b.op("transpose", value, axes=tuple(order)))
    return out


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
