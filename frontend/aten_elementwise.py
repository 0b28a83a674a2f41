"""ATen rows: arithmetic, comparison, logic, functions of one tensor, casts, selection."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, floordiv, maximum, minimum
from .aten_common import Row, floats, need, tensor
from .promotion import FLOAT, as_float, cast, category, is_host, promoted, result_type


def _binary(op: str, host: Callable[[Any, Any], Any]) -> Row:
    """Promote and apply; scalars alone are computed on the host."""

    def row(b: Builder, self: Any, other: Any) -> Any:
        if is_host(self) and is_host(other):
            return host(self, other)
        return b.op(op, *promoted(b, self, other))

    return row


_multiply_numbers = _binary("multiply", operator.mul)


def multiply(b: Builder, self: Any, other: Any) -> Any:
    return _both_boolean(b, "bitwise_and", self, other) or _multiply_numbers(b, self, other)


def _both_boolean(b: Builder, op: str, *operands: Any) -> Value | None:
    """Sums and products of booleans are logical."""
    if all(is_host(o) for o in operands) or result_type(*operands) is not DType.bool:
        return None
    return b.op(op, *operands)


def scaled(b: Builder, x: Any, alpha: Any) -> Any:
    """`alpha * x`; alpha arrives as 1 almost always."""
    return x if alpha == 1 else x * alpha if is_host(x) else multiply(b, x, alpha)


def add(b: Builder, self: Any, other: Any, alpha: Any = 1) -> Any:
    logical = _both_boolean(b, "bitwise_or", self, other)
    return logical or _binary("add", operator.add)(b, self, scaled(b, other, alpha))


def _sub(b: Builder, self: Any, other: Any, alpha: Any = 1) -> Any:
    return _binary("subtract", operator.sub)(b, self, scaled(b, other, alpha))


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


def divide(b: Builder, self: Any, other: Any, rounding_mode: str | None = None) -> Any:
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


def truth(b: Builder, x: Any) -> Any:
    """Non-zero as a boolean."""
    if is_host(x):
        return bool(x)
    return x if x.tensor.dtype is DType.bool else b.op("not_equal", x, 0)


def _logical(op: str, host: Callable[[Any, Any], Any]) -> Row:
    def row(b: Builder, self: Any, other: Any) -> Any:
        left, right = truth(b, self), truth(b, other)
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


def unary(op: str, host: Callable[[Any], Any]) -> Row:
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


def _round(b: Builder, self: Any, decimals: int = 0) -> Any:
    if decimals:
        scale = 10.0**decimals
        return divide(b, _round(b, multiply(b, self, scale)), scale)
    return _rounding("round", round)(b, self)


def maximum_of(a: Any, b: Any) -> Any:
    return maximum(a, b) if isinstance(a, Expr) or isinstance(b, Expr) else max(a, b)


def minimum_of(a: Any, b: Any) -> Any:
    return minimum(a, b) if isinstance(a, Expr) or isinstance(b, Expr) else min(a, b)


def _logit(b: Builder, self: Any, eps: Any = None) -> Value:
    x = floats(b, self)
    if eps is not None:
        x = b.op("clip", x, float(eps), 1 - float(eps))
    return b.op("log", b.op("divide", x, b.op("subtract", 1, x)))


def _erfc(b: Builder, self: Any) -> Value:
    return b.op("subtract", 1, b.op("erf", floats(b, self)))


def _gamma(op: str) -> Row:
    return lambda b, self: b.op(op, floats(b, self))


def _erfinv(b: Builder, self: Any) -> Value:
    return b.op("erfinv", floats(b, self))


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


def _addcmul(b: Builder, self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Value:
    return add(b, self, scaled(b, multiply(b, tensor1, tensor2), value))


def _addcdiv(b: Builder, self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Value:
    return add(b, self, scaled(b, divide(b, tensor1, tensor2), value))


def _lerp(b: Builder, self: Any, end: Any, weight: Any) -> Value:
    return add(b, self, multiply(b, weight, _sub(b, end, self)))


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


_negative = unary("negative", operator.neg)


_floor, _ceil, _trunc = (_rounding(n, getattr(math, n)) for n in ("floor", "ceil", "trunc"))


_true_divide = divide


_eq, _ne = _compare("equal", operator.eq), _compare("not_equal", operator.ne)


_lt, _le = _compare("less", operator.lt), _compare("less_equal", operator.le)


_gt, _ge = _compare("greater", operator.gt), _compare("greater_equal", operator.ge)


_and, _or, _xor = (
    _binary(f"bitwise_{n}", getattr(operator, f"{n}_" if n != "xor" else n))
    for n in ("and", "or", "xor")
)


_maximum, _minimum = _binary("maximum", maximum_of), _binary("minimum", minimum_of)


ROWS: dict[str, Row] = {
    "add": add,
    "sub": _sub,
    "subtract": _sub,
    "rsub": _rsub,
    "mul": multiply,
    "multiply": multiply,
    "div": divide,
    "divide": divide,
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
    "bitwise_not": unary("invert", operator.invert),
    "logical_not": _logical_not,
    "logical_and": _logical("bitwise_and", lambda a, b: a and b),
    "logical_or": _logical("bitwise_or", lambda a, b: a or b),
    "logical_xor": _logical("bitwise_xor", operator.ne),
    "neg": _negative,
    "negative": _negative,
    "sign": unary("sign", lambda x: (x > 0) - (x < 0)),
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
    "erfinv": _erfinv,
    "special_erfc": _erfc,
    "special_erfinv": _erfinv,
    "sinc": _sinc,
    "special_sinc": _sinc,
    "nan_to_num": _nan_to_num,
    "hypot": _hypot,
    "isposinf": lambda b, self: _eq(b, self, math.inf),
    "isneginf": lambda b, self: _eq(b, self, -math.inf),
    "ldexp.Tensor": lambda b, self, other: multiply(b, self, _pow(b, 2.0, other)),
    "lgamma": _gamma("lgamma"),
    "special_gammaln": _gamma("lgamma"),
    "digamma": _gamma("digamma"),
    "special_digamma": _gamma("digamma"),
    "special_exp2": lambda b, self: b.op("power", 2.0, floats(b, self)),
    "special_round": lambda b, self, *, decimals=0: _round(b, self, decimals),
    "copysign": _copysign,
    "logaddexp": _logaddexp,
    "heaviside": _heaviside,
    "xlogy": _xlogy,
    "special_xlogy": _xlogy,
    "deg2rad": lambda b, self: b.op("multiply", floats(b, self), math.pi / 180),
    "rad2deg": lambda b, self: b.op("multiply", floats(b, self), 180 / math.pi),
    "addcmul": _addcmul,
    "addcdiv": _addcdiv,
    "lerp": _lerp,
}
