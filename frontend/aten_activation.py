"""ATen rows: activation functions and bounds."""

from __future__ import annotations

from typing import Any

from ..ir import Builder, Value
from .aten_common import Row, axis, floats, need, tensor
from .aten_elementwise import divide, maximum_of, minimum_of, scaled, unary
from .promotion import cast, is_host, result_type


def _activation(op: str, **attrs: Any) -> Row:
    return lambda b, self: b.op(op, floats(b, self), **attrs)


def _elu(
    b: Builder, self: Any, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0
) -> Value:
    """scale * (x if x > 0 else alpha * (exp(x * input_scale) - 1))."""
    x = floats(b, self)
    if scale == 1 and input_scale == 1:
        return b.op("elu", x, alpha=float(alpha))
    low = scaled(b, b.op("expm1", scaled(b, x, input_scale)), alpha)
    return scaled(b, b.op("where", b.op("greater", x, 0), x, low), scale)


def _selu(b: Builder, self: Any) -> Value:
    return _elu(b, self, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946)


def _celu(b: Builder, self: Any, alpha: Any = 1.0) -> Value:
    return _elu(b, self, alpha, 1.0, 1.0 / alpha)


def _prelu(b: Builder, self: Any, weight: Any) -> Value:
    """One slope, or one for each channel (axis 1)."""
    slopes, rank = weight.tensor.shape, self.tensor.rank
    if slopes not in ((), (1,)) and rank > 2:
        weight = b.op("reshape", weight, shape=(slopes[0], *[1] * (rank - 2)))
    return b.op("prelu", self, weight)


def _glu(b: Builder, self: Value, dim: int = -1) -> Value:
    return b.op("glu", self, axis=axis(self, dim))


def _clamp(b: Builder, self: Any, min: Any = None, max: Any = None) -> Any:
    given = [o for o in (self, min, max) if o is not None]
    if all(is_host(o) for o in given):
        low = self if min is None else maximum_of(self, min)
        return low if max is None else minimum_of(low, max)
    dtype = result_type(*given)
    x, low, high = tensor(b, self, dtype), cast(b, min, dtype), cast(b, max, dtype)
    if high is None:
        return b.op("maximum", x, low)
    return b.op("minimum", x, high) if low is None else b.op("clip", x, low, high)


def _rrelu(
    b: Builder, self: Value, lower: float = 0.125, upper: float = 1 / 3, training: bool = False
) -> Value:
    """The slope is random in training, and the mean of its bounds otherwise."""
    need(not training, "rrelu in training mode", "call model.eval() before the model is captured")
    return b.op("leaky_relu", self, slope=(lower + upper) / 2)


def _threshold(b: Builder, self: Any, threshold: Any, value: Any) -> Value:
    return b.op("where", b.op("greater", self, threshold), self, cast(b, value, self.tensor.dtype))


def _softplus(b: Builder, self: Any, beta: Any = 1, threshold: Any = 20) -> Value:
    """log(1 + exp(beta * x)) / beta; linear above the threshold.

    Above 15 the two differ by less than float32 holds.
    """
    x = floats(b, self)
    if beta == 1 and threshold >= 15:
        return b.op("softplus", x)
    steep = scaled(b, x, beta)
    soft = b.op("softplus", steep)
    soft = soft if beta == 1 else divide(b, soft, beta)
    return b.op("where", b.op("greater", steep, threshold), x, soft)


_clamp_min: Row = lambda b, self, min: _clamp(b, self, min, None)  # noqa: E731


_clamp_max: Row = lambda b, self, max: _clamp(b, self, None, max)  # noqa: E731


_hardtanh: Row = lambda b, self, min_val=-1, max_val=1: _clamp(b, self, min_val, max_val)  # noqa: E731


ROWS: dict[str, Row] = {
    "relu": unary("relu", lambda x: max(x, 0)),
    "relu6": lambda b, self: _clamp(b, self, 0, 6),
    "silu": _activation("silu"),
    "mish": _activation("mish"),
    "hardswish": _activation("hardswish"),
    "hardsigmoid": _activation("hardsigmoid"),
    "log_sigmoid": _activation("log_sigmoid"),
    "log_sigmoid_forward": lambda b, self: (b.op("log_sigmoid", self), None),
    "gelu": lambda b, self, approximate="none": b.op(
        "gelu", floats(b, self), approximate=approximate
    ),
    "leaky_relu": lambda b, self, negative_slope=0.01: b.op(
        "leaky_relu", self, slope=float(negative_slope)
    ),
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "prelu": _prelu,
    "_prelu_kernel": lambda b, self, weight: b.op("prelu", self, weight),
    "glu": _glu,
    "hardtanh": _hardtanh,
    "threshold": _threshold,
    "rrelu": _rrelu,
    "softplus": _softplus,
    "hardshrink": lambda b, self, lambd=0.5: b.op(
        "where", b.op("greater", b.op("abs", self), lambd), self, 0
    ),
    "softshrink": lambda b, self, lambd=0.5: b.op(
        "subtract", self, b.op("clip", self, -lambd, lambd)
    ),
    "clamp": _clamp,
    "clip": _clamp,
    "clamp_min": _clamp_min,
    "clamp_max": _clamp_max,
}
