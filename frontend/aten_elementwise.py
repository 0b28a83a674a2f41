"""ATen rows: arithmetic, comparison, logic, functions of one tensor, casts, selection."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, floordiv, maximum, minimum
from .aten_common import Row, axis, expand_dims, floats, need, tensor
from .promotion import FLOAT, as_float, cast, category, is_host, promoted, result_type

# ---- arithmetic


def _binary(op: str, host: Callable[[Any, Any], Any]) -> Row:
    """Promote and apply; scalars alone are computed on the host."""

    def row(b: Builder, self: Any, other: Any) -> Any:
        if is_host(self) and is_host(other):
            return host(self, other)
        return b.op(op, *promoted(b, self, other))

    return row


_multiply_numbers = _binary("multiply", operator.mul)


def _mul(b: Builder, self: Any, other: Any) -> Any:
    return _both_boolean(b, "bitwise_and", self, other) or _multiply_numbers(b, self, other)


def _both_boolean(b: Builder, op: str, *operands: Any) -> Value | None:
    """Sums and products of booleans are logical."""
    if all(is_host(o) for o in operands) or result_type(*operands) is not DType.bool:
        return None
    return b.op(op, *operands)


def _scaled(b: Builder, x: Any, alpha: Any) -> Any:
    """`alpha * x`; alpha arrives as 1 almost always."""
    return x if alpha == 1 else x * alpha if is_host(x) else _mul(b, x, alpha)


def _add(b: Builder, self: Any, other: Any, alpha: Any = 1) -> Any:
    logical = _both_boolean(b, "bitwise_or", self, other)
    return logical or _binary("add", operator.add)(b, self, _scaled(b, other, alpha))


def _sub(b: Builder, self: Any, other: Any, alpha: Any = 1) -> Any:
    return _binary("subtract", operator.sub)(b, self, _scaled(b, other, alpha))


def _rsub(b: Builder, self: Any, other: Any, alpha: Any = 1) -> Any:
    return _sub(b, other, self, alpha)


def _quotient(a: Any, b: Any) -> Any:
    """`a / b` of host numbers; exact for dims where it divides."""
    if isinstance(a, Expr) or isinstance(b, Expr):
        from ..ir.dims import divide_exact

        exact = (
            divide_exact(a, b) if not isinstance(a, float) and not isinstance(b, float) else None
        )
        need(exact is not None, f"{a} / {b} of sizes is no whole number")
        return exact
    return a / b


def _div(b: Builder, self: Any, other: Any, rounding_mode: str | None = None) -> Any:
    if rounding_mode == "floor":
        return _floor_divide(b, self, other)
    if is_host(self) and is_host(other):
        return _quotient(self, other) if rounding_mode is None else _truncated(self, other)
    left, right = promoted(b, self, other)
    integers = category(result_type(self, other)) < 2
    if rounding_mode == "trunc":
        return (
            _trunc_integers(b, left, right)
            if integers
            else b.op("trunc", b.op("divide", left, right))
        )
    if integers:
        left, right = cast(b, left, FLOAT), cast(b, right, FLOAT)
    return b.op("divide", left, right)


def _truncated(a: Any, b: Any) -> Any:
    return floordiv(a, b) if isinstance(a, Expr) or isinstance(b, Expr) else math.trunc(a / b)


def _trunc_integers(b: Builder, left: Any, right: Any) -> Value:
    """Integer division toward zero: |a| // |b| with the quotient's sign."""
    size = b.op("floor_divide", _abs(b, left), _abs(b, right))
    negative = b.op("not_equal", _less_zero(b, left), _less_zero(b, right))
    return b.op("where", negative, b.op("negative", size), size)


def _abs(b: Builder, x: Any) -> Any:
    return abs(x) if is_host(x) else b.op("abs", x)


def _less_zero(b: Builder, x: Any) -> Any:
    return x < 0 if is_host(x) else b.op("less", x, 0)


