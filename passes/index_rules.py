"""Rules of the index analysis: how an op's elements follow from its operands' elements.

A rule is `(analysis, node, result) -> Term | None`; None says that the elements are data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ir import DType, Node, Value
from ..ir.dims import Expr, floordiv, maximum, minimum, product, provably_le
from ..ir.graph import Operand, Param
from ..ir.ops_shape import slice_range
from ..ir.recipe import Constant
from .index_terms import (
    Both,
    Choice,
    Compare,
    Dim,
    Formula,
    Not,
    Number,
    Read,
    Sum,
    Term,
    added,
    at_least_zero,
    choose,
    every,
    holds,
    index,
    is_zero,
    negate,
    never_negative,
    own,
    some,
    spread,
)

if TYPE_CHECKING:
    from .index_analysis import Analysis

Rule = Callable[["Analysis", Node, int], Term | None]
_FORMULAS = (bool, Compare, Read, Not, Both)


# ---- elementwise ops


def _aligned(analysis: Analysis, operand: Operand, shape: tuple[Dim, ...]) -> Any:
    """The operand's element at the indices of a result that it broadcasts to."""
    if not isinstance(operand, Value):
        return operand
    at = own(shape)[len(shape) - operand.tensor.rank :]
    return analysis.read(operand, at, shape)


def _operands(analysis: Analysis, node: Node) -> list[Any]:
    return [_aligned(analysis, o, node.out.tensor.shape) for o in node.operands]


def _elementwise(function: Callable[[Node, list[Any]], Term | None]) -> Rule:
    return lambda analysis, node, _: function(node, _operands(analysis, node))


def _whole(node: Node) -> bool:
    """Whether the node computes on integers wide enough for positions."""
    return node.type(0).dtype in (DType.i32, DType.i64) if _typed(node) else False


def _typed(node: Node) -> bool:
    return isinstance(node.operands[0], Value)


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


def _computed(node: Node, numbers: list[Any], whole: Callable[..., Any]) -> Number | None:
    """Arithmetic: on integers by `whole`, on floats where all are numbers, as the op does it."""
    dtype = _dtype(node)
    if dtype in (DType.i32, DType.i64):
        result = spread(whole, *numbers)
        return result if result is not None and _in_range(result, dtype) else None
    if not dtype.is_float or not all(map(_is_known, numbers)):
        return None
    result = spread(lambda *xs: _rounded(node, dtype, xs), *numbers)
    return result if all(x is not None for x in _leaves(result)) else None


def _leaves(number: Any) -> list[Any]:
    return [*_leaves(number.yes), *_leaves(number.no)] if isinstance(number, Choice) else [number]


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
    from .index_terms import TooLarge

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


def _compare(node: Node, numbers: list[Any]) -> Formula | None:
    """The comparison of two numbers as a formula; None where data decides it."""
    a, b = numbers
    if isinstance(a, _FORMULAS) and isinstance(b, _FORMULAS):
        return _same_truth(node.op, a, b)
    if isinstance(a, _FORMULAS) or isinstance(b, _FORMULAS):
        return None
    shape = node.out.tensor.shape
    return _compared(node.op, a, b, shape)


