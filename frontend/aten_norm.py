"""ATen rows: normalisation, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir import Builder, DType, Value
from ..ir.dims import product
from .aten_common import (
    Row,
    axis,
    channels_first,
    channels_last,
    expand_dims,
    need,
    reshaped,
)
from .promotion import FLOAT, cast

_EVAL = "call model.eval() before the model is captured"


def _layer_norm(
    b: Builder,
    input: Value,
    normalized_shape: Sequence[Any],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Value:
    count = len(normalized_shape)
    if count == 1:
        return b.op("layer_norm", input, weight, bias, eps=float(eps))
    flat = product(normalized_shape)
    x = reshaped(b, input, (*input.tensor.shape[: input.tensor.rank - count], flat))
    affine = [p if p is None else reshaped(b, p, (flat,)) for p in (weight, bias)]
    return reshaped(b, b.op("layer_norm", x, *affine, eps=float(eps)), input.tensor.shape)


def _native_layer_norm(
    b: Builder, input: Value, normalized_shape: Sequence[Any], weight: Any, bias: Any, eps: float
) -> tuple[Value, ...]:
    last = tuple(range(input.tensor.rank - len(normalized_shape), input.tensor.rank))
    return (
        _layer_norm(b, input, normalized_shape, weight, bias, eps),
        *_statistics(b, input, last, eps),
    )


def _statistics(
    b: Builder, x: Value, places: tuple[int, ...], eps: float, keepdims: bool = True
) -> tuple[Value, Value]:
    """The mean and the reciprocal standard deviation, which native norms also return."""
    mean = b.op("mean", x, axes=places, keepdims=keepdims)
    var = b.op("var", x, axes=places, keepdims=keepdims, ddof=0)
    return mean, b.op("rsqrt", b.op("add", var, float(eps)))


def _rms_norm(
    b: Builder,
    input: Value,
    normalized_shape: Sequence[Any],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    need(len(normalized_shape) == 1, "rms_norm over several axes")
    if eps is None:
        eps = (
            float(np.finfo(input.tensor.dtype.numpy).eps)
            if input.tensor.dtype is not DType.bf16
            else 0.0078125
        )
    return b.op("rms_norm", input, weight, eps=float(eps))


def _batch_norm(
    b: Builder,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Value:
    need(not training or running_mean is None, "batch_norm in training mode", _EVAL)
    spatial = input.tensor.rank - 2
    x = channels_last(b, input, spatial)
    return channels_first(
        b, b.op("batch_norm", x, weight, bias, running_mean, running_var, eps=float(eps)), spatial
    )


def _native_batch_norm(
    b: Builder,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Value, ...]:
    out = _batch_norm(b, input, weight, bias, running_mean, running_var, training, momentum, eps)
    if not training:
        none = b.op("full", shape=(0,), value=0.0, dtype=FLOAT)
        return out, none, none
    places = tuple(i for i in range(input.tensor.rank) if i != 1)
    return (out, *_statistics(b, input, places, eps, keepdims=False))


def _no_training(
    b: Builder,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    momentum: float,
    eps: float,
) -> tuple[Value, ...]:
    return _native_batch_norm(
        b, input, weight, bias, running_mean, running_var, False, momentum, eps
    )


def _batch_norm_update(training: bool) -> Row:
    """The forms that state by their name whether they train."""

    def row(
        b: Builder,
        input: Value,
        weight: Any,
        bias: Any,
        running_mean: Any,
        running_var: Any,
        momentum: float,
        eps: float,
    ) -> tuple[Any, ...]:
        out = _native_batch_norm(
            b, input, weight, bias, running_mean, running_var, training, momentum, eps
        )
        return (*out, None)

    return row


def _no_stats(
    b: Builder, input: Value, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[Value, ...]:
    return _native_batch_norm(b, input, weight, bias, None, None, True, momentum, eps)


def _instance_norm(
    b: Builder,
    input: Value,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Value:
    if not use_input_stats:
        return _batch_norm(b, input, weight, bias, running_mean, running_var, False, momentum, eps)
    need(running_mean is None, "instance_norm that updates running statistics", _EVAL)
    spatial = input.tensor.rank - 2
    x = channels_last(b, input, spatial)
    return channels_first(b, b.op("instance_norm", x, weight, bias, eps=float(eps)), spatial)


def _group_norm(
    b: Builder,
    input: Value,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Value:
    spatial = input.tensor.rank - 2
    x = channels_last(b, input, spatial)
    return channels_first(
        b, b.op("group_norm", x, weight, bias, groups=num_groups, eps=float(eps)), spatial
    )


def _native_group_norm(
    b: Builder,
    input: Value,
    weight: Any,
    bias: Any,
    N: Any,
    C: Any,
    HxW: Any,
    group: int,
    eps: float,
) -> tuple[Value, ...]:
    grouped = reshaped(b, input, (N, group, product(input.tensor.shape[1:]) // group))
    return (
        _group_norm(b, input, group, weight, bias, eps),
        *_statistics(b, grouped, (2,), eps, keepdims=False),
    )


def _softmax(op: str) -> Row:
    def row(b: Builder, self: Value, dim: int, dtype: Any = None) -> Value:
        x = cast(b, self, dtype if isinstance(dtype, DType) else None)
        if x.tensor.rank == 0:
            x = expand_dims(b, x, 0)
            return b.op("squeeze", b.op(op, x, axis=0), axes=(0,))
        return b.op(op, x, axis=axis(self, dim))

    return row


def _internal_softmax(op: str) -> Row:
    def row(b: Builder, self: Value, dim: int, half_to_float: bool) -> Value:
        return b.op(op, cast(b, self, FLOAT) if half_to_float else self, axis=axis(self, dim))

    return row


def _weight_norm(b: Builder, v: Value, g: Value, dim: int = 0) -> Value:
    """g * v / |v|, the norm over all axes but one."""
    return b.op("weight_norm", v, g, axis=axis(v, dim) if dim != -1 or g.tensor.rank else -1)


ROWS: dict[str, Row] = {
    "layer_norm": _layer_norm,
    "native_layer_norm": _native_layer_norm,
    "rms_norm": _rms_norm,
    "_fused_rms_norm": lambda b, input, shape, weight=None, eps=None: (
        _rms_norm(b, input, shape, weight, eps),
        None,
    ),
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit": _native_batch_norm,
    "native_batch_norm": _native_batch_norm,
    "_native_batch_norm_legit.no_stats": _no_stats,
    "_native_batch_norm_legit_no_training": _no_training,
    "cudnn_batch_norm": _native_batch_norm,
    "_batch_norm_with_update": _batch_norm_update(True),
    "_batch_norm_no_update": _batch_norm_update(False),
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "native_group_norm": _native_group_norm,
    "softmax": _softmax("softmax"),
    "log_softmax": _softmax("log_softmax"),
    "special_softmax": _softmax("softmax"),
    "special_log_softmax": _softmax("log_softmax"),
    "_softmax": _internal_softmax("softmax"),
    "_log_softmax": _internal_softmax("log_softmax"),
    "_safe_softmax": _softmax("softmax"),
    "_weight_norm": _weight_norm,
    "_weight_norm_interface": lambda b, v, g, dim=0: (_weight_norm(b, v, g, dim), None),
}