def _floor_divide(b: Builder, self: Any, other: Any) -> Any:
    if is_host(self) and is_host(other):
        return (
            floordiv(self, other)
            if not isinstance(self, float) and not isinstance(other, float)
            else self // other
        )
    left, right = promoted(b, self, other)
    return b.op("floor_divide", left, right)


def _fmod(b: Builder, self: Any, other: Any) -> Any:
    """The remainder with the sign of the dividend."""
    if is_host(self) and is_host(other):
        return math.fmod(self, other)
    left, right = promoted(b, self, other)
    left = tensor(b, left, result_type(self, other))
    size = b.op("remainder", b.op("abs", left), _abs(b, right))
    return b.op("where", b.op("less", left, 0), b.op("negative", size), size)


def _pow(b: Builder, self: Any, exponent: Any) -> Any:
    if is_host(self) and is_host(exponent):
        return self**exponent
    if exponent == 2 and isinstance(exponent, int | float):
        return b.op("square", cast(b, self, result_type(self, exponent)))
    return b.op("power", *promoted(b, self, exponent))


def _compare(op: str, host: Callable[[Any, Any], Any]) -> Row:
    def row(b: Builder, self: Any, other: Any) -> Any:
        if is_host(self) and is_host(other):
            if isinstance(self - other, Expr):
                raise TranspileError(
                    f"the comparison of {self} with {other} depends on a size that is not fixed",
                    hint="capture the model with that size fixed",
                )
            return host(self, other)
        return b.op(op, *promoted(b, self, other))

    return row


def _extreme(op: str, host: Callable[[Any, Any], Any]) -> Row:
    def row(b: Builder, self: Any, other: Any) -> Any:
        if is_host(self) and is_host(other):
            return host(self, other)
        return b.op(op, *promoted(b, self, other))

    return row


def _bitwise(op: str, host: Callable[[Any, Any], Any]) -> Row:
    return _binary(op, host)


def _truth(b: Builder, x: Any) -> Any:
    """Non-zero as a boolean."""
    if is_host(x):
        return bool(x)
    return x if x.tensor.dtype is DType.bool else b.op("not_equal", x, 0)


def _logical(op: str, host: Callable[[Any, Any], Any]) -> Row:
    def row(b: Builder, self: Any, other: Any) -> Any:
        left, right = _truth(b, self), _truth(b, other)
        return host(left, right) if is_host(left) and is_host(right) else b.op(op, left, right)

    return row


def _logical_not(b: Builder, self: Any) -> Any:
    return (
        not self
        if is_host(self)
        else b.op("invert", self)
        if self.tensor.dtype is DType.bool
        else b.op("equal", self, 0)
    )


# ---- functions of one tensor


def _unary(op: str, host: Callable[[Any], Any]) -> Row:
    """Keeps the type."""
    return lambda b, self: host(self) if is_host(self) else b.op(op, self)


def _function(op: str, host: Callable[[Any], Any]) -> Row:
    """A real function: integers become float32."""
    return lambda b, self: host(self) if is_host(self) else b.op(op, as_float(b, self))


def _rounding(op: str, host: Callable[[Any], Any]) -> Row:
    """Integers stay as they are."""

    def row(b: Builder, self: Any) -> Any:
        if is_host(self):
            return self if isinstance(self, Expr) else host(self)
        return self if self.tensor.dtype.is_integer else b.op(op, self)

    return row


def _test(op: str, integers: bool) -> Row:
    """isnan and its like; `integers` is the answer for integers."""

    def row(b: Builder, self: Any) -> Any:
        x = tensor(b, self)
        if category(x.tensor.dtype) >= 2:
            return b.op(op, x)
        return b.op("full", shape=x.tensor.shape, value=integers, dtype=DType.bool)

    return row


def _activation(op: str, **attrs: Any) -> Row:
    return lambda b, self: b.op(op, floats(b, self), **attrs)


def _round(b: Builder, self: Any, decimals: int = 0) -> Any:
    if decimals:
        scale = 10.0**decimals
        return _div(b, _round(b, _mul(b, self, scale)), scale)
    return _rounding("round", round)(b, self)


