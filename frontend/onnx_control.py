"""ONNX rows: control flow that is known while walking. Conditions are resolved, loops unrolled.

A condition or a trip count that depends on data has no row here: it is an error that says so.
"""

from __future__ import annotations

from typing import Any

from ..errors import TranspileError
from ..ir import Value
from ..ir.dims import Expr
from .onnx_shape import axis
from .onnx_values import UNKNOWN, Call, Host, NeedsValue, Source, host
from ..ir import DType

import numpy as np

UNROLLED = 64  # trips


def _if(c: Call, condition: Source) -> list[Any]:
    known = c.static(condition, "the condition").reshape(-1)[0]
    branch = c.required("then_branch" if bool(known) else "else_branch")
    return c.run(branch, [])


def _loop(c: Call, trips: Source = None, condition: Source = None, *carried: Source) -> list[Any]:
    """Unrolled: the number of trips is known, and so is the condition after each."""
    body = c.required("body")
    count = None if trips is None else c.scalar(trips, "the number of trips")
    going: Any = True if condition is None else bool(c.scalar(condition, "the condition"))
    if isinstance(count, Expr):
        raise TranspileError(f"a loop of {count} trips", hint="fix the dim with --input")
    state: list[Any] = list(carried)
    rows: list[list[Any]] = []
    turn = 0
    while going and (count is None or turn < count):
        if turn == UNROLLED:
            raise TranspileError(f"a loop of more than {UNROLLED} trips is not unrolled")
        results = c.run(body, [host(np.int64(turn), DType.i64), host(np.bool_(True), DType.bool), *state])
        _check(results)
        going = bool(c.scalar(results[0], "the condition of the loop"))
        state, rows = results[1 : 1 + len(state)], [*rows, results[1 + len(state) :]]
        turn += 1
    if not rows and len(body.outputs) > 1 + len(state):
        raise TranspileError("a loop that never runs")
    return [*state, *(_stacked(c, column, 0) for column in zip(*rows, strict=True))]


def _check(results: list[Any]) -> None:
    if any(r is UNKNOWN for r in results):
        raise TranspileError("its body cannot be transpiled")


def _stacked(c: Call, values: Any, at: int) -> Value:
    return c.b.op("stack", *(c.value(v) for v in values), axis=at)


def _scan(c: Call, *inputs: Source) -> list[Any]:
    """Unrolled over the elements of the scanned inputs."""
    if c.opset < 9:
        return _scan_8(c, *inputs)
    body, count = c.required("body"), int(c.required("num_scan_inputs"))
    return _scanned(c, body, list(inputs[: len(inputs) - count]), list(inputs[-count:]))


def _scan_8(c: Call, lengths: Source, *inputs: Source) -> list[Any]:
    """With a batch axis in front: each element of the batch is scanned alone."""
    if lengths is not None:
        raise TranspileError("Scan with a length for each element of the batch")
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
    if not isinstance(steps, int) or steps > UNROLLED:
        raise TranspileError(
            f"a scan over {steps} elements is not unrolled", hint="fix the dim with --input"
        )
    rows = []
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

__all__ = ["ROWS", "Host", "NeedsValue"]
