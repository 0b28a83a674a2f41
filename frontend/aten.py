"""The ATen table: one row for each ATen op, shared by the TorchScript and torch.export frontends.

A row is a function `(b, *args)` in the order and with the names of the op's schema; defaults are filled in before
the call. Tensors arrive as IR values, or as Python numbers where the source holds a 0-d host scalar; sizes as ints or
dims; `dtype` arguments as `DType` or None; device, layout, memory format and generator arguments are dropped.
A row returns a value, or a tuple of values for several results. In-place forms and writes through views are made
functional before a row is called (see lowering.py), so that rows are pure: `add_` calls the row of `add`.

Keys are `name` (all overloads) or `name.overload`, without `aten::`; the longer one wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Builder

Row = Callable[..., Any]


def _linear(b: Builder, input: Any, weight: Any, bias: Any = None) -> Any:
    return b.op("linear", input, weight, bias)


ATEN: dict[str, Row] = {
    "linear": _linear,
}
