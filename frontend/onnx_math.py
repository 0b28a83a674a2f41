"""ONNX rows: arithmetic, comparison, logic, functions of one tensor, activations, casts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr
from .aten_common import reshaped
from .onnx_values import Call, Host, Row, Source

_FLOAT16 = (DType.f16, DType.bf16)


def pair(c: Call, a: Source, b: Source) -> tuple[Any, Any]:
    """Both operands of an arithmetic op; one of them may stay a number."""
    if isinstance(a, Host) and isinstance(b, Host):
        return c.value(a), c.operand(b, a.rank)
    if isinstance(a, Host):
        right = c.value(b)
        return c.operand(a, right.tensor.rank), right
    left = c.value(a)
    return left, c.operand(b, left.tensor.rank)


def lined_up(c: Call, a: Source, b: Source) -> tuple[Any, Any]:
    """Before opset 7, `axis` says where the second operand's axes stand in the first's."""
    left, right = pair(c, a, b)
    axis = c.attr("axis")
    if axis is None or not isinstance(right, Value) or not isinstance(left, Value):
        return left, right
    tail = left.tensor.rank - int(axis) - right.tensor.rank
    return left, reshaped(c.b, right, (*right.tensor.shape, *[1] * tail))


def _binary(op: str) -> Row:
    def row(c: Call, a: Source, b: Source) -> Value:
        return c.b.op(op, *(lined_up if c.opset < 7 else pair)(c, a, b))

    return row


def _div(c: Call, a: Source, b: Source) -> Value:
    """Integers round toward zero."""
    left, right = (lined_up if c.opset < 7 else pair)(c, a, b)
    dtype = next(v.tensor.dtype for v in (left, right) if isinstance(v, Value))
    if not dtype.is_integer:
        return c.b.op("divide", left, right)
    down = c.b.op("floor_divide", left, right)
    if dtype.value[0] == "u":
        return down
    exact = c.b.op("equal", c.b.op("multiply", down, right), left)
    opposite = c.b.op("not_equal", c.b.op("less", left, 0), _negative(c.b, right))
    off = c.b.op("bitwise_and", c.b.op("invert", exact), opposite)
    return c.b.op("add", down, c.b.op("cast", off, dtype=dtype))


def _negative(b: Builder, x: Any) -> Any:
    return b.op("less", x, 0) if isinstance(x, Value) else x < 0


def _mod(c: Call, a: Source, b: Source) -> Value:
    left, right = pair(c, a, b)
    if not c.attr("fmod", 0):
        return c.b.op("remainder", left, right)
    values = [v for v in (left, right) if isinstance(v, Value)]
    dtype = values[0].tensor.dtype
    if dtype.value[0] == "u":
        return c.b.op("remainder", left, right)
    sizes = [c.b.op("abs", v) if isinstance(v, Value) else abs(v) for v in (left, right)]
    rest = c.b.op("remainder", *sizes)
    return c.b.op("where", c.b.op("less", left, 0), c.b.op("negative", rest), rest)


def _pow(c: Call, a: Source, b: Source) -> Value:
    """The result has the base's type; the exponent may have another."""
    left, right = pair(c, a, b)
    if not isinstance(left, Value):
        left = c.value(a)
    dtype = left.tensor.dtype
    if not isinstance(right, Value):
        if right == 2:
            return c.b.op("square", left)
        return (
            c.b.op("power", left, _as(right, dtype))
            if _same_kind(right, dtype)
            else _cast(c.b, c.b.op("power", _cast(c.b, left, DType.f32), float(right)), dtype)
        )
    kind = right.tensor.dtype
    if kind is dtype:
        return c.b.op("power", left, right)
    wide = DType.f32 if kind.is_float and dtype.is_integer else dtype
    out = c.b.op("power", _cast(c.b, left, wide), _cast(c.b, right, wide))
    return _cast(c.b, out, dtype)


