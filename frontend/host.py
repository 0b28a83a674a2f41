"""What a walk computes on the host: 0-d tensors made of numbers and sizes, and arithmetic on sizes.

Sizes never become nodes: a chain such as `x.shape[1] // 2 + 1`, which a trace holds as operations
on 0-d tensors, is evaluated to a dim while walking.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import DType
from ..ir.dims import Expr, bounds, floordiv, maximum, minimum


@dataclass(frozen=True)
class Scalar:
    """A 0-d tensor whose value the walk knows."""

    value: Any
    dtype: DType


@dataclass(frozen=True)
class Ratio:
    """A quotient of sizes that has not been rounded yet."""

    over: Any
    under: Any


@dataclass(frozen=True)
class Condition:
    """A comparison of sizes that is true for some sizes and false for others.

    `tree` is (symbol, left, right), ("not", condition), or ("and" / "or", condition, condition).
    """

    text: str
    dims: tuple[Any, ...]
    tree: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.text


class NotHost(Exception):
    """The values do not allow this operation on the host."""


def is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | complex | Expr | Ratio)


def truediv(a: Any, b: Any) -> Any:
    """`a / b`; a quotient of sizes stays exact until it is rounded."""
    if isinstance(a, Ratio):
        return _ratio(a.over, a.under * b) if isinstance(b, int | Expr) else _no("/", a, b)
    if isinstance(b, float) and b == int(b) and isinstance(a, Expr):
        b = int(b)
    if isinstance(a, Expr) or isinstance(b, Expr):
        return (
            _ratio(a, b)
            if not isinstance(a, float) and not isinstance(b, float)
            else _no("/", a, b)
        )
    return a / b if b != 0 else _divided_by_zero(a)


def _ratio(over: Any, under: Any) -> Any:
    whole = floordiv(over, under)
    return whole if whole * under == over else Ratio(over, under)


def _divided_by_zero(a: Any) -> float:
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)


def _no(symbol: str, a: Any, b: Any) -> Any:
    raise NotHost(f"{a} {symbol} {b}")


def _arithmetic(symbol: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Sizes combine with integers and sizes; an integral float counts as an integer."""

    def run(a: Any, b: Any) -> Any:
        if isinstance(a, Ratio) or isinstance(b, Ratio):
            return _of_ratio(symbol, a, b)
        if isinstance(a, Expr) and isinstance(b, float):
            b = int(b) if b == int(b) else _no(symbol, a, b)
        if isinstance(b, Expr) and isinstance(a, float):
            a = int(a) if a == int(a) else _no(symbol, a, b)
        return function(a, b)

    return run


def _of_ratio(symbol: str, a: Any, b: Any) -> Any:
    """A ratio plus, minus or times an integral number or a size."""
    left = a if isinstance(a, Ratio) else Ratio(_whole(a), 1)
    right = b if isinstance(b, Ratio) else Ratio(_whole(b), 1)
    if symbol == "*":
        return _ratio(left.over * right.over, left.under * right.under)
    if symbol in "+-":
        sign = 1 if symbol == "+" else -1
        over = left.over * right.under + sign * right.over * left.under
        return _ratio(over, left.under * right.under)
    return _no(symbol, a, b)


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value == int(value) else _no("with", value, "a ratio of sizes")
    return value


def floor(a: Any) -> Any:
    if isinstance(a, Ratio):
        return floordiv(a.over, a.under)
    return a if isinstance(a, Expr) else math.floor(a)


def ceil(a: Any) -> Any:
    if isinstance(a, Ratio):
        if isinstance(a.under, int) and a.under > 0:
            return floordiv(a.over + a.under - 1, a.under)
        return -floordiv(-a.over, a.under)
    return a if isinstance(a, Expr) else math.ceil(a)


def to_int(a: Any) -> Any:
    """Rounds towards zero, as `int()` does."""
    if isinstance(a, Ratio):
        low, _ = bounds(a.over)
        return floor(a) if low is not None and low >= 0 else _no("to", a, "int")
    return a if isinstance(a, Expr) else int(a)


def to_float(a: Any) -> Any:
    return a if isinstance(a, Expr | Ratio) else float(a)


def floor_divide(a: Any, b: Any) -> Any:
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return floor(truediv(a, b)) if isinstance(a, Ratio) else _no("//", a, b)
    if isinstance(a, Expr) or isinstance(b, Expr):
        return floordiv(_whole(a), _whole(b))
    return a // b


def truncate_divide(a: Any, b: Any) -> Any:
    if isinstance(a, Expr | Ratio) or isinstance(b, Expr | Ratio):
        return to_int(truediv(a, b))
    quotient = (
        math.trunc(a / b) if isinstance(a, float) or isinstance(b, float) else abs(a) // abs(b)
    )
    if isinstance(a, float) or isinstance(b, float):
        return float(quotient)
    return quotient if (a < 0) == (b < 0) else -quotient


