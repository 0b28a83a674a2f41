"""Rules of the index analysis: arithmetic, comparisons, logic, casts, choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import DType, Node, Value
from ..ir.dims import Expr, floordiv, maximum, minimum
from ..ir.graph import Operand
from .index_terms import (
    FORMULAS,
    Choice,
    Dim,
    Formula,
    Sum,
    TooLarge,
    added,
    at_least_zero,
    choose,
    every,
    holds,
    is_zero,
    leaves_of,
    negate,
    own,
    some,
    spread,
)

Rule = Callable[[Any, Node, int], Any]


# ---- elementwise ops


def _aligned(analysis: Any, operand: Operand, shape: tuple[Dim, ...]) -> Any:
    """The operand's element at the indices of a result that it broadcasts to."""
    if not isinstance(operand, Value):
        return operand
    at = own(shape)[len(shape) - operand.tensor.rank :]
    return analysis.read(operand, at, shape)


def _operands(analysis: Any, node: Node) -> list[Any]:
    return [_aligned(analysis, o, node.out.tensor.shape) for o in node.operands]


def _elementwise(function: Callable[[Node, list[Any]], Any]) -> Rule:
    return lambda analysis, node, _: function(node, _operands(analysis, node))


def _dtype(node: Node) -> DType:
    """The type of the operands that are tensors."""
    return node.values[-1].tensor.dtype


def _is_known(number: Any) -> bool:
    """Whether a float is a number or a choice of numbers, not data."""
    if isinstance(number, Choice):
        return _is_known(number.yes) and _is_known(number.no)
    return isinstance(number, bool | int | float | Expr)


def _in_range(number: Any, dtype: DType) -> bool:
    """Whether the numbers that are known fit the integer type."""
    if isinstance(number, Choice):
        return _in_range(number.yes, dtype) and _in_range(number.no, dtype)
    if not isinstance(number, int) or not dtype.is_integer:
        return True
    info = np.iinfo(dtype.numpy)
    return bool(info.min <= number <= info.max)


def _computed(node: Node, numbers: list[Any], whole: Callable[..., Any]) -> Any:
    """Arithmetic: on integers by `whole`, on floats where all are numbers, as the op does it."""
    dtype = _dtype(node)
    if dtype in (DType.i32, DType.i64):
        result = spread(whole, *numbers)
        return result if result is not None and _in_range(result, dtype) else None
    if not dtype.is_float or not all(map(_is_known, numbers)):
        return None
    result = spread(lambda *xs: _rounded(node, dtype, xs), *numbers)
    return result if all(x is not None for x in leaves_of(result)) else None


def _rounded(node: Node, dtype: DType, numbers: tuple[Any, ...]) -> Any:
    """The op on numbers in its own type: finfo.min + finfo.min is -inf. Positions are exact."""
    if any(isinstance(x, Expr) for x in numbers):
        exact = dtype in (DType.f32, DType.f64) and all(
            float(x).is_integer() for x in numbers if not isinstance(x, Expr)
        )
        whole = _WHOLE.get(node.op)
        return (
            whole(*(x if isinstance(x, Expr) else int(x) for x in numbers))
            if exact and whole
            else None
        )
    with np.errstate(all="ignore"):
        result = node.row.evaluate([np.asarray(x, dtype.numpy) for x in numbers], node.attrs)[0]
    return None if np.isnan(result) else float(result)


def _arithmetic(whole: Callable[..., Any]) -> Rule:
    return _elementwise(lambda node, numbers: _computed(node, numbers, whole))


def _times(a: Any, b: Any) -> Any:
    if isinstance(a, Sum) or isinstance(b, Sum):
        return None
    return a * b