def _same_kind(number: Any, dtype: DType) -> bool:
    return dtype.is_float or isinstance(number, int | Expr) or float(number).is_integer()


def _as(number: Any, dtype: DType) -> Any:
    if isinstance(number, Expr):
        return number
    return float(number) if dtype.is_float else int(number)


def _cast(b: Builder, x: Value, dtype: DType) -> Value:
    return x if x.tensor.dtype is dtype else b.op("cast", x, dtype=dtype)


def _variadic(op: str) -> Row:
    """Min, Max, Sum: two at a time."""

    def row(c: Call, first: Source, *rest: Source) -> Value:
        out: Any = c.value(first)
        for x in rest:
            out = c.b.op(op, *pair(c, out, x))
        return out

    return row


def _mean(c: Call, *xs: Source) -> Value:
    total = _variadic("add")(c, *xs)
    return c.b.op("divide", total, float(len(xs))) if len(xs) > 1 else total


def _unary(op: str, **attrs: Any) -> Row:
    return lambda c, x: c.b.op(op, c.value(x), **attrs)


def _same_on_integers(op: str) -> Row:
    """floor, ceil, round: integers stay as they are."""

    def row(c: Call, x: Source) -> Value:
        value = c.value(x)
        return c.b.op(op, value) if value.tensor.dtype.is_float else value

    return row


def _not(c: Call, x: Source) -> Value:
    return c.b.op("invert", c.value(x))


def _isinf(c: Call, x: Source) -> Value:
    value = c.value(x)
    up, down = c.attr("detect_positive", 1), c.attr("detect_negative", 1)
    if up and down:
        return c.b.op("isinf", value)
    if up or down:
        return c.b.op("equal", value, math.inf if up else -math.inf)
    return c.b.op("full", shape=value.tensor.shape, value=False, dtype=DType.bool)


def _bitshift(c: Call, a: Source, b: Source) -> Value:
    """A shift by all bits or more leaves nothing but the sign."""
    left = c.required("direction") in ("LEFT", b"LEFT")
    value, count = c.value(a), c.value(b)
    dtype = value.tensor.dtype
    width = int(dtype.value[1:])
    signed = dtype.value[0] == "i"
    far = c.b.op("greater_equal", count, width)
    if signed:
        far = c.b.op("bitwise_or", far, c.b.op("less", count, 0))
    near = c.b.op("where", far, 0, count)
    out = c.b.op("left_shift" if left else "right_shift", value, near)
    if left or not signed:
        return c.b.op("where", far, 0, out)
    return c.b.op(
        "where",
        far,
        c.b.op("where", c.b.op("less", value, 0), -1, c.b.op("multiply", value, 0)),
        out,
    )


def _where(c: Call, condition: Source, a: Source, b: Source) -> Value:
    mask = c.value(condition)
    if isinstance(a, Host) and isinstance(b, Host):
        rank = mask.tensor.rank
        plain = a.dtype is DType.f32 and a.size == b.size == 1 and max(a.rank, b.rank) <= rank
        first = float(a.number) if plain and not a.symbolic else c.value(a)
        return c.b.op("where", mask, first, c.operand(b, rank))
    return c.b.op("where", mask, *pair(c, a, b))


# ---- casts


def to_dtype(b: Builder, x: Value, dtype: DType) -> Value:
    return _cast(b, x, dtype)


def _cast_row(c: Call, x: Source) -> Value:
    from .onnx_read import dtype_of

    return _casted(c, x, dtype_of(c.required("to"), "Cast"))


def _cast_like(c: Call, x: Source, like: Source) -> Value:
    dtype = like.dtype if isinstance(like, Host) else c.value(like).tensor.dtype
    return _casted(c, x, dtype)


def _casted(c: Call, x: Source, dtype: DType) -> Value:
    value = c.value(x)
    if value.tensor.dtype is dtype:
        return value
    if dtype is DType.bool:
        return c.b.op("not_equal", value, 0.0 if value.tensor.dtype.is_float else 0)
    return c.b.op("cast", value, dtype=dtype)


