"""ATen rows: pooling. The IR's ops are channels last; torch's tensors are channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Builder, Value
from ..ir.dims import Expr, product
from .aten_common import (
    Row,
    batched,
    reshaped,
    spread,
)


def _pools() -> dict[str, Row]:
    """The rows of one, two and three spatial axes."""
    rows: dict[str, Row] = {}
    for n in (1, 2, 3):
        average = _adaptive(n, "adaptive_avg_pool")
        rows |= {
            f"max_pool{n}d": _max_pool(n),
            f"max_pool{n}d_with_indices": _max_pool_with_indices(n),
            f"avg_pool{n}d": _avg_pool(n),
            f"adaptive_avg_pool{n}d": average,
            f"adaptive_max_pool{n}d": _adaptive_max_with_indices(n),
        }
        if n > 1:
            rows |= {f"max_unpool{n}d": _max_unpool(n), f"_adaptive_avg_pool{n}d": average}
    return rows


def _max_pool(spatial: int) -> Row:
    def row(
        b: Builder,
        self: Value,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Value:
        if _takes_all(self, kernel_size, padding, dilation):
            return _over_all(b, "max", self, spatial)
        options = _window(spatial, kernel_size, stride, padding)
        options |= {"dilation": spread(dilation, spatial), "ceil_mode": ceil_mode}
        return batched(b, self, spatial, lambda x: b.op("max_pool", x, **options))

    return row


def _max_pool_with_indices(spatial: int) -> Row:
    def row(
        b: Builder,
        self: Value,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> tuple[Value, Value]:
        options = _window(spatial, kernel_size, stride, padding)
        options |= {"dilation": spread(dilation, spatial), "ceil_mode": ceil_mode}
        values = batched(b, self, spatial, lambda x: b.op("max_pool", x, **options))
        _, indices = batched(
            b, self, spatial, lambda x: b.op("max_pool_with_indices", x, **options)
        )
        return values, indices

    return row


def _takes_all(self: Value, kernel_size: Any, padding: Any, dilation: Any = 1) -> bool:
    """Whether one window of a free size covers everything: `max_pool1d(x, x.size(-1))`."""
    kernel = tuple(kernel_size) if isinstance(kernel_size, list | tuple) else (kernel_size,)
    free = any(isinstance(k, Expr) for k in kernel)
    return (
        free
        and kernel == self.tensor.shape[-len(kernel) :]
        and not any(spread(padding, len(kernel)))
        and all(d == 1 for d in spread(dilation, len(kernel)))
    )


def _over_all(b: Builder, op: str, self: Value, spatial: int) -> Value:
    rank = self.tensor.rank
    return b.op(op, self, axes=tuple(range(rank - spatial, rank)), keepdims=True)


def _window(spatial: int, kernel_size: Any, stride: Any, padding: Any) -> dict[str, Any]:
    kernel = spread(kernel_size, spatial)
    return {
        "kernel": kernel,
        "stride": kernel if stride in ((), [], None) else spread(stride, spatial),
        "padding": spread(padding, spatial),
    }


def _avg_pool(spatial: int) -> Row:
    def row(
        b: Builder,
        self: Value,
        kernel_size: Any,
        stride: Any = (),
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Value:
        if _takes_all(self, kernel_size, padding) and not divisor_override:
            return _over_all(b, "mean", self, spatial)
        options = _window(spatial, kernel_size, stride, padding)
        options |= {
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
            "divisor": divisor_override or 0,
        }
        return batched(b, self, spatial, lambda x: b.op("avg_pool", x, **options))

    return row


def _adaptive(spatial: int, op: str) -> Row:
    def row(b: Builder, self: Value, output_size: Any) -> Any:
        sizes = [
            self.tensor.shape[i - spatial] if s is None else s
            for i, s in enumerate(_sizes(output_size, spatial))
        ]
        if op == "adaptive_avg_pool" and all(s == 1 for s in sizes):
            return _over_all(b, "mean", self, spatial)
        if op == "adaptive_max_pool" and all(s == 1 for s in sizes):
            return _over_all(b, "max", self, spatial)
        if tuple(sizes) == self.tensor.shape[-spatial:]:
            return self
        return batched(b, self, spatial, lambda x: b.op(op, x, size=tuple(sizes)))

    return row


def _adaptive_max_with_indices(spatial: int) -> Row:
    def row(b: Builder, self: Value, output_size: Any) -> tuple[Value, Value]:
        sizes = [
            self.tensor.shape[i - spatial] if s is None else s
            for i, s in enumerate(_sizes(output_size, spatial))
        ]
        values = _adaptive(spatial, "adaptive_max_pool")(b, self, output_size)
        _, indices = batched(
            b, self, spatial, lambda x: b.op("adaptive_max_pool_with_indices", x, size=tuple(sizes))
        )
        return values, indices

    return row


def _sizes(output_size: Any, spatial: int) -> Sequence[Any]:
    return (
        [output_size] * spatial
        if output_size is None or isinstance(output_size, int | Expr)
        else output_size
    )


def _max_unpool(spatial: int) -> Row:
    def row(b: Builder, self: Value, indices: Value, output_size: Any, *unused: Any) -> Value:
        (*lead,) = self.tensor.shape[:-spatial]
        count = product(self.tensor.shape[-spatial:])
        flat = [reshaped(b, v, (*lead, count)) for v in (self, indices)]
        zeros = b.op(
            "full", shape=(*lead, product(output_size)), value=0.0, dtype=self.tensor.dtype
        )
        out = b.op("scatter", zeros, flat[1], flat[0], axis=len(lead))
        return reshaped(b, out, (*lead, *output_size))

    return row


ROWS: dict[str, Row] = {
    **_pools(),
}