def _extreme(of: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *xs: None if any(isinstance(x, Sum) for x in xs) else of(*xs)


def _divided(a: Any, b: Any) -> Any:
    plain = isinstance(a, int | Expr) and isinstance(b, int) and b > 0
    return floordiv(a, b) if plain else None


def _remainder(a: Any, b: Any) -> Any:
    plain = isinstance(a, int | Expr) and isinstance(b, int) and b > 0
    return a - b * floordiv(a, b) if plain else None


def _absolute(a: Any) -> Any:
    return None if isinstance(a, Sum) else maximum(a, -a) if isinstance(a, Expr) else abs(a)


_WHOLE: dict[str, Callable[..., Any]] = {
    "add": added,
    "subtract": lambda a, b: added(a, b, -1),
    "multiply": _times,
    "negative": lambda a: added(0, a, -1),
    "abs": _absolute,
    "maximum": _extreme(maximum),
    "minimum": _extreme(minimum),
    "floor_divide": _divided,
    "remainder": _remainder,
}


def _none_safe(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numbers that gives data (TooLarge) instead of None inside choices."""

    def run(*numbers: Any) -> Any:
        result = function(*numbers)
        if result is None:
            raise TooLarge
        return result

    return run


# ---- comparisons, logic, casts, choices

_TESTS: dict[str, Callable[[Any, Any], Formula]] = {
    "equal": lambda d, s: is_zero(d, s),
    "not_equal": lambda d, s: negate(is_zero(d, s)),
    "less": lambda d, s: at_least_zero(-d - 1, s),
    "less_equal": lambda d, s: at_least_zero(-d, s),
    "greater": lambda d, s: at_least_zero(d - 1, s),
    "greater_equal": lambda d, s: at_least_zero(d, s),
}
_PLAIN: dict[str, Callable[[Any, Any], bool]] = {
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
}


def _compare(node: Node, numbers: list[Any]) -> Any:
    """The comparison of two numbers as a formula; None where data decides it."""
    a, b = numbers
    if isinstance(a, FORMULAS) and isinstance(b, FORMULAS):
        return _same_truth(node.op, a, b)
    if isinstance(a, FORMULAS) or isinstance(b, FORMULAS):
        return None
    shape = node.out.tensor.shape
    return _compared(node.op, a, b, shape)


def _compared(op: str, a: Any, b: Any, shape: tuple[Dim, ...]) -> Any:
    for side, other, turned in ((a, b, False), (b, a, True)):
        if isinstance(side, Choice):
            parts = [
                _compared(op, other, x, shape) if turned else _compared(op, x, other, shape)
                for x in (side.yes, side.no)
            ]
            if parts[0] is None or parts[1] is None:
                return None
            return some(every(side.condition, parts[0]), every(negate(side.condition), parts[1]))
    if isinstance(a, float) or isinstance(b, float):
        return _compared_floats(op, a, b, shape)
    if _reads_floats(a) or _reads_floats(b):
        return None  # NaN is not equal to itself
    difference = added(a, b, -1)
    return None if isinstance(difference, Sum) else _TESTS[op](difference, shape)


def _reads_floats(number: Any) -> bool:
    return isinstance(number, Sum) and any(
        not read.value.tensor.dtype.is_integer for read, _ in number.reads
    )


def _compared_floats(op: str, a: Any, b: Any, shape: tuple[Dim, ...]) -> Any:
    """Numbers, or positions as floats against a whole number."""
    if isinstance(a, Sum) or isinstance(b, Sum):
        return None
    if isinstance(a, Expr) or isinstance(b, Expr):
        if any(isinstance(x, float) and not x.is_integer() for x in (a, b)):
            return None
        whole = [int(x) if isinstance(x, float) else x for x in (a, b)]
        return _compared(op, whole[0], whole[1], shape)
    return _PLAIN[op](a, b)


def _same_truth(op: str, a: Formula, b: Formula) -> Any:
    if op not in ("equal", "not_equal"):
        return None
    same = some(every(a, b), every(negate(a), negate(b)))
    return same if op == "equal" else negate(same)


def _logic(kind: str) -> Rule:
    def rule(node: Node, terms: list[Any]) -> Any:
        if not all(isinstance(t, FORMULAS) for t in terms):
            return None
        return every(*terms) if kind == "and" else some(*terms)

    return _elementwise(rule)


def _exclusive(node: Node, terms: list[Any]) -> Any:
    return _same_truth("not_equal", *terms) if all(isinstance(t, FORMULAS) for t in terms) else None


def _invert(node: Node, terms: list[Any]) -> Any:
    return negate(terms[0]) if isinstance(terms[0], FORMULAS) else None


def _where(node: Node, terms: list[Any]) -> Any:
    condition, yes, no = terms
    if node.out.tensor.dtype is DType.bool:
        return some(every(condition, yes), every(negate(condition), no))
    if node.out.tensor.dtype.is_float:
        yes, no = (float(x) if isinstance(x, int) else x for x in (yes, no))
        return _number(node, choose(condition, yes, no))
    return choose(condition, yes, no)


def _number(node: Node, number: Any) -> Any:
    """Floats rounded to the result's type."""
    dtype = node.out.tensor.dtype.numpy
    with np.errstate(all="ignore"):
        return spread(lambda x: float(np.asarray(x, dtype)) if isinstance(x, float) else x, number)


def _cast(node: Node, terms: list[Any]) -> Any:
    (term,) = terms
    source, target = node.type(0).dtype, node["dtype"]
    if source is DType.bool:
        if target is DType.bool:
            return term
        kind = float if target.is_float else int
        return choose(term, kind(1), kind(0))
    if target is DType.bool:
        return _nonzero(term, node.out.tensor.shape)
    if target.is_integer:
        return _as_integer(term, target)
    return _as_float(node, term, target) if target.is_float else None


def _nonzero(number: Any, shape: tuple[Dim, ...]) -> Any:
    if any(isinstance(x, Sum) for x in leaves_of(number)):
        return None
    return holds(
        lambda x: x != 0 if isinstance(x, float | int) else negate(is_zero(x, shape)), number
    )


def _as_integer(number: Any, target: DType) -> Any:
    leaves = leaves_of(number)
    if target not in (DType.i32, DType.i64) and not all(isinstance(x, int) for x in leaves):
        return None
    if any(isinstance(x, float) and not abs(x) < 2**31 for x in leaves):
        return None
    if any(
        isinstance(x, Sum) and any(r.value.tensor.dtype.is_float for r, _ in x.reads)
        for x in leaves
    ):
        return None
    number = spread(lambda x: int(x) if isinstance(x, float) else x, number)
    return number if _in_range(number, target) else None


def _as_float(node: Node, number: Any, target: DType) -> Any:
    leaves = leaves_of(number)
    if any(isinstance(x, Sum) for x in leaves):
        return None
    if any(isinstance(x, Expr) for x in leaves) and target not in (DType.f32, DType.f64):
        return None
    return _number(node, spread(lambda x: float(x) if isinstance(x, int) else x, number))


ARITHMETIC: dict[str, Rule] = {
    **{op: _arithmetic(_none_safe(whole)) for op, whole in _WHOLE.items()},
    **{op: _elementwise(_compare) for op in _TESTS},
    "bitwise_and": _logic("and"),
    "bitwise_or": _logic("or"),
    "bitwise_xor": _elementwise(_exclusive),
    "invert": _elementwise(_invert),
    "where": _elementwise(_where),
    "cast": _elementwise(_cast),
}