def _bit_cast(c: Call, x: Source) -> Value:
    from .onnx_read import dtype_of

    value, dtype = c.value(x), dtype_of(c.required("to"), "BitCast")
    if DType.f64 in (dtype, value.tensor.dtype):
        raise TranspileError("the bits of a float64: MLX computes those as float32")
    return c.b.op("bitcast", value, dtype=dtype)


# ---- activations


def _activation(formula: Callable[..., Value], **defaults: Any) -> Row:
    """`formula(b, x, *numbers)` with the attributes' values as numbers."""

    def row(c: Call, x: Source) -> Value:
        numbers = [_float(c.attr(name, default)) for name, default in defaults.items()]
        return formula(c.b, c.value(x), *numbers)

    return row


def _float(value: Any) -> float:
    return float(np.float32(value))


def leaky_relu(b: Builder, x: Value, alpha: float) -> Value:
    return b.op("leaky_relu", x, slope=alpha)


def elu(b: Builder, x: Value, alpha: float) -> Value:
    return b.op("elu", x, alpha=alpha)


def _celu(b: Builder, x: Value, alpha: float) -> Value:
    scaled = b.op("elu", b.op("divide", x, alpha), alpha=1.0)
    return b.op("multiply", scaled, alpha)


def _selu(b: Builder, x: Value, alpha: float, gamma: float) -> Value:
    return b.op("multiply", b.op("elu", x, alpha=alpha), gamma)


def hard_sigmoid(b: Builder, x: Value, alpha: float, beta: float) -> Value:
    if math.isclose(alpha, 1 / 6, rel_tol=1e-6) and beta == 0.5:
        return b.op("hardsigmoid", x)
    return b.op("clip", b.op("add", b.op("multiply", x, alpha), beta), 0.0, 1.0)


def thresholded_relu(b: Builder, x: Value, alpha: float) -> Value:
    return b.op("where", b.op("greater", x, alpha), x, 0.0)


def _shrink(b: Builder, x: Value, lambd: float, bias: float) -> Value:
    dtype = x.tensor.dtype
    if dtype.is_integer:
        return _cast(b, _shrink(b, _cast(b, x, DType.f32), lambd, bias), dtype)
    high = b.op("where", b.op("greater", x, lambd), b.op("subtract", x, bias), 0.0)
    return b.op("where", b.op("less", x, -lambd), b.op("add", x, bias), high)


def softsign(b: Builder, x: Value) -> Value:
    return b.op("divide", x, b.op("add", b.op("abs", x), 1.0))


def _swish(b: Builder, x: Value, alpha: float) -> Value:
    if alpha == 1.0:
        return b.op("silu", x)
    return b.op("multiply", x, b.op("sigmoid", b.op("multiply", x, alpha)))


def _gelu(c: Call, x: Source) -> Value:
    return c.b.op("gelu", c.value(x), approximate=c.attr("approximate", "none"))


def _prelu(c: Call, x: Source, slope: Source) -> Value:
    value, weight = c.value(x), c.value(slope, role="weight")
    if c.opset < 7 and weight.tensor.rank == 1 and value.tensor.rank > 2:
        weight = reshaped(c.b, weight, (weight.tensor.shape[0], *[1] * (value.tensor.rank - 2)))
    return c.b.op("prelu", value, weight)


def _clip(c: Call, x: Source, low: Source = None, high: Source = None) -> Value:
    value = c.value(x)
    if c.opset < 11:
        bounds: list[Any] = [c.attr("min"), c.attr("max")]
        bounds = [None if v is None or abs(v) > 3e38 else float(v) for v in bounds]
    else:
        bounds = [None if v is None else c.operand(v) for v in (low, high)]
    if bounds == [None, None]:
        return value
    return c.b.op("clip", value, *bounds)


