"""ONNX rows: normalisation. Channels are axis 1 in ONNX and last in the IR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import product
from .aten_common import channels_first, channels_last, reshaped
from .onnx_math import to_dtype
from .onnx_shape import axis
from .onnx_values import Call, Host, Source


def _in_channels_last(b: Builder, x: Value, body: Callable[[Value], Value]) -> Value:
    spatial = x.tensor.rank - 2
    return channels_first(b, body(channels_last(b, x, spatial)), spatial)


def _batch_norm(c: Call, x: Source, scale: Source, bias: Source, mean: Source, var: Source) -> Any:
    value = c.value(x)
    eps = float(c.attr("epsilon", 1e-5))
    names = ("weight", "bias", "running_mean", "running_var")
    dtype = value.tensor.dtype
    params = [
        to_dtype(c.b, c.value(p, role=n), dtype)
        for p, n in zip((scale, bias, mean, var), names, strict=True)
    ]
    if c.attr("training_mode", 0):
        return _training(c, value, params, eps)
    return _in_channels_last(c.b, value, lambda y: c.b.op("batch_norm", y, *params, eps=eps))


def _training(c: Call, x: Value, params: list[Value], eps: float) -> list[Value]:
    """The batch's own statistics, and the running ones moved towards them."""
    axes = tuple(i for i in range(x.tensor.rank) if i != 1)
    momentum = float(c.attr("momentum", 0.9))
    mean = c.b.op("mean", x, axes=axes, keepdims=False)
    var = c.b.op("var", x, axes=axes, keepdims=False)
    weight, bias, *running = params
    out = _in_channels_last(
        c.b, x, lambda y: c.b.op("batch_norm", y, weight, bias, mean, var, eps=eps)
    )
    moved = [
        c.b.op("add", c.b.op("multiply", old, momentum), c.b.op("multiply", new, 1 - momentum))
        for old, new in zip(running, (mean, var), strict=True)
    ]
    return [out, *moved]


def _instance_norm(c: Call, x: Source, scale: Source, bias: Source) -> Value:
    """Ones and zeros without a name are those of a norm that has no weights."""
    value, eps = c.value(x), float(c.attr("epsilon", 1e-5))
    weight: Value | None = None
    shift: Value | None = None
    if not (_is_made_of(c, scale, 1.0) and _is_made_of(c, bias, 0.0)):
        weight, shift = c.value(scale, role="weight"), c.value(bias, role="bias")
    return _in_channels_last(
        c.b, value, lambda y: c.b.op("instance_norm", y, weight, shift, eps=eps)
    )


def _is_made_of(c: Call, x: Source, number: float) -> bool:
    """Whether a small tensor without a name is that number everywhere."""
    known = isinstance(x, Host) and not x.symbolic and x.size <= 4096
    if not known or not isinstance(x, Host) or c.state.readable(x.initializer):
        return False
    return bool((x.array == number).all())


