"""ATen rows: normalisation, softmax, recurrent layers."""

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
    refuse,
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


# ---- recurrent layers


def _is_zeros(x: Any) -> bool:
    """Whether the value is a tensor of zeros that the source makes on the spot."""
    while (
        isinstance(x, Value)
        and x.node is not None
        and x.node.op in ("cast", "broadcast_to", "expand_dims", "reshape")
    ):
        x = x.node.operands[0]
    return (
        isinstance(x, Value) and x.node is not None and x.node.op == "full" and x.node["value"] == 0
    )


def _state(*states: Value) -> list[Value | None]:
    """An initial state of zeros is left out: it is the layer's own default."""
    return [None] * len(states) if all(map(_is_zeros, states)) else list(states)


def _lstm(
    b: Builder,
    input: Value,
    hx: Sequence[Value],
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, ...]:
    need(not (train and dropout), "an LSTM with dropout in training mode", _EVAL)
    options = {
        "layers": num_layers,
        "bias": has_biases,
        "bidirectional": bidirectional,
        "batch_first": batch_first,
    }
    return b.op("lstm", input, *_state(*hx), None, *params, **options)


def _gru(
    b: Builder,
    input: Value,
    hx: Value,
    params: Sequence[Value],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Value, ...]:
    need(not (train and dropout), "a GRU with dropout in training mode", _EVAL)
    options = {
        "layers": num_layers,
        "bias": has_biases,
        "bidirectional": bidirectional,
        "batch_first": batch_first,
    }
    return b.op("gru", input, *_state(hx), None, *params, **options)


def _rnn(nonlinearity: str) -> Row:
    def row(
        b: Builder,
        input: Value,
        hx: Value,
        params: Sequence[Value],
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> tuple[Value, ...]:
        need(not (train and dropout), "an RNN with dropout in training mode", _EVAL)
        options = {
            "layers": num_layers,
            "bias": has_biases,
            "bidirectional": bidirectional,
            "batch_first": batch_first,
        }
        return b.op("rnn", input, *_state(hx), None, *params, nonlinearity=nonlinearity, **options)

    return row


def _lstm_cell(
    b: Builder,
    input: Value,
    hx: Sequence[Value],
    w_ih: Value,
    w_hh: Value,
    b_ih: Any = None,
    b_hh: Any = None,
) -> tuple[Value, ...]:
    return b.op("lstm_cell", input, *hx, w_ih, w_hh, b_ih, b_hh)


def _gru_cell(
    b: Builder,
    input: Value,
    hx: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Any = None,
    b_hh: Any = None,
) -> Value:
    return b.op("gru_cell", input, hx, w_ih, w_hh, b_ih, b_hh)


def _rnn_cell(activation: str) -> Row:
    def row(
        b: Builder,
        input: Value,
        hx: Value,
        w_ih: Value,
        w_hh: Value,
        b_ih: Any = None,
        b_hh: Any = None,
    ) -> Value:
        total = b.op("add", b.op("linear", input, w_ih, b_ih), b.op("linear", hx, w_hh, b_hh))
        return b.op(activation, total)

    return row


_packed = refuse(
    "packed sequences have a size that depends on data",
    "run the recurrent layer on the padded batch (leave pack_padded_sequence out), "
    "or one sequence at a time",
)

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
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": _rnn("tanh"),
    "rnn_relu": _rnn("relu"),
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    "rnn_tanh_cell": _rnn_cell("tanh"),
    "rnn_relu_cell": _rnn_cell("relu"),
    "lstm.data": _packed,
    "gru.data": _packed,
    "rnn_tanh.data": _packed,
    "rnn_relu.data": _packed,
    "_pack_padded_sequence": _packed,
    "_pad_packed_sequence": _packed,
}
