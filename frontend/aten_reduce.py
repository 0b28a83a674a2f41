"""ATen rows: reductions, scans, sorting."""

from __future__ import annotations

from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import floordiv
from .aten_common import (
    Row,
    axes,
    axis,
    expand_dims,
    floats,
    need,
    reshaped,
    squeeze,
    tensor,
)
from .aten_elementwise import truth
from .aten_matrix import vector_norm
from .aten_shape import flatten
from .promotion import accumulator, cast, category, is_host


def _sum(
    b: Builder, self: Any, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    x = tensor(b, self)
    x = cast(b, x, dtype or accumulator(x.tensor.dtype))
    return b.op("sum", x, axes=axes(x, dim), keepdims=keepdim)


def _sum_all(b: Builder, self: Any, *, dtype: DType | None = None) -> Value:
    return _sum(b, self, dtype=dtype)


def _prod(
    b: Builder,
    self: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    x = tensor(b, self)
    x = cast(b, x, dtype or accumulator(x.tensor.dtype))
    return b.op("prod", x, axes=axes(x, dim), keepdims=keepdim)


def _mean(
    b: Builder, self: Any, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    x = cast(b, tensor(b, self), dtype)
    need(
        category(x.tensor.dtype) >= 2, f"the mean of {x.tensor.dtype} values", "cast to float first"
    )
    return b.op("mean", x, axes=axes(x, dim), keepdims=keepdim)


def _nanmean(
    b: Builder, self: Value, dim: Any = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Value:
    x = cast(b, self, dtype)
    missing = b.op("isnan", x)
    total = _sum(b, b.op("where", missing, 0, x), dim, keepdim)
    count = _sum(b, cast(b, b.op("invert", missing), x.tensor.dtype), dim, keepdim)
    return b.op("divide", total, count)


def _mean_all(b: Builder, self: Any, *, dtype: DType | None = None) -> Value:
    return _mean(b, self, dtype=dtype)


def _extreme(op: str) -> Row:
    """amax, amin."""
    return lambda b, self, dim=(), keepdim=False: b.op(
        op, self, axes=axes(self, dim), keepdims=keepdim
    )


def _extreme_all(op: str) -> Row:
    """max and min without an axis."""
    return lambda b, self: self if is_host(self) else b.op(op, self, axes=axes(self, None))


def _extreme_at(op: str) -> Row:
    """max and min along an axis, with the places."""

    def row(b: Builder, self: Value, dim: int, keepdim: bool = False) -> tuple[Value, Value]:
        at = axis(self, dim)
        if not self.tensor.rank:
            return self, b.op("full", shape=(), value=0, dtype=DType.i64)
        values = b.op(op, self, axes=(at,), keepdims=keepdim)
        return values, b.op(f"arg{op}", self, axis=at, keepdims=keepdim)

    return row


def _arg(op: str) -> Row:
    def row(b: Builder, self: Value, dim: int | None = None, keepdim: bool = False) -> Value:
        if dim is not None:
            return b.op(op, self, axis=axis(self, dim), keepdims=keepdim)
        place = b.op(op, flatten(b, self), axis=0)
        return reshaped(b, place, (1,) * self.tensor.rank) if keepdim else place

    return row


def _quantifier(op: str) -> Row:
    """any, all."""

    def row(b: Builder, self: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if is_host(self):
            return bool(self)
        x = truth(b, self)
        if not x.tensor.rank:
            return x
        return b.op(op, x, axes=axes(x, dim), keepdims=keepdim)

    return row


def _correction(unbiased: Any, correction: Any) -> int:
    if correction is None:
        return 1 if unbiased is None else int(bool(unbiased))
    need(float(correction) == int(correction), f"a variance with correction {correction}")
    return int(correction)


def _spread(op: str) -> Row:
    """var, std over all axes, or over some."""

    def row(
        b: Builder,
        self: Value,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Value:
        if isinstance(dim, bool):  # var(self, unbiased)
            dim, unbiased = None, dim
        return b.op(
            op, self, axes=axes(self, dim), keepdims=keepdim, ddof=_correction(unbiased, correction)
        )

    return row


def _spread_and_mean(op: str) -> Row:
    def row(
        b: Builder, self: Value, dim: Any = None, *rest: Any, **options: Any
    ) -> tuple[Value, Value]:
        keepdim = options.get("keepdim", rest[1] if len(rest) > 1 else False)
        mean = b.op(
            "mean", self, axes=axes(self, None if isinstance(dim, bool) else dim), keepdims=keepdim
        )
        return _spread(op)(b, self, dim, *rest, **options), mean

    return row


def _corrected(op: str) -> Row:
    return lambda b, self, dim=None, *, correction=None, keepdim=False: _spread(op)(
        b, self, dim, None, keepdim, correction=correction
    )


def _logsumexp(b: Builder, self: Value, dim: Any, keepdim: bool = False) -> Value:
    x = floats(b, self)
    return b.op("logsumexp", x, axes=axes(x, dim), keepdims=keepdim)


def _norm(
    b: Builder,
    self: Value,
    p: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    x = cast(b, floats(b, self), dtype)
    return vector_norm(b, x, 2.0 if p is None else float(p), axes(x, dim), keepdim)


def _linalg_vector_norm(
    b: Builder,
    self: Value,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    return _norm(b, self, ord, dim, keepdim, dtype=dtype)


def _linalg_norm(
    b: Builder,
    self: Value,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Value:
    listed = [dim] if isinstance(dim, int) else dim
    vector = len(listed) == 1 if listed else ord is None or self.tensor.rank == 1
    need(
        vector or ord in (None, "fro"),
        f"a matrix norm of order {ord}",
        "write it with elementary operations",
    )
    return _norm(b, self, 2 if ord in (None, "fro") else ord, dim, keepdim, dtype=dtype)


def _scan(op: str) -> Row:
    """cumsum, cumprod."""

    def row(b: Builder, self: Value, dim: int, *, dtype: DType | None = None) -> Value:
        x = cast(b, tensor(b, self), dtype or accumulator(self.tensor.dtype))
        return b.op(op, x, axis=axis(x, dim)) if x.tensor.rank else x

    return row


def _running(op: str) -> Row:
    """cummax, cummin: values and places."""
    return lambda b, self, dim: b.op(op, self, axis=axis(self, dim))


def _sort(
    b: Builder, self: Value, dim: int = -1, descending: bool = False, stable: Any = None
) -> tuple[Value, Value]:
    if not self.tensor.rank:
        return self, b.op("full", shape=(), value=0, dtype=DType.i64)
    return b.op("sort", self, axis=axis(self, dim), descending=descending)


def _sort_stable(
    b: Builder, self: Value, *, stable: Any = None, dim: int = -1, descending: bool = False
) -> tuple[Value, Value]:
    return _sort(b, self, dim, descending)


def _argsort(
    b: Builder, self: Value, dim: int = -1, descending: bool = False, stable: Any = None
) -> Value:
    return (
        _sort(b, self, dim, descending)[1]
        if descending
        else b.op("argsort", self, axis=axis(self, dim))
    )


def _argsort_stable(
    b: Builder, self: Value, *, stable: Any = None, dim: int = -1, descending: bool = False
) -> Value:
    return _argsort(b, self, dim, descending)


def _topk(
    b: Builder, self: Value, k: Any, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Value, Value]:
    return b.op("topk", self, k=k, axis=axis(self, dim), largest=largest)


def _kthvalue(
    b: Builder, self: Value, k: int, dim: int = -1, keepdim: bool = False
) -> tuple[Value, Value]:
    at = axis(self, dim)
    values, places = b.op("sort", self, axis=at)
    values, places = (b.op("slice", v, axis=at, start=k - 1, stop=k) for v in (values, places))
    if keepdim:
        return values, places
    return squeeze(b, values, at), squeeze(b, places, at)


def _median_at(
    b: Builder, self: Value, dim: int = -1, keepdim: bool = False
) -> tuple[Value, Value]:
    at = axis(self, dim)
    middle = floordiv(self.tensor.shape[at] - 1, 2)
    found = [b.op("select", v, axis=at, index=middle) for v in b.op("sort", self, axis=at)]
    values, places = (expand_dims(b, v, at) for v in found) if keepdim else found
    return values, places


def _median(b: Builder, self: Value) -> Value:
    return _median_at(b, flatten(b, self), 0)[0]


def _count_nonzero(b: Builder, self: Value, dim: Any = None) -> Value:
    return _sum(b, truth(b, self), dim)


def _aminmax(
    b: Builder, self: Value, *, dim: int | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    options = {"axes": axes(self, dim), "keepdims": keepdim}
    return b.op("min", self, **options), b.op("max", self, **options)


def _cosine_similarity(b: Builder, x1: Value, x2: Value, dim: int = 1, eps: float = 1e-8) -> Value:
    """x1 . x2 / (max(|x1|, eps) max(|x2|, eps))."""
    at = (axis(x1, dim),)
    units = [
        b.op("divide", x, b.op("maximum", b.op("norm", x, axes=at, keepdims=True), float(eps)))
        for x in (x1, x2)
    ]
    return b.op("sum", b.op("multiply", *units), axes=at)


def _pairwise_distance(
    b: Builder, x1: Value, x2: Value, p: float = 2, eps: float = 1e-6, keepdim: bool = False
) -> Value:
    gap = b.op("add", b.op("subtract", x1, x2), float(eps))
    return vector_norm(b, gap, p, (gap.tensor.rank - 1,), keepdim)


def _histc(b: Builder, self: Value, bins: int = 100, min: Any = 0, max: Any = 0) -> Value:
    """Counts of equal bins between two given bounds; values outside are left out."""
    need(min != max, "histc without bounds depends on the data's own range", "pass min and max")
    x = expand_dims(b, flatten(b, floats(b, self)), 1)
    width = (max - min) / bins
    place = b.op("floor", b.op("divide", b.op("subtract", x, float(min)), width))
    place = b.op("where", b.op("equal", x, float(max)), float(bins - 1), place)
    hits = b.op("equal", place, b.op("arange", stop=bins, dtype=x.tensor.dtype))
    return b.op("sum", b.op("cast", hits, dtype=x.tensor.dtype), axes=(0,))


def _trace(b: Builder, self: Value) -> Value:
    return _sum(b, b.op("diagonal", self, offset=0, axis1=0, axis2=1))


ROWS: dict[str, Row] = {
    "sum": _sum_all,
    "sum.dim_IntList": _sum,
    "nansum": lambda b, self, dim=None, keepdim=False, *, dtype=None: _sum(
        b, b.op("where", b.op("isnan", self), 0, self), dim, keepdim, dtype=dtype
    ),
    "nanmean": _nanmean,
    "prod": _prod,
    "mean": _mean_all,
    "mean.dim": _mean,
    "amax": _extreme("max"),
    "amin": _extreme("min"),
    "max": _extreme_all("max"),
    "min": _extreme_all("min"),
    "max.dim": _extreme_at("max"),
    "min.dim": _extreme_at("min"),
    "aminmax": _aminmax,
    "argmax": _arg("argmax"),
    "argmin": _arg("argmin"),
    "any": _quantifier("any"),
    "all": _quantifier("all"),
    "var": _spread("var"),
    "std": _spread("std"),
    "var.correction": _corrected("var"),
    "std.correction": _corrected("std"),
    "var_mean": _spread_and_mean("var"),
    "std_mean": _spread_and_mean("std"),
    "logsumexp": _logsumexp,
    "special_logsumexp": _logsumexp,
    "norm": _norm,
    "frobenius_norm": lambda b, self, dim=None, keepdim=False: _norm(b, self, 2, dim, keepdim),
    "norm.ScalarOpt_dtype": lambda b, self, p, *, dtype: _norm(b, self, p, dtype=dtype),
    "linalg_vector_norm": _linalg_vector_norm,
    "linalg_norm": _linalg_norm,
    "cumsum": _scan("cumsum"),
    "cumprod": _scan("cumprod"),
    "logcumsumexp": lambda b, self, dim: b.op("logcumsumexp", self, axis=axis(self, dim)),
    "cummax": _running("cummax"),
    "cummin": _running("cummin"),
    "sort": _sort,
    "sort.stable": _sort_stable,
    "argsort": _argsort,
    "argsort.stable": _argsort_stable,
    "msort": lambda b, self: _sort(b, self, 0)[0],
    "topk": _topk,
    "kthvalue": _kthvalue,
    "median": _median,
    "median.dim": _median_at,
    "count_nonzero": _count_nonzero,
    "cosine_similarity": _cosine_similarity,
    "pairwise_distance": _pairwise_distance,
    "histc": _histc,
    "trace": _trace,
}
