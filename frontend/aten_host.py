"""ATen rows: sizes, checks that vanish, and numbers that are read from data on the host."""

from __future__ import annotations

from typing import Any

from ..ir import Builder, Unequal, Value
from ..ir.dims import product
from .aten_common import Row, axis
from .data_numbers import compute, read_number
from .promotion import promoted


def _size(b: Builder, self: Value, dim: int | None = None) -> Any:
    shape = self.tensor.shape
    return list(shape) if dim is None else shape[axis(self, dim)]


def _numel(b: Builder, self: Value) -> Any:
    return product(self.tensor.shape)


def _stride(b: Builder, self: Value, dim: int | None = None) -> Any:
    """Strides of a row-major tensor."""
    shape = self.tensor.shape
    strides = [product(shape[i + 1 :]) for i in range(len(shape))]
    return strides if dim is None else strides[axis(self, dim)]


def _item(b: Builder, self: Any, *unused: Any) -> Any:
    return read_number(b, self) if isinstance(self, Value) else self


def _converted(name: str) -> Row:
    """`bool(x)`, `int(x)`, `float(x)` of a tensor with one element."""

    def row(b: Builder, self: Any) -> Any:
        from .aten import ATEN

        return compute(b, ATEN, name, [read_number(b, self)]) if isinstance(self, Value) else self

    return row


def _equal(b: Builder, self: Value, other: Value) -> Any:
    """Whether two tensors are the same, as a number."""
    if self.tensor.shape != other.tensor.shape:
        if self.tensor.rank != other.tensor.rank:
            return False
        raise Unequal(
            *next((x, y) for x, y in zip(self.tensor.shape, other.tensor.shape) if x != y)
        )
    same = b.op("equal", *promoted(b, self, other))
    return read_number(b, b.op("all", same, axes=tuple(range(self.tensor.rank))))


def _vanish(b: Builder, *args: Any, **options: Any) -> None:
    """Checks of the source: they compute nothing."""
    return None


ROWS: dict[str, Row] = {
    "size": _size,
    "sym_size": _size,
    "numel": _numel,
    "sym_numel": _numel,
    "stride": _stride,
    "sym_stride": _stride,
    "storage_offset": lambda b, self: 0,
    "sym_storage_offset": lambda b, self: 0,
    "dim": lambda b, self: self.tensor.rank,
    "is_floating_point": lambda b, self: self.tensor.dtype.is_float,
    "is_complex": lambda b, self: self.tensor.dtype.is_complex,
    "is_nonzero": _converted("Bool"),
    "item": _item,
    "_local_scalar_dense": _item,
    "equal": _equal,
    "Bool": _converted("Bool"),
    "Int": _converted("Int"),
    "Float": _converted("Float"),
    **dict.fromkeys(
        (
            "_assert_async",
            "_assert_scalar",
            "_assert_tensor_metadata",
            "_functional_assert_async",
            "_functional_assert_scalar",
            "_functional_sym_constrain_range",
            "sym_constrain_range",
            "sym_constrain_range_for_size",
            "_functional_sym_constrain_range_for_size",
            "warn",
        ),
        _vanish,
    ),
}
