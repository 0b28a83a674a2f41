"""ATen rows: convolution, pooling, resizing.

The IR's ops are channels last; torch's tensors are channels first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from ..ir import Builder, Value
from ..ir.dims import Expr, floordiv
from .aten_common import (
    Row,
    channels_first,
    channels_last,
    expand_dims,
    need,
    permuted,
    reshaped,
    spread,
    squeeze,
    static,
)


def _batched(b: Builder, x: Value, spatial: int, body: Callable[[Value], Any]) -> Any:
    """Runs `body` on [N, *spatial, C]; a missing batch axis is added and taken away again."""
    single = x.tensor.rank == spatial + 1
    out = body(channels_last(b, expand_dims(b, x, 0) if single else x, spatial))

    def back(y: Value) -> Value:
        y = channels_first(b, y, spatial)
        return squeeze(b, y, 0) if single else y

    return tuple(map(back, out)) if isinstance(out, tuple) else back(out)


# ---- convolution


def _weight(b: Builder, weight: Value) -> Value:
    """[O, I / groups, *k] to [O, *k, I / groups]."""
    rank = weight.tensor.rank
    return permuted(b, weight, [0, *range(2, rank), 1])


def _transposed_weight(b: Builder, weight: Value, groups: int) -> Value:
    """[I, O / groups, *k] to [O, *k, I / groups]."""
    inputs, outputs, *kernel = weight.tensor.shape
    rank = weight.tensor.rank
    if groups == 1:
        return permuted(b, weight, [1, *range(2, rank), 0])
    x = reshaped(b, weight, (groups, inputs // groups, outputs, *kernel))
    x = permuted(b, x, [0, 2, *range(3, rank + 1), 1])
    return reshaped(b, x, (outputs * groups, *kernel, inputs // groups))


def _convolution(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *unused: Any,
) -> Value:
    spatial = weight.tensor.rank - 2
    steps, holes = spread(stride, spatial), spread(dilation, spatial)
    common = {
        "stride": steps,
        "dilation": holes,
        "padding": spread(padding, spatial),
        "groups": groups,
    }
    if transposed:
        common["output_padding"] = spread(output_padding, spatial)
        kernel = _transposed_weight(b, weight, groups)
        return _batched(
            b, input, spatial, lambda x: b.op("conv_transpose", x, kernel, bias, **common)
        )
    kernel = _weight(b, weight)
    return _batched(b, input, spatial, lambda x: b.op("conv", x, kernel, bias, **common))


def _conv(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    spatial = weight.tensor.rank - 2
    if padding == "valid":
        padding = 0
    if padding == "same":
        input, padding = _same_padding(b, input, weight, spread(dilation, spatial))
    return _convolution(b, input, weight, bias, stride, padding, dilation, False, 0, groups)  # type: ignore[arg-type]


def _same_padding(
    b: Builder, input: Value, weight: Value, dilation: tuple[int, ...]
) -> tuple[Value, list[int]]:
    """torch puts the odd one of an uneven total at the end."""
    total = [d * (k - 1) for d, k in zip(dilation, weight.tensor.shape[2:], strict=True)]
    lead = input.tensor.rank - len(total)
    if any(t % 2 for t in total):
        high = (*[0] * lead, *[t % 2 for t in total])
        input = b.op("pad", input, low=(0,) * len(high), high=high, value=0.0)
    return input, [t // 2 for t in total]


def _conv_transpose(
    b: Builder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    return _convolution(
        b, input, weight, bias, stride, padding, dilation, True, output_padding, groups
    )


def _conv_tbc(b: Builder, self: Value, weight: Value, bias: Value, pad: int = 0) -> Value:
    """[T, B, C] with a weight [k, I, O]."""
    x, kernel = permuted(b, self, [1, 0, 2]), permuted(b, weight, [2, 0, 1])
    out = b.op("conv", x, kernel, bias, stride=(1,), padding=(pad,), dilation=(1,), groups=1)
    return permuted(b, out, [1, 0, 2])


# ---- pooling


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
        options = _window(spatial, kernel_size, stride, padding)
        options |= {"dilation": spread(dilation, spatial), "ceil_mode": ceil_mode}
        return _batched(b, self, spatial, lambda x: b.op("max_pool", x, **options))

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
        values = _batched(b, self, spatial, lambda x: b.op("max_pool", x, **options))
        _, indices = _batched(
            b, self, spatial, lambda x: b.op("max_pool_with_indices", x, **options)
        )
        return values, indices

    return row


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
        options = _window(spatial, kernel_size, stride, padding)
        options |= {
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
            "divisor": divisor_override or 0,
        }
        return _batched(b, self, spatial, lambda x: b.op("avg_pool", x, **options))

    return row


def _lp_pool(
    b: Builder,
    self: Value,
    norm_type: float,
    kernel_size: Any,
    stride: Any = (),
    ceil_mode: bool = False,
) -> Value:
    spatial = len(kernel_size) if not isinstance(kernel_size, int) else 1
    powers = b.op("power", b.op("abs", self), float(norm_type))
    options = {
        **_window(spatial, kernel_size, stride, 0),
        "ceil_mode": ceil_mode,
        "count_include_pad": True,
        "divisor": 1,
    }
    return b.op(
        "power",
        _batched(b, powers, spatial, lambda x: b.op("avg_pool", x, **options)),
        1 / float(norm_type),
    )


def _adaptive(spatial: int, op: str) -> Row:
    def row(b: Builder, self: Value, output_size: Any) -> Any:
        sizes = [
            self.tensor.shape[i - spatial] if s is None else s
            for i, s in enumerate(_sizes(output_size, spatial))
        ]
        if op == "adaptive_avg_pool" and all(s == 1 for s in sizes):
            rank = self.tensor.rank
            return b.op("mean", self, axes=tuple(range(rank - spatial, rank)), keepdims=True)
        if op == "adaptive_max_pool" and all(s == 1 for s in sizes):
            rank = self.tensor.rank
            return b.op("max", self, axes=tuple(range(rank - spatial, rank)), keepdims=True)
        if tuple(sizes) == self.tensor.shape[-spatial:]:
            return self
        return _batched(b, self, spatial, lambda x: b.op(op, x, size=tuple(sizes)))

    return row


def _adaptive_max_with_indices(spatial: int) -> Row:
    def row(b: Builder, self: Value, output_size: Any) -> tuple[Value, Value]:
        sizes = [
            self.tensor.shape[i - spatial] if s is None else s
            for i, s in enumerate(_sizes(output_size, spatial))
        ]
        values = _adaptive(spatial, "adaptive_max_pool")(b, self, output_size)
        _, indices = _batched(
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


# ---- resizing


def _upsample(spatial: int, mode: str, corners: bool) -> Row:
    """`size`, then `align_corners` where the mode has it, then one scale an axis.

    torch computes places from the scales that it was given, and from the sizes otherwise.
    """

    def row(b: Builder, self: Value, output_size: Any, *rest: Any, **options: Any) -> Value:
        args = list(rest)
        align = options.get("align_corners", args.pop(0) if corners and args else False)
        given = [
            options.get(n)
            for n in ("scales_d", "scales_h", "scales_w", "scales", "scale_factors")
            if n in options
        ]
        scales = _scales(args + given, spatial)
        sizes = (
            [_resized(d, s) for d, s in zip(self.tensor.shape[-spatial:], scales, strict=True)]
            if output_size is None
            else list(output_size)
        )
        return _interpolate(b, self, spatial, mode, sizes, bool(align), scales)

    return row


def _scales(args: Sequence[Any], spatial: int) -> tuple[float, ...]:
    """One scale an axis; 0 stands for one that was not given."""
    flat = [s for a in args for s in (a if isinstance(a, list | tuple) else [a])]
    flat = [0.0 if s is None else float(s) for s in flat]
    return tuple(flat) if len(flat) == spatial else (0.0,) * spatial


def _resized(size: int | Expr, scale: float) -> int | Expr:
    """floor(size * scale) in floating point, as torch computes it."""
    if isinstance(size, int):
        return math.floor(size * scale)
    ratio = Fraction(scale).limit_denominator(4096)
    need(
        _is_ratio(scale, ratio),
        f"a symbolic size scaled by {scale}",
        "capture the model with this size fixed",
    )
    return floordiv(size * ratio.numerator, ratio.denominator)


def _is_ratio(scale: float, ratio: Fraction) -> bool:
    """Whether the product with the float rounds down as that with the ratio does.

    They can differ only where the exact product is whole: at multiples of the denominator.
    """
    over, under = ratio.numerator, ratio.denominator
    return float(ratio) == scale and all(
        math.floor(k * under * scale) == k * over for k in range(1, 4096)
    )


def _interpolate(
    b: Builder,
    self: Value,
    spatial: int,
    mode: str,
    sizes: Sequence[Any],
    align: bool,
    scales: tuple[float, ...],
) -> Value:
    options = {"size": tuple(sizes), "mode": mode, "align_corners": align, "scales": scales}
    return _batched(b, self, spatial, lambda x: b.op("interpolate", x, **options))


def _antialias(b: Builder, *args: Any, **options: Any) -> Value:
    need(False, "resizing with antialias=True", "resize before the model, or without antialias")
    raise AssertionError


def _grid_sampler(
    b: Builder,
    input: Value,
    grid: Value,
    interpolation_mode: int,
    padding_mode: int,
    align_corners: bool,
) -> Value:
    spatial = input.tensor.rank - 2
    options = {
        "mode": ("bilinear", "nearest", "bicubic")[interpolation_mode],
        "padding_mode": ("zeros", "border", "reflection")[padding_mode],
        "align_corners": bool(align_corners),
    }
    return _batched(b, input, spatial, lambda x: b.op("grid_sample", x, grid, **options))


def _affine_grid(b: Builder, theta: Value, size: Sequence[Any], align_corners: bool) -> Value:
    """Normalised coordinates of every output pixel, times theta. [N, H, W, 2]."""
    need(len(size) == 4, "affine_grid over volumes")
    height, width = (static(s, "a size of affine_grid") for s in size[2:])

    def line(count: int) -> Value:
        edge = 1.0 if align_corners else 1.0 - 1.0 / count
        return b.op(
            "linspace",
            start=-edge if count > 1 else 0.0,
            stop=edge if count > 1 else 0.0,
            count=count,
            dtype=theta.tensor.dtype,
        )

    x = b.op("broadcast_to", line(width), shape=(height, width))
    y = b.op("broadcast_to", expand_dims(b, line(height), 1), shape=(height, width))
    one = b.op("full", shape=(height, width), value=1.0, dtype=theta.tensor.dtype)
    base = b.op("reshape", b.op("stack", x, y, one, axis=2), shape=(height * width, 3))
    out = b.op("matmul", base, b.op("transpose", theta, axes=(0, 2, 1)))
    return b.op("reshape", out, shape=(theta.tensor.shape[0], height, width, 2))


# ---- windows as columns


def _columns(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    names = ("kernel", "dilation", "padding", "stride")
    return {
        k: spread(v, 2)
        for k, v in zip(names, (kernel_size, dilation, padding, stride), strict=True)
    }


def _im2col(
    b: Builder, self: Value, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Value:
    """nn.Unfold: [N, C, H, W] to [N, C * kh * kw, windows]."""
    return b.op("im2col", self, **_columns(kernel_size, dilation, padding, stride))


def _col2im(
    b: Builder,
    self: Value,
    output_size: Any,
    kernel_size: Any,
    dilation: Any,
    padding: Any,
    stride: Any,
) -> Value:
    """nn.Fold: overlapping windows are summed."""
    return b.op(
        "col2im", self, size=tuple(output_size), **_columns(kernel_size, dilation, padding, stride)
    )


def _max_unpool(spatial: int) -> Row:
    def row(b: Builder, self: Value, indices: Value, output_size: Any, *unused: Any) -> Value:
        (*lead,) = self.tensor.shape[:-spatial]
        count = _product(self.tensor.shape[-spatial:])
        flat = [reshaped(b, v, (*lead, count)) for v in (self, indices)]
        zeros = b.op(
            "full", shape=(*lead, _product(output_size)), value=0.0, dtype=self.tensor.dtype
        )
        out = b.op("scatter", zeros, flat[1], flat[0], axis=len(lead))
        return reshaped(b, out, (*lead, *output_size))

    return row


def _product(sizes: Sequence[Any]) -> Any:
    from ..ir.dims import product

    return product(sizes)


def _rows_by_rank() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for n, linear in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
        rows |= {
            f"conv{n}d": _conv,
            f"conv_transpose{n}d": _conv_transpose,
            f"max_pool{n}d": _max_pool(n),
            f"max_pool{n}d_with_indices": _max_pool_with_indices(n),
            f"avg_pool{n}d": _avg_pool(n),
            f"max_unpool{n}d": _max_unpool(n),
            f"adaptive_avg_pool{n}d": _adaptive(n, "adaptive_avg_pool"),
            f"_adaptive_avg_pool{n}d": _adaptive(n, "adaptive_avg_pool"),
            f"adaptive_max_pool{n}d": _adaptive_max_with_indices(n),
            f"upsample_nearest{n}d": _upsample(n, "nearest", False),
            f"_upsample_nearest_exact{n}d": _upsample(n, "nearest-exact", False),
            f"upsample_{linear}{n}d": _upsample(n, "linear", True),
        }
    del rows["max_unpool1d"], rows["_adaptive_avg_pool1d"]
    return rows


ROWS: dict[str, Row] = {
    **_rows_by_rank(),
    "convolution": _convolution,
    "_convolution": _convolution,
    "convolution_overrideable": _convolution,
    "mkldnn_convolution": lambda b, self, weight, bias, padding, stride, dilation, groups: (
        _convolution(b, self, weight, bias, stride, padding, dilation, False, 0, groups)
    ),  # type: ignore[arg-type]
    "conv_tbc": _conv_tbc,
    "upsample_bicubic2d": _upsample(2, "cubic", True),
    **{f"_upsample_{m}2d_aa": _antialias for m in ("bilinear", "bicubic")},
    "grid_sampler": _grid_sampler,
    "grid_sampler_2d": _grid_sampler,
    "grid_sampler_3d": _grid_sampler,
    "affine_grid_generator": _affine_grid,
    "im2col": _im2col,
    "col2im": _col2im,
}