def _elu(
    b: Builder, self: Any, alpha: Any = 1.0, scale: Any = 1.0, input_scale: Any = 1.0
) -> Value:
    """scale * (x if x > 0 else alpha * (exp(x * input_scale) - 1))."""
    x = floats(b, self)
    if scale == 1 and input_scale == 1:
        return b.op("elu", x, alpha=float(alpha))
    low = _scaled(b, b.op("expm1", _scaled(b, x, input_scale)), alpha)
    return _scaled(b, b.op("where", b.op("greater", x, 0), x, low), scale)


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
    return b.op("clip", tensor(b, self, dtype), cast(b, min, dtype), cast(b, max, dtype))


def maximum_of(a: Any, b: Any) -> Any:
    return maximum(a, b) if isinstance(a, Expr) or isinstance(b, Expr) else max(a, b)


def minimum_of(a: Any, b: Any) -> Any:
    return minimum(a, b) if isinstance(a, Expr) or isinstance(b, Expr) else min(a, b)


def _threshold(b: Builder, self: Any, threshold: Any, value: Any) -> Value:
    return b.op("where", b.op("greater", self, threshold), self, cast(b, value, self.tensor.dtype))


def _softplus(b: Builder, self: Any, beta: Any = 1, threshold: Any = 20) -> Value:
    """log(1 + exp(beta * x)) / beta; linear above the threshold.

    Above 15 the two differ by less than float32 holds.
    """
    x = floats(b, self)
    if beta == 1 and threshold >= 15:
        return b.op("softplus", x)
    scaled = _scaled(b, x, beta)
    soft = _div(b, b.op("softplus", scaled), beta) if beta != 1 else b.op("softplus", scaled)
    return b.op("where", b.op("greater", scaled, threshold), x, soft)


def _logit(b: Builder, self: Any, eps: Any = None) -> Value:
    x = floats(b, self)
    if eps is not None:
        x = b.op("clip", x, float(eps), 1 - float(eps))
    return b.op("log", b.op("divide", x, b.op("subtract", 1, x)))


def _erfc(b: Builder, self: Any) -> Value:
    return b.op("subtract", 1, b.op("erf", floats(b, self)))


def _sinc(b: Builder, self: Any) -> Value:
    x = b.op("multiply", floats(b, self), math.pi)
    return b.op("where", b.op("equal", x, 0), 1, b.op("divide", b.op("sin", x), x))


def _sgn(b: Builder, self: Any) -> Value:
    need(not self.tensor.dtype.is_complex, "sgn of complex numbers is not supported")
    return b.op("sign", self)


def _nan_to_num(
    b: Builder, self: Any, nan: Any = None, posinf: Any = None, neginf: Any = None
) -> Value:
    if category(self.tensor.dtype) < 2:
        return self
    import numpy as np

    limit = (
        float(np.finfo(self.tensor.dtype.numpy).max)
        if self.tensor.dtype is not DType.bf16
        else 3.3895313892515355e38
    )
    x = b.op("where", b.op("isnan", self), nan or 0.0, self)
    x = b.op("where", b.op("equal", x, math.inf), limit if posinf is None else posinf, x)
    return b.op("where", b.op("equal", x, -math.inf), -limit if neginf is None else neginf, x)


def _hypot(b: Builder, self: Any, other: Any) -> Value:
    left, right = promoted(b, self, other)
    return b.op("sqrt", b.op("add", b.op("square", left), b.op("square", right)))


def _copysign(b: Builder, self: Any, other: Any) -> Value:
    size = b.op("abs", floats(b, self))
    sign = b.op("less", other, 0) if not is_host(other) else other < 0
    return (
        (b.op("negative", size) if sign else size)
        if is_host(other)
        else b.op("where", sign, b.op("negative", size), size)
    )


def _logaddexp(b: Builder, self: Any, other: Any) -> Value:
    return b.op("logaddexp", *promoted(b, self, other))


def _heaviside(b: Builder, self: Any, values: Any) -> Value:
    step = cast(b, b.op("greater", self, 0), self.tensor.dtype)
    return b.op("where", b.op("equal", self, 0), values, step)