def divide(a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    rounding = {None: truediv, "floor": floor_divide, "trunc": truncate_divide}
    return rounding[rounding_mode](a, b)


def power(a: Any, b: Any) -> Any:
    if isinstance(a, Expr) and isinstance(b, int | float) and b == int(b) and b >= 0:
        out: Any = 1
        for _ in range(int(b)):
            out = out * a
        return out
    if isinstance(a, Expr | Ratio) or isinstance(b, Expr | Ratio):
        return _no("**", a, b)
    return a**b


def compare(symbol: str, a: Any, b: Any) -> Any:
    """True or False where all sizes agree, else a `Condition`."""
    if isinstance(a, Ratio) or isinstance(b, Ratio):
        return Condition(f"{a} {symbol} {b}", (a, b), (symbol, a, b))
    if not isinstance(a, Expr) and not isinstance(b, Expr):
        return _COMPARE[symbol](a, b)
    if isinstance(a, float) or isinstance(b, float):
        low, high = _float_bounds(a, b)
    else:
        low, high = bounds(a - b)
    for truth in (True, False):
        if _known(symbol, low, high) is truth:
            return truth
    return Condition(f"{a} {symbol} {b}", (a, b), (symbol, a, b))


def _float_bounds(a: Any, b: Any) -> tuple[float | None, float | None]:
    if isinstance(b, float):
        low, high = bounds(a)
        return None if low is None else low - b, None if high is None else high - b
    low, high = bounds(b)
    return None if high is None else a - high, None if low is None else a - low


def _known(symbol: str, low: float | None, high: float | None) -> bool | None:
    """The truth of `d symbol 0` for d in [low, high], where it is the same everywhere."""
    low_ = -math.inf if low is None else low
    high_ = math.inf if high is None else high
    match symbol:
        case "==" | "!=":
            equal = True if low_ == high_ == 0 else False if low_ > 0 or high_ < 0 else None
            return equal if symbol == "==" or equal is None else not equal
        case "<":
            return True if high_ < 0 else False if low_ >= 0 else None
        case "<=":
            return True if high_ <= 0 else False if low_ > 0 else None
        case ">":
            return True if low_ > 0 else False if high_ <= 0 else None
        case _:
            return True if low_ >= 0 else False if high_ < 0 else None


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def negate(condition: Any) -> Any:
    if isinstance(condition, Condition):
        return Condition(f"not ({condition})", condition.dims, ("not", condition))
    return not condition


def _comparison(symbol: str) -> Callable[[Any, Any], Any]:
    return lambda a, b: compare(symbol, a, b)


def both(a: Any, b: Any) -> Any:
    if isinstance(a, bool) and isinstance(b, bool):
        return a and b
    if isinstance(a, Condition) or isinstance(b, Condition):
        if a is False or b is False:
            return False
        if a is True or b is True:
            return b if a is True else a
        return Condition(f"({a}) and ({b})", _dims_of(a, b), ("and", a, b))
    return a & b


def either(a: Any, b: Any) -> Any:
    if isinstance(a, bool) and isinstance(b, bool):
        return a or b
    if isinstance(a, Condition) or isinstance(b, Condition):
        if a is True or b is True:
            return True
        if a is False or b is False:
            return b if a is False else a
        return Condition(f"({a}) or ({b})", _dims_of(a, b), ("or", a, b))
    return a | b


def _dims_of(*values: Any) -> tuple[Any, ...]:
    return tuple(d for v in values if isinstance(v, Condition) for d in v.dims)


def _real(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers proper: sizes do not go through it."""

    def run(*values: Any) -> Any:
        if any(isinstance(v, Expr | Ratio | Condition) for v in values):
            raise NotHost("a function of a size")
        return function(*values)

    return run


def _extreme(dims: Callable[..., Any], numbers: Callable[..., Any]) -> Callable[..., Any]:
    def run(*values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], list | tuple):
            values = tuple(values[0])
        if any(isinstance(v, Ratio) for v in values):
            raise NotHost("an extreme of ratios")
        return dims(*values) if any(isinstance(v, Expr) for v in values) else numbers(values)

    return run


def round_half_even(a: Any, decimals: int = 0) -> Any:
    if isinstance(a, Expr):
        return a
    return _no("round", a, decimals) if isinstance(a, Ratio) else float(round(a, decimals))


add = _arithmetic("+", operator.add)
subtract = _arithmetic("-", operator.sub)
multiply = _arithmetic("*", operator.mul)

# Arithmetic on Python numbers and sizes, under the names that ATen gives it.
NUMBERS: dict[str, Callable[..., Any]] = {
    "add": add, "sub": subtract, "mul": multiply, "div": divide, "true_divide": truediv,
    "floordiv": floor_divide, "floor_divide": floor_divide, "rsub": lambda a, b: subtract(b, a),
    "remainder": _arithmetic("%", operator.mod), "mod": _arithmetic("%", operator.mod),
    "fmod": _real(math.fmod),
    "neg": operator.neg, "pow": power, "abs": lambda a: a if isinstance(a, Expr) else abs(a),
    "floor": floor, "ceil": ceil, "trunc": to_int, "round": round_half_even,
    "eq": _comparison("=="), "ne": _comparison("!="), "lt": _comparison("<"),
    "le": _comparison("<="), "gt": _comparison(">"), "ge": _comparison(">="),
    "max": _extreme(maximum, max), "min": _extreme(minimum, min),
    "maximum": _extreme(maximum, max), "minimum": _extreme(minimum, min),
    "logical_not": negate, "logical_and": both, "logical_or": either,
    "__and__": both, "__or__": either, "bitwise_and": both, "bitwise_or": either,
    "bitwise_not": operator.invert,
    "__xor__": operator.xor, "__lshift__": operator.lshift, "__rshift__": operator.rshift,
    "sqrt": _real(math.sqrt), "rsqrt": _real(lambda a: 1 / math.sqrt(a)), "exp": _real(math.exp),
    "log": _real(math.log), "log2": _real(math.log2), "log10": _real(math.log10),
    "log1p": _real(math.log1p), "sin": _real(math.sin), "cos": _real(math.cos),
    "tan": _real(math.tan), "tanh": _real(math.tanh),
    "reciprocal": lambda a: truediv(1, a), "square": lambda a: multiply(a, a),
}  # fmt: skip

_BOOLEAN = frozenset(
    {"eq", "ne", "lt", "le", "gt", "ge", "logical_not", "logical_and", "logical_or"}
)
_FLOATING = frozenset(
    {
        "true_divide",
        "sqrt",
        "rsqrt",
        "exp",
        "log",
        "log2",
        "log10",
        "log1p",
        "sin",
        "cos",
        "tan",
        "tanh",
        "reciprocal",
    }
)


def on_scalars(name: str, values: list[Any], kwargs: dict[str, Any]) -> Scalar:
    """An op whose tensors are all host scalars; NotHost where it has no rule here."""
    function = NUMBERS.get(name)
    if function is None or any(
        not is_number(v.value if isinstance(v, Scalar) else v) for v in values
    ):
        raise NotHost(name)
    result = function(*(v.value if isinstance(v, Scalar) else v for v in values), **kwargs)
    return rounded(Scalar(result, _result_dtype(name, values, kwargs)))


def _result_dtype(name: str, values: list[Any], kwargs: dict[str, Any]) -> DType:
    if name in _BOOLEAN:
        return DType.bool
    dtype = promote(values)
    floating = name in _FLOATING or (name == "div" and kwargs.get("rounding_mode") is None)
    return DType.f32 if floating and not (dtype.is_float or dtype.is_complex) else dtype


def promote(values: list[Any]) -> DType:
    """The common type of 0-d tensors and Python numbers: a number only lifts the category."""
    tensors = [v.dtype for v in values if isinstance(v, Scalar)]
    best = max(tensors, key=lambda d: (category(d), _WIDTH[d]))
    numbers = [v for v in values if not isinstance(v, Scalar)]
    if any(isinstance(n, float | Ratio) for n in numbers) and category(best) < 2:
        return DType.f32
    if best is DType.bool and any(
        isinstance(n, int | Expr) and not isinstance(n, bool) for n in numbers
    ):
        return DType.i64
    return best


def category(dtype: DType) -> int:
    """0 boolean, 1 integer, 2 floating point, 3 complex."""
    return 0 if dtype is DType.bool else 1 if dtype.is_integer else 2 if dtype.is_float else 3


_WIDTH = {d: i for i, d in enumerate(DType)}


def rounded(scalar: Scalar) -> Scalar:
    """The value as its type holds it: float32 results are rounded as torch rounds them."""
    value, dtype = scalar.value, scalar.dtype
    if isinstance(value, float | int) and not isinstance(value, bool):
        if dtype in (DType.f32, DType.f16):
            value = float(np.asarray(value, dtype.numpy))
        elif dtype is DType.f64:
            value = float(value)
        elif dtype.is_integer:
            value = int(value)
    return Scalar(value, dtype)


def cast(scalar: Scalar, dtype: DType) -> Scalar:
    """The 0-d tensor in another element type."""
    value = scalar.value
    if dtype is DType.bool:
        value = compare("!=", value, 0) if not isinstance(value, bool | Condition) else value
    elif dtype.is_integer:
        value = to_int(value)
    elif dtype.is_float:
        value = to_float(value)
    return rounded(Scalar(value, dtype))


def as_scalar(value: Any) -> Scalar:
    """A Python number as the 0-d tensor that torch makes of it."""
    if isinstance(value, bool | Condition):
        return Scalar(value, DType.bool)
    if isinstance(value, float | Ratio):
        return Scalar(value, DType.f32)
    return Scalar(value, DType.i64)