def _group_norm(c: Call, x: Source, scale: Source, bias: Source) -> Value:
    """Until opset 20 scale and bias have one number for each group."""
    value, groups = c.value(x), int(c.required("num_groups"))
    eps = float(c.attr("epsilon", 1e-5))
    params = [c.value(scale, role="weight"), c.value(bias, role="bias")]
    channels = value.tensor.shape[1]
    params = [
        c.b.op("repeat", p, repeats=channels // groups, axis=0)
        if c.opset < 21 and p.tensor.shape[0] != channels
        else p
        for p in params
    ]
    return _in_channels_last(
        c.b, value, lambda y: c.b.op("group_norm", y, *params, groups=groups, eps=eps)
    )


def _layer_norm(c: Call, x: Source, scale: Source, bias: Source = None) -> Any:
    value = c.value(x)
    at, eps = axis(value, c.attr("axis", -1)), float(c.attr("epsilon", 1e-5))
    weight, shift = c.value(scale, role="weight"), c.maybe(bias, role="bias")
    simple = at == value.tensor.rank - 1 and weight.tensor.rank == 1
    if simple and not c.used(1) and not c.used(2):
        return c.b.op("layer_norm", value, weight, shift, eps=eps)
    return _layer_norm_axes(c, value, weight, shift, at, eps)


def _layer_norm_axes(
    c: Call, x: Value, weight: Value, bias: Value | None, at: int, eps: float
) -> list[Value]:
    """Over the axes from `at` on, with the statistics as further results."""
    b, shape, rank = c.b, x.tensor.shape, x.tensor.rank
    lead, tail = shape[:at], shape[at:]
    flat = reshaped(b, x, (*lead, product(tail)))
    out = reshaped(b, b.op("layer_norm", flat, None, None, eps=eps), shape)
    out = b.op("multiply", out, weight)
    out = out if bias is None else b.op("add", out, bias)
    results = [out]
    if c.used(1) or c.used(2):
        axes = tuple(range(at, rank))
        wide = to_dtype(b, x, DType.f32)
        mean = b.op("mean", wide, axes=axes, keepdims=True)
        var = b.op("var", wide, axes=axes, keepdims=True)
        results += [mean, b.op("rsqrt", b.op("add", var, eps))]
    return results


def _rms_norm(c: Call, x: Source, scale: Source) -> Value:
    value = c.value(x)
    at, eps = axis(value, c.attr("axis", -1)), float(c.attr("epsilon", 1e-5))
    weight = c.value(scale, role="weight")
    if at == value.tensor.rank - 1 and weight.tensor.rank == 1:
        return c.b.op("rms_norm", value, weight, eps=eps)
    shape = value.tensor.shape
    flat = reshaped(c.b, value, (*shape[:at], product(shape[at:])))
    out = reshaped(c.b, c.b.op("rms_norm", flat, None, eps=eps), shape)
    return c.b.op("multiply", out, weight)


def _lp_norm(c: Call, x: Source) -> Value:
    """Divided by the norm of an axis; zero where that is zero."""
    value, p = c.value(x), c.attr("p", 2)
    at = axis(value, c.attr("axis", -1))
    if p == 1:
        norm = c.b.op("sum", c.b.op("abs", value), axes=(at,), keepdims=True)
    else:
        norm = c.b.op("norm", value, axes=(at,), keepdims=True)
    safe = c.b.op("where", c.b.op("equal", norm, 0.0), 1.0, norm)
    return c.b.op("divide", value, safe)


def _lrn(c: Call, x: Source) -> Value:
    """x / (bias + alpha / size * sum of squares over `size` channels) ** beta."""
    b, value = c.b, c.value(x)
    size, alpha = int(c.required("size")), float(c.attr("alpha", 1e-4))
    beta, bias = float(c.attr("beta", 0.75)), float(c.attr("bias", 1.0))
    low, rank = (size - 1) // 2, value.tensor.rank
    pads = [tuple(n if i == 1 else 0 for i in range(rank)) for n in (low, size - 1 - low)]
    padded = b.op("pad", b.op("square", value), low=pads[0], high=pads[1], value=0.0)
    near = b.op("windows", padded, axis=1, size=size, step=1)
    total = b.op("sum", near, axes=(rank,), keepdims=False)
    scale = b.op("add", b.op("multiply", total, alpha / size), bias)
    return b.op("divide", value, b.op("power", scale, beta))


def _mean_variance(c: Call, x: Source) -> Value:
    b, value = c.b, c.value(x)
    axes = tuple(axis(value, a) for a in c.attr("axes", [0, 2, 3]))
    centred = b.op("subtract", value, b.op("mean", value, axes=axes, keepdims=True))
    std = b.op("sqrt", b.op("mean", b.op("square", centred), axes=axes, keepdims=True))
    return b.op("divide", centred, b.op("add", std, 1e-9))


ROWS: dict[str, Any] = {
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "GroupNormalization": _group_norm,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _rms_norm,
    "LpNormalization": _lp_norm,
    "LRN": _lrn,
    "MeanVarianceNormalization": _mean_variance,
}
