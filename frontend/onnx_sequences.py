"""ONNX rows: sequences whose parts are known while the graph is walked.

Exporters write `split`, `unbind` and lists that loops fill as sequences. A sequence is no value of
the IR: its parts are, and the operators that take them apart or join them are resolved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Value
from ..ir.dims import Expr
from .onnx_shape import axis
from .onnx_values import Call, Host, Listed, Source, host


def _parts(c: Call, x: Any) -> list[Any]:
    if not isinstance(x, Listed):
        raise TranspileError(f"{c.op} of a sequence that the data makes")
    return list(x.parts)


def _place(c: Call, at: Source, count: int, default: int) -> int:
    """The position as a number that is not negative; an insertion may be at the end."""
    place = default if at is None else c.ints(at, "the position")[0]
    place = place + count if place < 0 else place
    if not 0 <= place < max(count, default + 1):
        raise TranspileError(f"the position {place} in a sequence of {count}")
    return place


def _split(c: Call, x: Source, split: Source = None) -> Listed:
    """Parts of given sizes, or single places, which may lose the axis."""
    value = c.value(x)
    at = axis(value, c.attr("axis", 0))
    sizes = _sizes(c, value.tensor.shape[at], split)
    if split is None and not c.attr("keepdims", 1):
        return Listed(tuple(c.b.op("select", value, axis=at, index=i) for i in range(len(sizes))))
    if len(sizes) == 1:
        return Listed((value,))
    return Listed(tuple(c.b.op("split", value, sizes=tuple(sizes), axis=at)))


def _sizes(c: Call, size: int | Expr, split: Source) -> list[Any]:
    listed = isinstance(split, Host | Value) and bool(_shape(split))
    if listed:
        return c.dims(split, "the sizes of the parts")
    if not isinstance(size, int):
        raise TranspileError(f"a sequence of as many parts as {size}", hint="fix the dim")
    part = 1 if split is None else c.ints(split, "the size of a part")[0]
    return [min(part, size - start) for start in range(0, size, part)]


def _shape(x: Host | Value) -> tuple[Any, ...]:
    return x.shape if isinstance(x, Host) else x.tensor.shape


def _at(c: Call, x: Any, position: Source) -> Any:
    parts = _parts(c, x)
    return parts[_place(c, position, len(parts), len(parts) - 1)]


def _insert(c: Call, x: Any, part: Source, position: Source = None) -> Listed:
    parts = _parts(c, x)
    parts.insert(_place(c, position, len(parts), len(parts)), part)
    return Listed(tuple(parts))


def _erase(c: Call, x: Any, position: Source = None) -> Listed:
    parts = _parts(c, x)
    del parts[_place(c, position, len(parts), len(parts) - 1)]
    return Listed(tuple(parts))


def _concat(c: Call, x: Any) -> Value:
    values = [c.value(part) for part in _parts(c, x)]
    if not values:
        raise TranspileError("ConcatFromSequence of nothing")
    rank = values[0].tensor.rank
    if c.attr("new_axis", 0):
        return c.b.op("stack", *values, axis=int(c.required("axis")) % (rank + 1))
    at = axis(values[0], c.required("axis"))
    return values[0] if len(values) == 1 else c.b.op("concatenate", *values, axis=at)


ROWS: dict[str, Any] = {
    "SplitToSequence": _split,
    "SequenceConstruct": lambda c, *parts: Listed(parts),
    "SequenceEmpty": lambda c: Listed(()),
    "SequenceAt": _at,
    "SequenceInsert": _insert,
    "SequenceErase": _erase,
    "SequenceLength": lambda c, x: host(np.int64(len(_parts(c, x))), DType.i64),
    "ConcatFromSequence": _concat,
}
