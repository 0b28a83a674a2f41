"""ONNX rows: resizing and sampling of images.

The usual modes are the IR's `interpolate`. What it lacks (other ways to round, crops, cubic
coefficients) is a product with a matrix for each axis, computed here from the fixed sizes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Value
from ..ir.dims import Expr, floordiv
from ..ir.ops_resize import cubic_kernel
from .aten_common import channels_first, channels_last, static
from .onnx_math import to_dtype
from .onnx_shape import axis
from .onnx_values import Call, Host, Source

Dim = int | Expr


@dataclass(frozen=True)
class Plan:
    """One axis: input and output size, the scale that places are computed with, the crop."""

    size: Dim
    out: Dim
    scale: float
    start: float = 0.0
    end: float = 1.0
    given: bool = False  # the scale is the file's, not out / size


def _resize(
    c: Call, x: Source, roi: Source = None, scales: Source = None, sizes: Source = None
) -> Value:
    value = c.value(x)
    if c.opset < 11:  # Resize-10 has scales as its second input
        roi, scales = None, roi
    return resize(c, value, _plans(c, value, roi, scales, sizes))


def _empty(x: Source) -> bool:
    return x is None or (isinstance(x, Host) and x.size == 0)


def _plans(c: Call, x: Value, roi: Source, scales: Source, sizes: Source) -> dict[int, Plan]:
    given = c.attr("axes")
    axes = list(range(x.tensor.rank)) if given is None else [axis(x, a) for a in given]
    crops = _crops(c, roi, len(axes))
    if not _empty(sizes):
        wanted = c.dims(sizes, "the sizes")
        return _by_sizes(c, x, axes, wanted, crops)
    factors = [float(v) for v in c.static(scales, "the scales").reshape(-1)]
    return _by_scales(x, axes, factors, crops)


def _crops(c: Call, roi: Source, count: int) -> list[tuple[float, float]]:
    mode = c.attr("coordinate_transformation_mode", "half_pixel")
    if mode != "tf_crop_and_resize" or roi is None:
        return [(0.0, 1.0)] * count
    flat = [float(v) for v in c.static(roi, "the region").reshape(-1)]
    return list(zip(flat[:count], flat[count:], strict=True))


def _by_scales(
    x: Value, axes: list[int], factors: list[float], crops: list[tuple[float, float]]
) -> dict[int, Plan]:
    plans = {}
    for at, factor, crop in zip(axes, factors, crops, strict=True):
        size = x.tensor.shape[at]
        if factor == 1.0 and crop == (0.0, 1.0):
            continue
        plans[at] = Plan(size, _scaled(size, factor, crop), factor, *crop, given=True)
    return plans


def _scaled(size: Dim, factor: float, crop: tuple[float, float]) -> Dim:
    """floor(size * crop * factor)."""
    if isinstance(size, int):
        return math.floor(size * (crop[1] - crop[0]) * factor)
    if factor == int(factor):
        return size * int(factor)
    inverse = 1 / factor
    if abs(inverse - round(inverse)) < 1e-6:
        return floordiv(size, round(inverse))
    raise TranspileError(f"{size} times {factor}", hint="fix the dim with --input")


def _by_sizes(
    c: Call, x: Value, axes: list[int], wanted: list[Dim], crops: list[tuple[float, float]]
) -> dict[int, Plan]:
    policy = c.attr("keep_aspect_ratio_policy", "stretch")
    shape = [x.tensor.shape[a] for a in axes]
    factor = None
    if policy != "stretch":
        ratios = [w / s for w, s in zip(_fixed(wanted), _fixed(shape), strict=True)]
        factor = min(ratios) if policy == "not_larger" else max(ratios)
        wanted = [int(s * factor + 0.5) for s in _fixed(shape)]
    plans = {}
    for at, size, out, crop in zip(axes, shape, wanted, crops, strict=True):
        if size == out and crop == (0.0, 1.0):
            continue
        scale = 0.0
        if factor is not None:
            scale = factor
        elif isinstance(size, int) and isinstance(out, int):
            scale = out / size
        plans[at] = Plan(size, out, scale, *crop, given=factor is not None)
    return plans


def _fixed(dims: list[Dim]) -> list[int]:
    if any(isinstance(d, Expr) for d in dims):
        raise TranspileError("keeping the aspect ratio needs fixed sizes", hint="fix the dims")
    return [int(d) for d in dims]  # type: ignore[arg-type]


def resize(c: Call, x: Value, plans: dict[int, Plan]) -> Value:
    """The axes resized: by the layer that computes it, else axis by axis."""
    if not plans:
        return x
    layer = _layer(c, x, plans)
    if layer is not None:
        return _interpolated(c, x, plans, layer)
    dtype = x.tensor.dtype
    mode = c.attr("mode", "nearest")
    if mode == "nearest":
        for at, plan in plans.items():
            x = _nearest(c, x, at, plan)
        return x
    wide = to_dtype(c.b, x, DType.f32)
    for at, plan in plans.items():
        wide = _by_matrix(c, wide, at, plan)
    wide = _extrapolated(c, wide, plans)
    if dtype.is_integer:
        wide = c.b.op("round", wide)
    return to_dtype(c.b, wide, dtype)


def _layer(c: Call, x: Value, plans: dict[int, Plan]) -> dict[str, Any] | None:
    """The options of `interpolate` where it is the same."""
    rank = x.tensor.rank
    mode = c.attr("mode", "nearest")
    place = c.attr(
        "coordinate_transformation_mode", "half_pixel" if c.opset >= 11 else "asymmetric"
    )
    spatial = rank in (3, 4, 5) and min(plans) >= 2
    if not spatial or not x.tensor.dtype.is_float or c.attr("antialias", 0):
        return None
    if mode == "nearest":
        rounding = c.attr("nearest_mode", "round_prefer_floor" if c.opset >= 11 else "floor")
        whole = all(p.given and p.scale == int(p.scale) for p in plans.values())
        if place == "asymmetric" and rounding == "floor":
            return {"mode": "nearest"}
        return (
            {"mode": "nearest"}
            if place == "half_pixel" and whole and rounding.startswith("round")
            else None
        )
    if place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        return None
    if mode == "cubic" and (
        c.attr("exclude_outside", 0) or abs(c.attr("cubic_coeff_a", -0.75) + 0.75) > 1e-6
    ):
        return None
    if place == "pytorch_half_pixel" and any(p.out == 1 for p in plans.values()):
        return None
    if place == "align_corners" and any(p.given and not _exact(p) for p in plans.values()):
        return None
    kind = {"linear": "linear", "cubic": "cubic"}[mode]
    if kind == "cubic" and rank != 4:
        return None
    return {"mode": kind, "align_corners": place == "align_corners"}


def _exact(plan: Plan) -> bool:
    """Whether the given scale is that of the sizes."""
    if isinstance(plan.size, Expr):
        return plan.scale == int(plan.scale) and plan.size * int(plan.scale) == plan.out
    return plan.size * plan.scale == plan.out


def _interpolated(c: Call, x: Value, plans: dict[int, Plan], options: dict[str, Any]) -> Value:
    spatial = x.tensor.rank - 2
    shape = x.tensor.shape[2:]
    size = tuple(plans[i + 2].out if i + 2 in plans else d for i, d in enumerate(shape))
    scales = tuple(
        plans[i + 2].scale if i + 2 in plans and plans[i + 2].given else 0.0 for i in range(spatial)
    )
    if options.get("align_corners"):
        scales = (0.0,) * spatial
    out = c.b.op("interpolate", channels_last(c.b, x, spatial), size=size, scales=scales, **options)
    return channels_first(c.b, out, spatial)


# ---- one axis at a time


def _places(c: Call, plan: Plan) -> np.ndarray:
    """Where each output element lies in the input."""
    if isinstance(plan.size, Expr) or isinstance(plan.out, Expr):
        raise TranspileError(
            f"this resizing of {plan.size} to {plan.out} needs fixed sizes",
            hint="fix the dim with --input",
        )
    n, out, scale = plan.size, plan.out, plan.scale
    i = np.arange(out, dtype=np.float64)
    default = "half_pixel" if c.opset >= 11 else "asymmetric"
    mode = c.attr("coordinate_transformation_mode", default)
    width = scale * n
    if mode == "align_corners":
        return i * 0 if width == 1 else i * (n - 1) / (width - 1)
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_crop_and_resize":
        width = scale * n
        if out == 1 or width == 1:
            return i * 0 + (plan.end + plan.start) * (n - 1) / 2
        return i * (plan.end - plan.start) * (n - 1) / (out - 1) + plan.start * (n - 1)
    if mode == "pytorch_half_pixel" and out == 1:
        return i * 0 - 0.5
    half = (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        return half + n / 2 * (1 - out / width)
    if mode in ("half_pixel", "pytorch_half_pixel"):
        return half
    raise TranspileError(f"the coordinate transformation {mode}")


_ROUND: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _nearest(c: Call, x: Value, at: int, plan: Plan) -> Value:
    places = _places(c, plan)
    rounding = c.attr("nearest_mode", "round_prefer_floor" if c.opset >= 11 else "floor")
    index = np.clip(_ROUND[rounding](places), 0, static(plan.size, "the size") - 1).astype(np.int32)
    return c.b.op("take", x, c.constant(index, DType.i32, "places"), axis=at)


def _matrix(c: Call, plan: Plan) -> np.ndarray:
    """[out, size]: each row holds the weights of the elements around a place."""
    places, n = _places(c, plan), static(plan.size, "the size")
    cubic = c.attr("mode", "nearest") == "cubic"
    shrink = min(plan.scale, 1.0) if c.attr("antialias", 0) else 1.0
    reach = (2 if cubic else 1) / shrink
    low = np.floor(places - reach).astype(int)
    taps = low[:, None] + np.arange(int(2 * reach) + 3)[None]
    d = (taps - places[:, None]) * shrink
    a = float(c.attr("cubic_coeff_a", -0.75))
    weights = cubic_kernel(d, a) if cubic else np.clip(1 - np.abs(d), 0, None)
    if c.attr("exclude_outside", 0):
        weights = np.where((taps < 0) | (taps >= n), 0, weights)
    weights = weights / weights.sum(1, keepdims=True)
    out = np.zeros((len(places), n))
    np.add.at(out, (np.arange(len(places))[:, None], np.clip(taps, 0, n - 1)), weights)
    return out


def _by_matrix(c: Call, x: Value, at: int, plan: Plan) -> Value:
    matrix = c.constant(_matrix(c, plan).astype(np.float32), DType.f32, "resize_weights")
    rank = x.tensor.rank
    order = [*(i for i in range(rank) if i != at), at]
    moved = x if at == rank - 1 else c.b.op("transpose", x, axes=tuple(order))
    out = c.b.op("matmul", moved, c.b.op("transpose", matrix, axes=(1, 0)))
    if at == rank - 1:
        return out
    back = tuple(order.index(i) for i in range(rank))
    return c.b.op("transpose", out, axes=back)


def _extrapolated(c: Call, x: Value, plans: dict[int, Plan]) -> Value:
    """Places outside of the image get a fixed value."""
    if c.attr("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return x
    value = float(c.attr("extrapolation_value", 0.0))
    for at, plan in plans.items():
        places = _places(c, plan)
        outside = (places < 0) | (places > static(plan.size, "the size") - 1)
        if outside.any():
            shape = [len(places) if i == at else 1 for i in range(x.tensor.rank)]
            mask = c.constant(outside.reshape(shape), DType.bool, "outside")
            x = c.b.op("where", mask, value, x)
    return x


def _upsample(c: Call, x: Source, scales: Source = None) -> Value:
    """Resize's forerunner: asymmetric places, rounded down."""
    value = c.value(x)
    factors = c.attr("scales") if scales is None else c.static(scales, "the scales").reshape(-1)
    axes = list(range(value.tensor.rank))
    plans = _by_scales(value, axes, [float(f) for f in factors], [(0.0, 1.0)] * len(axes))
    return resize(c, value, plans)


# ---- sampling


def _grid_sample(c: Call, x: Source, grid: Source) -> Value:
    value, places = c.value(x), c.value(grid)
    spatial = value.tensor.rank - 2
    mode = c.attr("mode", "linear" if c.opset >= 20 else "bilinear")
    names = {"linear": "bilinear", "cubic": "bicubic"}
    out = c.b.op(
        "grid_sample", channels_last(c.b, value, spatial), places, mode=names.get(mode, mode),
        padding_mode=c.attr("padding_mode", "zeros"),
        align_corners=bool(c.attr("align_corners", 0)),
    )  # fmt: skip
    return channels_first(c.b, out, spatial)


ROWS: dict[str, Any] = {
    "Resize": _resize,
    "Upsample": _upsample,
    "GridSample": _grid_sample,
}
