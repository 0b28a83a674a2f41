"""The ONNX table: one row for each operator, or for each range of its versions.

A row is a function `(c, *inputs)`. Inputs arrive in the operator's order as `Host` (known while
walking: constants, initializers, sizes), as IR values, or None where left out; `c` (a `Call`) reads
them: `c.value(x)` as a tensor, `c.operand(x)` as a number where it is one, `c.ints(x, what)` as
numbers that must be known, `c.attr(name, default)` for attributes. It returns a value (or a
`Host`), or a list of them. What cannot be said in the IR is a `TranspileError`.

To add an operator: a row in the `ROWS` of the file of its family, under its name, or
`{7: old, 13: new}` where versions differ (`c.opset` tells small differences). Operators of another
domain stand under `domain.Name` (see `onnx_ml.py`; `com.microsoft` goes into a file of its own). A
new file is listed in `TABLE` below. Operators that the standard defines as functions need no row:
the walk expands them.
"""

from __future__ import annotations

from typing import Any

from . import (
    onnx_classic,
    onnx_contrib,
    onnx_control,
    onnx_conv,
    onnx_index,
    onnx_math,
    onnx_matrix,
    onnx_ml,
    onnx_norm,
    onnx_quantize,
    onnx_random,
    onnx_reduce,
    onnx_resize,
    onnx_rnn,
    onnx_sequences,
    onnx_shape,
    onnx_signal,
)
from .onnx_values import Row


def _table(*areas: dict[str, Any]) -> dict[str, dict[int, Row]]:
    """The rows of all areas by name and first version; ValueError where two have one name."""
    out: dict[str, dict[int, Row]] = {}
    for area in areas:
        twice = out.keys() & area.keys()
        if twice:
            raise ValueError(f"two rows for {', '.join(sorted(twice))}")
        out |= {name: row if isinstance(row, dict) else {1: row} for name, row in area.items()}
    return out


TABLE = _table(
    onnx_math.ROWS,
    onnx_shape.ROWS,
    onnx_matrix.ROWS,
    onnx_norm.ROWS,
    onnx_conv.ROWS,
    onnx_resize.ROWS,
    onnx_reduce.ROWS,
    onnx_index.ROWS,
    onnx_sequences.ROWS,
    onnx_rnn.ROWS,
    onnx_quantize.ROWS,
    onnx_random.ROWS,
    onnx_signal.ROWS,
    onnx_ml.ROWS,
    onnx_classic.ROWS,
    onnx_control.ROWS,
    onnx_contrib.ROWS,
)


def find(domain: str, op: str, opset: int) -> Row | None:
    """The row of an operator at a version of its domain; None where there is none."""
    versions = TABLE.get(f"{domain}.{op}" if domain else op, {})
    since = [v for v in versions if v <= opset]
    return versions[max(since)] if since else None