def _dropout(c: Call, x: Source, ratio: Source = None, training: Source = None) -> Any:
    if training is not None and c.scalar(training, "training_mode"):
        share = 0.5 if ratio is None else c.scalar(ratio, "ratio")
        if share:
            raise TranspileError("Dropout in training mode draws random numbers")
    value = c.value(x)
    if not c.used(1):
        return value
    mask = c.b.op("full", shape=value.tensor.shape, value=True, dtype=DType.bool)
    return value, mask if c.opset >= 10 else c.b.op("cast", mask, dtype=value.tensor.dtype)


def _identity(c: Call, x: Source) -> Source:
    return x


def _bitwise(op: str) -> Row:
    return lambda c, a, b: c.b.op(op, c.value(a), c.value(b))


ROWS: dict[str, Any] = {
    "Add": _binary("add"),
    "Sub": _binary("subtract"),
    "Mul": _binary("multiply"),
    "Div": _div,
    "Mod": _mod,
    "Pow": _pow,
    "Min": _variadic("minimum"),
    "Max": _variadic("maximum"),
    "Sum": _variadic("add"),
    "Mean": _mean,
    "Equal": _binary("equal"),
    "Less": _binary("less"),
    "LessOrEqual": _binary("less_equal"),
    "Greater": _binary("greater"),
    "GreaterOrEqual": _binary("greater_equal"),
    "And": _binary("bitwise_and"),
    "Or": _binary("bitwise_or"),
    "Xor": _binary("bitwise_xor"),
    "Not": _not,
    "BitwiseAnd": _bitwise("bitwise_and"),
    "BitwiseOr": _bitwise("bitwise_or"),
    "BitwiseXor": _bitwise("bitwise_xor"),
    "BitwiseNot": _not,
    "BitShift": _bitshift,
    "Where": _where,
    "Cast": _cast_row,
    "CastLike": _cast_like,
    "BitCast": _bit_cast,
    "Identity": _identity,
    "Dropout": _dropout,
    "Clip": _clip,
    "IsInf": _isinf,
    "IsNaN": _unary("isnan"),
    "Neg": _unary("negative"),
    "Abs": _unary("abs"),
    "Sign": _unary("sign"),
    "Floor": _same_on_integers("floor"),
    "Ceil": _same_on_integers("ceil"),
    "Round": _same_on_integers("round"),
    "Exp": _unary("exp"),
    "Log": _unary("log"),
    "Sqrt": _unary("sqrt"),
    "Reciprocal": _unary("reciprocal"),
    "Erf": _unary("erf"),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "Sin": _unary("sin"),
    "Cos": _unary("cos"),
    "Tan": _unary("tan"),
    "Sinh": _unary("sinh"),
    "Cosh": _unary("cosh"),
    "Asin": _unary("arcsin"),
    "Acos": _unary("arccos"),
    "Atan": _unary("arctan"),
    "Asinh": _unary("arcsinh"),
    "Acosh": _unary("arccosh"),
    "Atanh": _unary("arctanh"),
    "Relu": _unary("relu"),
    "Softplus": _unary("softplus"),
    "Mish": _unary("mish"),
    "HardSwish": _unary("hardswish"),
    "Gelu": _gelu,
    "PRelu": _prelu,
    "LeakyRelu": _activation(leaky_relu, alpha=0.01),
    "Elu": _activation(elu, alpha=1.0),
    "Celu": _activation(_celu, alpha=1.0),
    "Selu": _activation(_selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "HardSigmoid": _activation(hard_sigmoid, alpha=0.2, beta=0.5),
    "ThresholdedRelu": _activation(thresholded_relu, alpha=1.0),
    "Shrink": _activation(_shrink, lambd=0.5, bias=0.0),
    "Softsign": _activation(softsign),
    "Swish": _activation(_swish, alpha=1.0),
}
