"""ATen rows: sizes, checks that vanish, and reads of data on the host, which are errors."""

from __future__ import annotations

from typing import Any

from ..errors import TranspileError
from ..ir import Builder, Value
from ..ir.dims import product
from .aten_common import Row, axis


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
    if not isinstance(self, Value):
        return self
    raise TranspileError(
        "the model reads a tensor's value on the host, so what it computes depends on data",
        hint="keep the value a tensor (no .item(), int(tensor) or `if tensor`), "
        "or capture the model without this part",
    )


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
    "is_nonzero": _item,
    "item": _item,
    "_local_scalar_dense": _item,
    "equal": _item,
    "Bool": _item,
    "Int": _item,
    "Float": _item,
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
