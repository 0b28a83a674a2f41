"""ATen rows: casts, copies, selection by masks, places in sorted sequences."""

from __future__ import annotations

from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr
from .aten_common import Row, expand_dims, need, tensor
from .aten_elementwise import truth
from .data_sizes import places
from .promotion import cast, is_host, promoted, result_type


def _where(b: Builder, condition: Any, self: Any = None, other: Any = None) -> Any:
    """With the condition alone: where it holds, an index tensor for each axis."""
    if self is None:
        need(bool(condition.tensor.rank), "where of a number", "compare the number instead")
        return tuple(places(b, condition))
    dtype = result_type(self, other)
    left, right = cast(b, self, dtype), cast(b, other, dtype)
    if is_host(left) and is_host(right):
        left = tensor(b, left, dtype)
    return b.op("where", truth(b, condition), left, right)


def _masked_fill(b: Builder, self: Any, mask: Any, value: Any) -> Value:
    return b.op("where", truth(b, mask), cast(b, value, self.tensor.dtype), self)


def _identity(b: Builder, self: Any, *unused: Any, **options: Any) -> Any:
    return self


def _to_dtype(
    b: Builder, self: Any, dtype: DType | None = None, *unused: Any, **options: Any
) -> Any:
    return cast(b, self, dtype)


def _to_device(
    b: Builder, self: Any, *args: Any, dtype: DType | None = None, **options: Any
) -> Any:
    """Devices are dropped; a dtype may stand among the arguments."""
    found = next((a for a in args if isinstance(a, DType)), dtype)
    return cast(b, self, found)


def _to_other(b: Builder, self: Any, other: Any, *unused: Any, **options: Any) -> Any:
    return cast(b, self, other.tensor.dtype if isinstance(other, Value) else None)


def _copy(b: Builder, self: Any, src: Any, *unused: Any, **options: Any) -> Value:
    """`self` overwritten by `src`, at the type and shape of `self`."""
    shape = self.tensor.shape
    src = tensor(b, src, self.tensor.dtype)
    return src if src.tensor.shape == shape else b.op("broadcast_to", src, shape=shape)


def _fill(b: Builder, self: Any, value: Any) -> Value:
    if is_host(value):
        return b.op("full", shape=self.tensor.shape, value=value, dtype=self.tensor.dtype)
    return _copy(b, self, value)


def _bucketize(
    b: Builder, self: Any, boundaries: Value, *, out_int32: bool = False, right: bool = False
) -> Value:
    return _searchsorted(b, boundaries, self, out_int32=out_int32, right=right)


def _isin(
    b: Builder, elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False
) -> Value:
    x, tests = promoted(b, tensor(b, elements), tensor(b, test_elements))
    if tests.tensor.rank > 1:
        tests = b.op("reshape", tests, shape=(_size(tests),))
    if tests.tensor.rank:
        x = expand_dims(b, x, x.tensor.rank)
        found = b.op("any", b.op("equal", x, tests), axes=(x.tensor.rank - 1,))
    else:
        found = b.op("equal", x, tests)
    return b.op("invert", found) if invert else found


def _size(x: Value) -> int | Expr:
    from ..ir.dims import product

    return product(x.tensor.shape)


def _dropout(b: Builder, input: Value, p: float, train: bool | None) -> Value:
    need(
        not train or p == 0,
        "dropout in training mode",
        "call model.eval() before the model is captured",
    )
    return input


def _searchsorted(
    b: Builder,
    sorted_sequence: Value,
    self: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Value:
    need(sorter is None, "searchsorted with a sorter", "sort the sequence first")
    values, edges = promoted(b, tensor(b, self), sorted_sequence)
    dtype = DType.i32 if out_int32 else DType.i64
    return b.op("searchsorted", edges, values, right=right or side == "right", dtype=dtype)


ROWS: dict[str, Row] = {
    "positive": _identity,
    "where": _where,
    "masked_fill": _masked_fill,
    "to.dtype": _to_dtype,
    "to.device": _to_device,
    "to.dtype_layout": _to_device,
    "to.other": _to_other,
    "to.prim_dtype": _to_dtype,
    "to.prim_Device": _to_device,
    "to.prim_other": _to_device,
    "type_as": _to_other,
    "_to_copy": _to_device,
    "_autocast_to_full_precision": lambda b, self, *unused: self,
    "_autocast_to_reduced_precision": lambda b, self, *unused: self,
    "copy": _copy,
    "fill": _fill,
    **dict.fromkeys(
        (
            "alias",
            "clone",
            "contiguous",
            "detach",
            "lift_fresh",
            "lift_fresh_copy",
            "lift",
            "cpu",
            "cuda",
            "requires_grad_",
            "detach_copy",
            "alias_copy",
            "_conj_physical",
            "resolve_conj",
            "resolve_neg",
            "data",
            "pin_memory",
        ),
        _identity,
    ),
    "dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "feature_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "alpha_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "feature_alpha_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "native_dropout": lambda b, input, p, train: (
        _dropout(b, input, p, train),
        b.op("full", shape=input.tensor.shape, value=True, dtype=DType.bool),
    ),
    "bucketize": _bucketize,
    "isin": _isin,
    "searchsorted": lambda b, sorted_sequence, self, **o: _searchsorted(
        b, sorted_sequence, self, **o
    ),
}