def _xlogy(b: Builder, self: Any, other: Any) -> Value:
    left, right = (
        cast(b, o, FLOAT) if category(result_type(self, other)) < 2 else o
        for o in promoted(b, self, other)
    )
    product = b.op("multiply", left, floats_log(b, right))
    zero = b.op("equal", left, 0) if not is_host(left) else None
    return product if zero is None else b.op("where", zero, 0, product)


def floats_log(b: Builder, x: Any) -> Any:
    return math.log(x) if is_host(x) else b.op("log", x)


# ---- sums of products


def _addcmul(b: Builder, self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Value:
    return _add(b, self, _scaled(b, _mul(b, tensor1, tensor2), value))


def _addcdiv(b: Builder, self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Value:
    return _add(b, self, _scaled(b, _div(b, tensor1, tensor2), value))


def _lerp(b: Builder, self: Any, end: Any, weight: Any) -> Value:
    return _add(b, self, _mul(b, weight, _sub(b, end, self)))


# ---- selection and casts


def _where(b: Builder, condition: Any, self: Any, other: Any) -> Value:
    dtype = result_type(self, other)
    left, right = cast(b, self, dtype), cast(b, other, dtype)
    if is_host(left) and is_host(right):
        left = tensor(b, left, dtype)
    return b.op("where", _truth(b, condition), left, right)


def _masked_fill(b: Builder, self: Any, mask: Any, value: Any) -> Value:
    return b.op("where", _truth(b, mask), cast(b, value, self.tensor.dtype), self)


def _identity(b: Builder, self: Any, *unused: Any, **options: Any) -> Any:
    return self


def _to_dtype(
    b: Builder, self: Any, dtype: DType | None = None, *unused: Any, **options: Any
) -> Any:
    return cast(b, self, dtype)


def _to_device(
    b: Builder, self: Any, *args: Any, dtype: DType | None = None, **options: Any
) -> Any:
    """Devices are dropped; a dtype may stand among the arguments."""
    found = next((a for a in args if isinstance(a, DType)), dtype)
    return cast(b, self, found)


def _to_other(b: Builder, self: Any, other: Any, *unused: Any, **options: Any) -> Any:
    return cast(b, self, other.tensor.dtype if isinstance(other, Value) else None)


def _copy(b: Builder, self: Any, src: Any, *unused: Any, **options: Any) -> Value:
    """`self` overwritten by `src`, at the type and shape of `self`."""
    shape = self.tensor.shape
    src = tensor(b, src, self.tensor.dtype)
    return src if src.tensor.shape == shape else b.op("broadcast_to", src, shape=shape)


def _fill(b: Builder, self: Any, value: Any) -> Value:
    if is_host(value):
        return b.op("full", shape=self.tensor.shape, value=value, dtype=self.tensor.dtype)
    return _copy(b, self, value)


def _bucketize(
    b: Builder, self: Any, boundaries: Value, *, out_int32: bool = False, right: bool = False
) -> Value:
    return _searchsorted(b, boundaries, self, out_int32=out_int32, right=right)


def _isin(
    b: Builder, elements: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False
) -> Value:
    x, tests = promoted(b, tensor(b, elements), tensor(b, test_elements))
    if tests.tensor.rank > 1:
        tests = b.op("reshape", tests, shape=(_size(tests),))
    if tests.tensor.rank:
        x = expand_dims(b, x, x.tensor.rank)
        found = b.op("any", b.op("equal", x, tests), axes=(x.tensor.rank - 1,))
    else:
        found = b.op("equal", x, tests)
    return b.op("invert", found) if invert else found


def _size(x: Value) -> int | Expr:
    from ..ir.dims import product

    return product(x.tensor.shape)


def _real_functions() -> dict[str, Row]:
    """Functions of a real argument: ATen's name, the IR's, Python's."""
    names = {
        "exp": "exp",
        "expm1": "expm1",
        "log": "log",
        "log2": "log2",
        "log10": "log10",
        "log1p": "log1p",
        "sqrt": "sqrt",
        "sin": "sin",
        "cos": "cos",
        "tan": "tan",
        "sinh": "sinh",
        "cosh": "cosh",
        "tanh": "tanh",
        "asin": "arcsin",
        "acos": "arccos",
        "atan": "arctan",
        "asinh": "arcsinh",
        "acosh": "arccosh",
        "atanh": "arctanh",
        "erf": "erf",
    }
    aliases = {
        "arcsin": "asin",
        "arccos": "acos",
        "arctan": "atan",
        "arcsinh": "asinh",
        "arccosh": "acosh",
        "arctanh": "atanh",
        "special_erf": "erf",
        "special_expm1": "expm1",
        "special_log1p": "log1p",
    }
    rows = {
        name: _function(op, getattr(math, name))
        for name, op in names.items()
        if hasattr(math, name)
    }
    return {**rows, **{alias: rows[name] for alias, name in aliases.items()}}


_sigmoid = _function("sigmoid", lambda x: 1 / (1 + math.exp(-x)))
_negative = _unary("negative", operator.neg)
_floor, _ceil, _trunc = (_rounding(n, getattr(math, n)) for n in ("floor", "ceil", "trunc"))
_true_divide = _div
_eq, _ne = _compare("equal", operator.eq), _compare("not_equal", operator.ne)
_lt, _le = _compare("less", operator.lt), _compare("less_equal", operator.le)
_gt, _ge = _compare("greater", operator.gt), _compare("greater_equal", operator.ge)
_and, _or, _xor = (
    _bitwise(f"bitwise_{n}", getattr(operator, f"{n}_" if n != "xor" else n))
    for n in ("and", "or", "xor")
)
_maximum, _minimum = _extreme("maximum", maximum_of), _extreme("minimum", minimum_of)
_clamp_min: Row = lambda b, self, min: _clamp(b, self, min, None)  # noqa: E731
_clamp_max: Row = lambda b, self, max: _clamp(b, self, None, max)  # noqa: E731
_hardtanh: Row = lambda b, self, min_val=-1, max_val=1: _clamp(b, self, min_val, max_val)  # noqa: E731

ROWS: dict[str, Row] = {
    "add": _add,
    "sub": _sub,
    "subtract": _sub,
    "rsub": _rsub,
    "mul": _mul,
    "multiply": _mul,
    "div": _div,
    "divide": _div,
    "true_divide": _true_divide,
    "floor_divide": _floor_divide,
    "remainder": _binary("remainder", operator.mod),
    "fmod": _fmod,
    "pow": _pow,
    "float_power": lambda b, self, exponent: _pow(
        b, cast(b, self, DType.f64), cast(b, exponent, DType.f64)
    ),
    "atan2": lambda b, self, other: b.op(
        "arctan2", *(floats(b, o) for o in promoted(b, self, other))
    ),
    "eq": _eq,
    "ne": _ne,
    "not_equal": _ne,
    "lt": _lt,
    "less": _lt,
    "le": _le,
    "less_equal": _le,
    "gt": _gt,
    "greater": _gt,
    "ge": _ge,
    "greater_equal": _ge,
    "maximum": _maximum,
    "minimum": _minimum,
    "max.other": _maximum,
    "min.other": _minimum,
    "fmax": _maximum,
    "fmin": _minimum,
    "bitwise_and": _and,
    "bitwise_or": _or,
    "bitwise_xor": _xor,
    "__and__": _and,
    "__or__": _or,
    "__xor__": _xor,
    "bitwise_left_shift": _binary("left_shift", operator.lshift),
    "__lshift__": _binary("left_shift", operator.lshift),
    "bitwise_right_shift": _binary("right_shift", operator.rshift),
    "__rshift__": _binary("right_shift", operator.rshift),
    "bitwise_not": _unary("invert", operator.invert),
    "logical_not": _logical_not,
    "logical_and": _logical("bitwise_and", lambda a, b: a and b),
    "logical_or": _logical("bitwise_or", lambda a, b: a or b),
    "logical_xor": _logical("bitwise_xor", operator.ne),
    "neg": _negative,
    "negative": _negative,
    "positive": _identity,
    "sign": _unary("sign", lambda x: (x > 0) - (x < 0)),
    "sgn": _sgn,
    "floor": _floor,
    "ceil": _ceil,
    "trunc": _trunc,
    "fix": _trunc,
    "round": _round,
    "frac": lambda b, self: b.op("subtract", self, b.op("trunc", self)),
    "square": lambda b, self: _pow(b, self, 2),
    "isnan": _test("isnan", False),
    "isinf": _test("isinf", False),
    "isfinite": _test("isfinite", True),
    **_real_functions(),
    "exp2": lambda b, self: b.op("power", 2.0, floats(b, self)),
    "rsqrt": _function("rsqrt", lambda x: x**-0.5),
    "reciprocal": _function("reciprocal", lambda x: 1 / x),
    "sigmoid": _sigmoid,
    "special_expit": _sigmoid,
    "logit": _logit,
    "special_logit": _logit,
    "erfc": _erfc,
    "erfinv": _activation("erfinv"),
    "special_erfc": _erfc,
    "special_erfinv": _activation("erfinv"),
    "sinc": _sinc,
    "special_sinc": _sinc,
    "nan_to_num": _nan_to_num,
    "hypot": _hypot,
    "copysign": _copysign,
    "logaddexp": _logaddexp,
    "heaviside": _heaviside,
    "xlogy": _xlogy,
    "special_xlogy": _xlogy,
    "deg2rad": lambda b, self: b.op("multiply", floats(b, self), math.pi / 180),
    "rad2deg": lambda b, self: b.op("multiply", floats(b, self), 180 / math.pi),
    "relu": _unary("relu", lambda x: max(x, 0)),
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
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
    "where": _where,
    "masked_fill": _masked_fill,
    "to.dtype": _to_dtype,
    "to.device": _to_device,
    "to.dtype_layout": _to_device,
    "to.other": _to_other,
    "to.prim_dtype": _to_dtype,
    "to.prim_Device": _to_device,
    "to.prim_other": _to_device,
    "type_as": _to_other,
    "_to_copy": _to_device,
    "_autocast_to_full_precision": lambda b, self, *unused: self,
    "_autocast_to_reduced_precision": lambda b, self, *unused: self,
    "copy": _copy,
    "fill": _fill,
    **dict.fromkeys(
        (
            "alias",
            "clone",
            "contiguous",
            "detach",
            "lift_fresh",
            "lift_fresh_copy",
            "lift",
            "cpu",
            "cuda",
            "requires_grad_",
            "detach_copy",
            "alias_copy",
            "_conj_physical",
            "resolve_conj",
            "resolve_neg",
            "data",
            "pin_memory",
        ),
        _identity,
    ),
    "dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "feature_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "alpha_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "feature_alpha_dropout": lambda b, input, p, train: _dropout(b, input, p, train),
    "native_dropout": lambda b, input, p, train: (
        _dropout(b, input, p, train),
        b.op("full", shape=input.tensor.shape, value=True, dtype=DType.bool),
    ),
    "bucketize": _bucketize,
    "isin": _isin,
    "searchsorted": lambda b, sorted_sequence, self, **o: _searchsorted(
        b, sorted_sequence, self, **o
    ),
}


def _dropout(b: Builder, input: Value, p: float, train: bool | None) -> Value:
    need(
        not train or p == 0,
        "dropout in training mode",
        "call model.eval() before the model is captured",
    )
    return input


def _searchsorted(
    b: Builder,
    sorted_sequence: Value,
    self: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Value:
    need(sorter is None, "searchsorted with a sorter", "sort the sequence first")
    values, edges = promoted(b, tensor(b, self), sorted_sequence)
    dtype = DType.i32 if out_int32 else DType.i64
    return b.op("searchsorted", edges, values, right=right or side == "right", dtype=dtype)