def _compared(op: str, a: Any, b: Any, shape: tuple[Dim, ...]) -> Formula | None:
    for side, other, turned in ((a, b, False), (b, a, True)):
        if isinstance(side, Choice):
            parts = [
                _compared(op, *((other, x) if turned else (x, other)), shape)
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


def _compared_floats(op: str, a: Any, b: Any, shape: tuple[Dim, ...]) -> Formula | None:
    """Numbers, or positions as floats against a whole number."""
    if isinstance(a, Sum) or isinstance(b, Sum):
        return None
    if isinstance(a, Expr) or isinstance(b, Expr):
        if any(isinstance(x, float) and not x.is_integer() for x in (a, b)):
            return None
        return _compared(op, *(int(x) if isinstance(x, float) else x for x in (a, b)), shape)
    return _PLAIN[op](a, b)


def _same_truth(op: str, a: Formula, b: Formula) -> Formula | None:
    if op not in ("equal", "not_equal"):
        return None
    same = some(every(a, b), every(negate(a), negate(b)))
    return same if op == "equal" else negate(same)


def _logic(kind: str) -> Rule:
    def rule(node: Node, terms: list[Any]) -> Formula | None:
        if not all(isinstance(t, _FORMULAS) for t in terms):
            return None
        return every(*terms) if kind == "and" else some(*terms)

    return _elementwise(rule)


def _exclusive(node: Node, terms: list[Any]) -> Formula | None:
    return (
        _same_truth("not_equal", *terms) if all(isinstance(t, _FORMULAS) for t in terms) else None
    )


def _invert(node: Node, terms: list[Any]) -> Formula | None:
    return negate(terms[0]) if isinstance(terms[0], _FORMULAS) else None


def _where(node: Node, terms: list[Any]) -> Term | None:
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


def _cast(node: Node, terms: list[Any]) -> Term | None:
    (term,) = terms
    source, target = node.type(0).dtype, node["dtype"]
    if source is DType.bool:
        if target is DType.bool:
            return term  # type: ignore[no-any-return]
        kind = float if target.is_float else int
        return choose(term, kind(1), kind(0))
    if target is DType.bool:
        return _nonzero(term, node.out.tensor.shape)
    if target.is_integer:
        return _as_integer(term, target)
    return _as_float(node, term, target) if target.is_float else None


def _nonzero(number: Any, shape: tuple[Dim, ...]) -> Formula | None:
    if any(isinstance(x, Sum) for x in _leaves(number)):
        return None
    return holds(
        lambda x: x != 0 if isinstance(x, float | int) else negate(is_zero(x, shape)), number
    )


def _as_integer(number: Any, target: DType) -> Any:
    leaves = _leaves(number)
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
    leaves = _leaves(number)
    if any(isinstance(x, Sum) for x in leaves):
        return None
    if any(isinstance(x, Expr) for x in leaves) and target not in (DType.f32, DType.f64):
        return None
    return _number(node, spread(lambda x: float(x) if isinstance(x, int) else x, number))


# ---- views


def _view(places: Callable[[Node, tuple[Dim, ...]], Any]) -> Rule:
    """`places(node, indices of the result)` gives the indices into the operand, or None."""

    def rule(analysis: Analysis, node: Node, _: int) -> Term | None:
        shape = node.out.tensor.shape
        at = places(node, own(shape))
        return None if at is None else analysis.read(node.values[0], tuple(at), shape)

    return rule


def _transposed(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    return [at[node["axes"].index(a)] for a in range(len(at))]


def _sliced(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    axis = node["axis"]
    start, _, _ = slice_range(node.type(0).shape[axis], node["start"], node["stop"], 1)
    return [start + i * node["step"] if a == axis else i for a, i in enumerate(at)]


def _selected(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    place = node["index"]
    if isinstance(place, int) and place < 0:
        place = place + node.type(0).shape[node["axis"]]
    return [*at[: node["axis"]], place, *at[node["axis"] :]]


def _flipped(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    shape = node.type(0).shape
    return [shape[a] - 1 - i if a in node["axes"] else i for a, i in enumerate(at)]


def _squeezed(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    left = iter(at)
    return [0 if a in node["axes"] else next(left) for a in range(node.type(0).rank)]


def _reshaped(node: Node, at: tuple[Dim, ...]) -> list[Dim] | None:
    """Row-major places, group by group of axes with one product of sizes."""
    before, after = list(node.type(0).shape), list(node.out.tensor.shape)
    out: list[Dim] = []
    i = j = 0
    while i < len(before) or j < len(after):
        first, from_ = i, j
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while product(before[first:i]) != product(after[from_:j]):
            if i < len(before) and (
                j == len(after) or not _larger(before[first:i], after[from_:j])
            ):
                i += 1
            elif j < len(after):
                j += 1
            else:
                return None
        flat: Dim = 0
        for size, place in zip(after[from_:j], at[from_:j]):
            flat = flat * size + place
        out += _parted(flat, before[first:i])
    return out


def _larger(a: list[Dim], b: list[Dim]) -> bool:
    return provably_le(product(b), product(a))


def _parted(flat: Dim, sizes: list[Dim]) -> list[Dim]:
    """The places along axes of these sizes of a flat place."""
    long = [i for i, s in enumerate(sizes) if s != 1]
    out: list[Dim] = [0] * len(sizes)
    for place in reversed(long[1:]):
        out[place] = flat % sizes[place]
        flat = floordiv(flat, sizes[place])
    if long:
        out[long[0]] = flat
    return out


def _tiled(node: Node, at: tuple[Dim, ...]) -> list[Dim] | None:
    shape = node.type(0).shape
    if len(shape) != len(at):
        return None
    return [i if r == 1 else i % d for i, d, r in zip(at, shape, node["repeats"], strict=True)]


# ---- joining and writing


def _split(analysis: Analysis, node: Node, result: int) -> Term:
    shape = node.results[result].tensor.shape
    offset: Dim = sum(node["sizes"][1:result], start=node["sizes"][0]) if result else 0
    at = tuple(i + offset if a == node["axis"] else i for a, i in enumerate(own(shape)))
    return analysis.read(node.values[0], at, shape)


def _concatenated(analysis: Analysis, node: Node, _: int) -> Term | None:
    """The last part, below its start the one before it, and so on."""
    shape, axis = node.out.tensor.shape, node["axis"]
    place = index(axis, shape[axis])
    starts: list[Dim] = [0]
    for part in node.values[:-1]:
        starts.append(starts[-1] + part.tensor.shape[axis])
    terms = [
        analysis.read(
            part, tuple(place - s if a == axis else i for a, i in enumerate(own(shape))), shape
        )
        for part, s in zip(node.values, starts)
    ]
    out = terms[-1]
    for term, end in zip(reversed(terms[:-1]), reversed(starts)):
        out = _either(at_least_zero(end - 1 - place, shape), term, out)
    return out


def _either(condition: Formula, yes: Any, no: Any) -> Any:
    if isinstance(yes, _FORMULAS) and isinstance(no, _FORMULAS):
        return some(every(condition, yes), every(negate(condition), no))
    return choose(condition, yes, no)


def _stacked(analysis: Analysis, node: Node, _: int) -> Term | None:
    shape, axis = node.out.tensor.shape, node["axis"]
    at = own(shape)
    inner = at[:axis] + at[axis + 1 :]
    terms = [analysis.read(v, inner, shape) for v in node.values]
    out = terms[-1]
    for i, term in reversed(list(enumerate(terms[:-1]))):
        out = _either(is_zero(at[axis] - i, shape), term, out)
    return out


def _padded(analysis: Analysis, node: Node, _: int) -> Term | None:
    if node["mode"] != "constant":
        return None
    shape, inside = node.out.tensor.shape, node.type(0).shape
    at = tuple(i - low for i, low in zip(own(shape), node["low"]))
    within = every(
        *(at_least_zero(i, shape) for i in at),
        *(at_least_zero(d - 1 - i, shape) for i, d in zip(at, inside)),
    )
    kind = {"b": bool, "f": float}.get(node.out.tensor.dtype.value[0], int)
    return _either(within, analysis.read(node.values[0], at, shape), kind(node["value"]))


def _written(analysis: Analysis, node: Node, _: int) -> Term | None:
    """`x[start:stop] = src` along one axis."""
    if node["step"] != 1 or not isinstance(node.operands[1], Value):
        return None
    shape, axis = node.out.tensor.shape, node["axis"]
    start, end, _length = slice_range(shape[axis], node["start"], node["stop"], 1)
    place = index(axis, shape[axis])
    at = tuple(i - start if a == axis else i for a, i in enumerate(own(shape)))
    within = every(at_least_zero(place - start, shape), at_least_zero(end - 1 - place, shape))
    return _either(
        within,
        analysis.read(node.operands[1], at, shape),
        analysis.read(node.values[0], own(shape), shape),
    )


def _triangle(upper: bool) -> Rule:
    def rule(analysis: Analysis, node: Node, _: int) -> Term | None:
        shape = node.out.tensor.shape
        row, column = (index(a, shape[a]) for a in (len(shape) - 2, len(shape) - 1))
        kept = column - row - node["offset"] if upper else row + node["offset"] - column
        zero = {"b": False, "f": 0.0}.get(node.out.tensor.dtype.value[0], 0)
        x = analysis.read(node.values[0], own(shape), shape)
        return _either(at_least_zero(kept, shape), x, zero)

    return rule


# ---- reading by indices


def _place(term: Any, size: Dim, shape: tuple[Dim, ...]) -> Dim | None:
    """A place in an axis of that size; negative numbers count from the end."""
    if not isinstance(term, int | Expr):
        return None
    if never_negative(term, shape):
        return term
    return term + size if never_negative(-term - 1, shape) else None


def _indexed(analysis: Analysis, node: Node, _: int) -> Term | None:
    axes, shape = node["axes"], node.out.tensor.shape
    indices = node.values[1:]
    wide = max(v.tensor.rank for v in indices)
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    first = axes[0] if adjacent else 0
    at = own(shape)
    rest = iter(at[:first] + at[first + wide :])
    places: list[Dim] = []
    for axis, size in enumerate(node.type(0).shape):
        if axis not in axes:
            places.append(next(rest))
            continue
        chosen = indices[axes.index(axis)]
        term = analysis.read(chosen, at[first + wide - chosen.tensor.rank : first + wide], shape)
        place = _place(term, size, shape)
        if place is None:
            return None
        places.append(place)
    return analysis.read(node.values[0], tuple(places), shape)


def _taken(axis: Callable[[Node], int], source: int, chosen: int) -> Rule:
    def rule(analysis: Analysis, node: Node, _: int) -> Term | None:
        x, indices, shape = node.values[source], node.values[chosen], node.out.tensor.shape
        first, rank = axis(node), indices.tensor.rank
        at = own(shape)
        term = analysis.read(indices, at[first : first + rank], shape)
        place = _place(term, x.tensor.shape[first], shape)
        if place is None:
            return None
        return analysis.read(x, (*at[:first], place, *at[first + rank :]), shape)

    return rule


def _gathered(analysis: Analysis, node: Node, _: int) -> Term | None:
    shape = node.out.tensor.shape
    at = list(own(shape))
    place = _place(
        analysis.read(node.values[1], tuple(at), shape), node.type(0).shape[node["axis"]], shape
    )
    if place is None:
        return None
    at[node["axis"]] = place
    return analysis.read(node.values[0], tuple(at), shape)


# ---- sources, scans


def _arange(analysis: Analysis, node: Node, _: int) -> Term | None:
    start, step = (
        int(v) if isinstance(v, float) and v.is_integer() else v
        for v in (node["start"], node["step"])
    )
    if isinstance(start, float) or isinstance(step, float):
        return None
    if node["dtype"] not in (DType.i32, DType.i64, DType.f32, DType.f64):
        return None
    term = own(node.out.tensor.shape)[0] * step + start
    return float(term) if isinstance(term, int) and node["dtype"].is_float else term


def _full(analysis: Analysis, node: Node, _: int) -> Term | None:
    value, dtype = node["value"], node["dtype"]
    if dtype.is_complex:
        return None
    if isinstance(value, Expr):
        return value if dtype in (DType.i32, DType.i64, DType.f32, DType.f64) else None
    return _scalar(np.asarray(value).astype(dtype.numpy))


def _scalar(number: Any) -> bool | int | float:
    value = number.item()
    return value if isinstance(value, bool | int) else float(value)


def _eye(analysis: Analysis, node: Node, _: int) -> Term:
    shape = node.out.tensor.shape
    on = is_zero(index(0, shape[0]) - index(1, shape[1]), shape)
    dtype = node["dtype"]
    return on if dtype is DType.bool else choose(on, *((1.0, 0.0) if dtype.is_float else (1, 0)))


def _literal(analysis: Analysis, node: Node, _: int) -> Term | None:
    return fitted(np.array(node["values"], node["dtype"].numpy))


def _cumsum(analysis: Analysis, node: Node, _: int) -> Term | None:
    """The running sum of what is the same all along the axis."""
    if node.out.tensor.dtype not in (DType.i32, DType.i64):
        return None
    shape, axis = node.out.tensor.shape, node["axis"]
    term = analysis.read(node.values[0], own(shape), shape)
    if not isinstance(term, int | Expr) or _varies(term, axis):
        return None
    return (index(axis, shape[axis]) + 1) * term


def _varies(term: int | Expr, axis: int) -> bool:
    from ..ir.dims import symbols

    return any(s.name == f"${axis}" for s in symbols(term))


# ---- parameters

_LARGEST_TABLE = 2**22


def parameter(value: Value) -> Term | None:
    """The elements of a tensor that stands in the source's code, where they follow a rule."""
    recipe = value.recipe if isinstance(value, Param) else None
    if not isinstance(recipe, Constant) or recipe.data.size > _LARGEST_TABLE:
        return None
    return fitted(recipe.data)


def fitted(data: np.ndarray) -> Term | None:
    """All elements one number; positions times steps; or two numbers, parted along a diagonal."""
    if not data.size or data.dtype.kind == "c":
        return None
    if np.all(data == data.flat[0]):
        return _scalar(data.flat[0])
    if data.dtype.kind == "i" and data.itemsize >= 4:
        linear = _linear(data)
        if linear is not None:
            return linear
    return _diagonal(data)


def _linear(data: np.ndarray) -> Expr | None:
    total: Any = int(data.flat[0])
    expected = np.full(data.shape, total, np.int64)
    for axis, size in enumerate(data.shape):
        if size > 1:
            step = int(data[tuple(1 if a == axis else 0 for a in range(data.ndim))]) - int(
                data.flat[0]
            )
            total = total + step * index(axis, size)
            grown = step * np.arange(size).reshape(
                [-1 if a == axis else 1 for a in range(data.ndim)]
            )
            expected = expected + grown
    return total if np.array_equal(expected, data) else None


def _diagonal(data: np.ndarray) -> Term | None:
    """`yes` on and below a diagonal of the last two axes, `no` above it."""
    if data.ndim < 2 or any(d != 1 for d in data.shape[:-2]):
        return None
    table = data.reshape(data.shape[-2:])
    yes, no = table[-1, 0], table[0, -1]
    offset = int((table[0] == yes).sum()) - 1
    below = np.tri(*table.shape, offset, dtype=bool)
    if yes == no or not np.array_equal(np.where(below, yes, no), table):
        return None
    row, column = (index(data.ndim - 2 + i, table.shape[i]) for i in (0, 1))
    condition = at_least_zero(row + offset - column, data.shape)
    return _either(condition, _scalar(yes), _scalar(no))


RULES: dict[str, Rule] = {
    **{op: _arithmetic(_none_safe(whole)) for op, whole in _WHOLE.items()},
    **{op: _elementwise(_compare) for op in _TESTS},
    "bitwise_and": _logic("and"),
    "bitwise_or": _logic("or"),
    "bitwise_xor": _elementwise(_exclusive),
    "invert": _elementwise(_invert),
    "where": _elementwise(_where),
    "cast": _elementwise(_cast),
    "reshape": _view(_reshaped),
    "transpose": _view(_transposed),
    "expand_dims": _view(lambda n, at: [i for a, i in enumerate(at) if a not in n["axes"]]),
    "squeeze": _view(_squeezed),
    "broadcast_to": _view(lambda n, at: at[len(at) - n.type(0).rank :]),
    "slice": _view(_sliced),
    "select": _view(_selected),
    "flip": _view(_flipped),
    "tile": _view(_tiled),
    "split": _split,
    "concatenate": _concatenated,
    "stack": _stacked,
    "pad": _padded,
    "slice_update": _written,
    "tril": _triangle(False),
    "triu": _triangle(True),
    "index": _indexed,
    "take": _taken(lambda n: n["axis"], 0, 1),
    "embedding": _taken(lambda n: 0, 0, 1),
    "gather": _gathered,
    "arange": _arange,
    "full": _full,
    "eye": _eye,
    "literal": _literal,
    "cumsum": _cumsum,
}  # fmt: skip
