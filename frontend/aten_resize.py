"""ATen rows: resizing and sampling. The IR's ops are channels last, torch's tensors first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import Expr, floordiv, minimum, product
from .aten_common import (
    Row,
    batched,
    expand_dims,
    need,
)


def _upsamplings() -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for n, linear in ((1, "linear"), (2, "bilinear"), (3, "trilinear")):
        rows |= {
            f"upsample_nearest{n}d": _upsample(n, "nearest", False),
            f"_upsample_nearest_exact{n}d": _upsample(n, "nearest-exact", False),
            f"upsample_{linear}{n}d": _upsample(n, "linear", True),
        }
    return rows


def _upsample(spatial: int, mode: str, corners: bool, antialias: bool = False) -> Row:
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
        return _interpolate(b, self, spatial, mode, sizes, bool(align), scales, antialias)

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
    antialias: bool,
) -> Value:
    options = {"size": tuple(sizes), "mode": mode, "align_corners": align, "scales": scales}
    options |= {"antialias": antialias}
    return batched(b, self, spatial, lambda x: b.op("interpolate", x, **options))


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
    return batched(b, input, spatial, lambda x: b.op("grid_sample", x, grid, **options))


def _affine_grid(b: Builder, theta: Value, size: Sequence[Any], align_corners: bool) -> Value:
    """Normalised coordinates of every output place, times theta. [N, *spatial, rank]."""
    sizes, rank = tuple(size[2:]), len(size) - 2
    lines = [_centres(b, n, theta.tensor.dtype, align_corners) for n in sizes]
    grids = [
        b.op("broadcast_to", expand_dims(b, line, *range(1, rank - i)), shape=sizes)
        for i, line in enumerate(lines)
    ]
    one = b.op("full", shape=sizes, value=1.0, dtype=theta.tensor.dtype)
    stacked = b.op("stack", *reversed(grids), one, axis=rank)
    base = b.op("reshape", stacked, shape=(product(sizes), rank + 1))
    out = b.op("matmul", base, b.op("transpose", theta, axes=(0, 2, 1)))
    return b.op("reshape", out, shape=(theta.tensor.shape[0], *sizes, rank))


def _centres(b: Builder, count: Any, dtype: DType, align_corners: bool) -> Value:
    """`count` places from -1 to 1: the ends, or the centres of as many parts."""
    if isinstance(count, int):
        edge = 1.0 if align_corners else 1.0 - 1.0 / count
        start, stop = (-edge, edge) if count > 1 else (0.0, 0.0)
        return b.op("linspace", start=start, stop=stop, count=count, dtype=dtype)
    line = b.op("linspace", start=-1.0, stop=1.0, count=count, dtype=dtype)
    if align_corners:
        return b.op("multiply", line, minimum(count - 1, 1))  # a single place is the middle
    return b.op("divide", b.op("multiply", line, count - 1), count)


ROWS: dict[str, Row] = {
    **_upsamplings(),
    "upsample_bicubic2d": _upsample(2, "cubic", True),
    "_upsample_bilinear2d_aa": _upsample(2, "linear", True, antialias=True),
    "_upsample_bicubic2d_aa": _upsample(2, "cubic", True, antialias=True),
    "grid_sampler": _grid_sampler,
    "grid_sampler_2d": _grid_sampler,
    "grid_sampler_3d": _grid_sampler,
    "affine_grid_generator": _affine_grid,
}
