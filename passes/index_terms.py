"""Terms: the element of an integer or boolean tensor as an expression of its indices.

The index along axis `a` is a dim too, the symbol `$a`; sums, products and divisions of sizes and
indices are therefore one kind of expression (`Dim`), in one normal form. Truth is a formula over
comparisons of such expressions and over reads of boolean data; numbers are expressions, plus reads
of integer data, and choices between numbers by a formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import Value
from ..ir.dims import (
    Atom,
    Expr,
    Sym,
    bounds,
    divide_exact,
    floordiv,
    provably_le,
    rebuild,
    substitute,
    symbols,
)

Dim = int | Expr
Shape = Sequence[Dim]


def index(axis: int, size: Dim | None = None) -> Expr:
    """The index along an axis: 0 or more, below the size where that is a number."""
    high = size - 1 if isinstance(size, int) else None
    return Expr(((((Sym(f"${axis}", 0, high), 1),), 1),))


def own(shape: Shape) -> tuple[Dim, ...]:
    """The indices of a tensor of that shape (0 along axes of size 1)."""
    return tuple(0 if size == 1 else index(axis, size) for axis, size in enumerate(shape))


# ---- terms


@dataclass(frozen=True)
class Read:
    """The element of a tensor that holds data, at index expressions."""

    value: Value
    at: tuple[Dim, ...]


@dataclass(frozen=True)
class Compare:
    """`left >= 0`, `left == 0` or `left != 0`."""

    left: Expr
    kind: str


@dataclass(frozen=True)
class Not:
    """The opposite of a read."""

    read: Read


@dataclass(frozen=True)
class Both:
    """All (`and`) or any (`or`) of the parts, which are two or more, in the order met."""

    kind: str
    parts: tuple[Formula, ...]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Both)
            and self.kind == other.kind
            and frozenset(self.parts) == frozenset(other.parts)
        )

    def __hash__(self) -> int:
        return hash((self.kind, frozenset(self.parts)))


Formula = bool | Compare | Read | Not | Both
FORMULAS = (bool, Compare, Read, Not, Both)


@dataclass(frozen=True)
class Sum:
    """An expression plus integer data, each read times a whole number."""

    base: Dim
    reads: tuple[tuple[Read, int], ...]


@dataclass(frozen=True)
class Choice:
    """`yes` where the condition holds, else `no`."""

    condition: Formula
    yes: Number
    no: Number


Number = int | float | Expr | Sum | Choice
Term = Formula | Number


# ---- what holds for all indices


def slope(dim: Dim, name: str) -> Dim | None:
    """The factor of a symbol in an expression that is linear in it; None where it is not."""
    total: Dim = 0
    for monomial, coefficient in dim.terms if isinstance(dim, Expr) else ():
        rest: Dim = coefficient
        found = 0
        for atom, power in monomial:
            if isinstance(atom, Sym) and atom.name == name:
                found += power
            elif isinstance(atom, Atom) and any(
                s.name == name for a in atom.args for s in symbols(a)
            ):
                return None
            else:
                for _ in range(power):
                    rest = rest * Expr(((((atom, 1),), 1),))
        if found > 1:
            return None
        total = total + rest if found else total
    return total


def never_negative(dim: Dim, shape: Shape) -> bool:
    """Whether the expression is 0 or more at every index of the shape, for all sizes."""
    for axis, size in enumerate(shape):
        factor = slope(dim, f"${axis}")
        if factor is None or factor == 0:
            continue
        if provably_le(0, factor):
            dim = substitute(dim, {f"${axis}": 0})
        elif provably_le(factor, 0):
            dim = substitute(dim, {f"${axis}": size - 1})
    return provably_le(0, dim)


def settled(dim: Dim, shape: Shape) -> Dim:
    """The expression with the divisions done that hold at every index of the shape."""
    if not isinstance(dim, Expr) or not any(_is_division(a) for m, _ in dim.terms for a, _ in m):
        return dim
    return rebuild(dim, lambda atom: _quotient(atom, shape) if _is_division(atom) else None)


def _is_division(atom: Sym | Atom) -> bool:
    return isinstance(atom, Atom) and atom.kind == "floordiv"


def _quotient(atom: Sym | Atom, shape: Shape) -> Dim | None:
    """n of `(n * size + i) // size` with i from 0 to below the size."""
    flat, size = (settled(arg, shape) for arg in atom.args)  # type: ignore[union-attr]
    whole: Dim = 0
    for term in flat.terms if isinstance(flat, Expr) else ():
        whole = whole + (divide_exact(Expr((term,)), size) or 0)
    rest = flat - whole * size
    inside = never_negative(rest, shape) and never_negative(size - 1 - rest, shape)
    return whole if inside else floordiv(flat, size)


# ---- formulas


class TooLarge(Exception):
    """A formula, or a choice between numbers, that is not worth following."""


_LEAVES = 6
_PARTS = 12


def at_least_zero(dim: Dim, shape: Shape) -> Formula:
    """`dim >= 0`, decided where the shape decides it."""
    if isinstance(dim, int):
        return dim >= 0
    if never_negative(dim, shape):
        return True
    if never_negative(-dim - 1, shape):
        return False
    parted = _extreme_parted(dim)
    if parted is None:
        return Compare(dim, ">=")
    kind, sides = parted
    return both(kind, *(at_least_zero(side, shape) for side in sides))


def _extreme_parted(dim: Expr) -> tuple[str, list[Dim]] | None:
    """`c - max(a, b) >= 0` holds where `c - a >= 0` and `c - b >= 0`; and so on."""
    for monomial, factor in dim.terms:
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if isinstance(atom, Atom) and atom.kind in ("min", "max"):
            rest = dim - Expr(((monomial, factor),))
            kind = "and" if (atom.kind == "min") == (factor > 0) else "or"
            return kind, [rest + factor * a for a in atom.args]
    return None


def is_zero(dim: Dim, shape: Shape) -> Formula:
    """`dim == 0`, decided where the shape decides it."""
    if isinstance(dim, int):
        return dim == 0
    if never_negative(dim - 1, shape) or never_negative(-dim - 1, shape):
        return False
    return Compare(dim if dim.terms[0][1] > 0 else Expr(tuple((m, -c) for m, c in dim.terms)), "==")


def negate(formula: Formula) -> Formula:
    """The opposite; decided parts stay decided."""
    match formula:
        case bool():
            return not formula
        case Compare(left, ">="):
            return Compare(-left - 1, ">=")  # type: ignore[arg-type]
        case Compare(left, kind):
            return Compare(left, "!=" if kind == "==" else "==")
        case Read():
            return Not(formula)
        case Not(read):
            return read
        case Both(kind, parts):
            return Both("or" if kind == "and" else "and", tuple(map(negate, parts)))


def both(kind: str, *formulas: Formula) -> Formula:
    """All or any of the formulas: flat, without repetition and without what others imply."""
    decisive = kind == "or"
    parts: list[Formula] = []
    for formula in formulas:
        inner = formula.parts if isinstance(formula, Both) and formula.kind == kind else (formula,)
        for part in inner:
            if part is decisive or negate(part) in parts:
                return decisive
            if not isinstance(part, bool) and part not in parts:
                parts.append(part)
    if len(parts) > _PARTS:
        raise TooLarge
    parts = [p for p in parts if not any(q is not p and _settles(kind, q, p) for q in parts)]
    if not parts:
        return not decisive
    return parts[0] if len(parts) == 1 else Both(kind, tuple(parts))


def _settles(kind: str, strong: Formula, weak: Formula) -> bool:
    """Whether the second bound adds nothing to the first: `x >= 0` implies `x + 3 >= 0`."""
    if not (isinstance(strong, Compare) and isinstance(weak, Compare)):
        return False
    if strong.kind != ">=" or weak.kind != ">=":
        return False
    low, high = bounds(weak.left - strong.left)
    return low is not None and low >= 0 if kind == "and" else high is not None and high <= 0


def every(*formulas: Formula) -> Formula:
    return both("and", *formulas)


def some(*formulas: Formula) -> Formula:
    return both("or", *formulas)


def reads_of(formula: Formula) -> list[Read]:
    """The data that the formula depends on."""
    match formula:
        case Read():
            return [formula]
        case Not(read):
            return [read]
        case Both(_, parts):
            return [r for p in parts for r in reads_of(p)]
    return []


# ---- numbers


def choose(condition: Formula, yes: Any, no: Any) -> Any:
    """A choice, unless the condition is decided or both sides are the same."""
    if isinstance(condition, bool):
        return yes if condition else no
    if type(yes) is type(no) and yes == no:
        return yes
    agreed = _agree(condition, yes, no)
    if agreed is not None:
        return agreed
    if len(leaves_of(yes)) + len(leaves_of(no)) > _LEAVES:
        raise TooLarge
    return Choice(condition, yes, no)


def _agree(condition: Formula, yes: Any, no: Any) -> Any:
    """One expression for both sides, where one holds at a single index and the other fits it."""
    if not isinstance(condition, Compare):
        return None
    if condition.kind != ">=":
        yes, no = (yes, no) if condition.kind == "==" else (no, yes)
        return no if _same_at_root(condition.left, yes, no) else None
    for left, one, all_others in ((condition.left, yes, no), (-condition.left - 1, no, yes)):
        at_most = _single(left)
        if at_most is not None and _same_at_root(at_most, one, all_others):
            return all_others
    return None


def _single(left: Dim) -> Expr | None:
    """The index, where `left >= 0` says that an index is 0."""
    symbol = -left
    lone = isinstance(symbol, Expr) and len(symbol.terms) == 1 and symbol.terms[0][1] == 1
    if not lone or not isinstance(symbol, Expr) or not str(symbol).startswith("$"):
        return None
    return symbol


def _same_at_root(left: Expr, one: Any, other: Any) -> bool:
    """Whether the sides agree where `left`, linear in an index with factor 1 or -1, is 0."""
    if not isinstance(one, int | Expr) or not isinstance(other, int | Expr):
        return False
    for symbol in symbols(left):
        factor = slope(left, symbol.name)
        if symbol.name.startswith("$") and factor in (1, -1):
            root = Expr(((((symbol, 1),), 1),)) - left * factor
            at = {symbol.name: root}
            return substitute(one, at) == substitute(other, at)
    return False


def added(a: Any, b: Any, sign: int = 1) -> Any:
    """Sum or difference of whole numbers."""
    if isinstance(a, Choice) or isinstance(b, Choice):
        return spread(lambda x, y: added(x, y, sign), a, b)
    if not isinstance(a, Sum) and not isinstance(b, Sum):
        return a + b * sign
    left, right = _as_sum(a), _as_sum(b)
    counts = dict(left.reads)
    for read, count in right.reads:
        counts[read] = counts.get(read, 0) + sign * count
    reads = tuple((r, n) for r, n in counts.items() if n)
    base = left.base + right.base * sign
    return Sum(base, reads) if reads else base


def _as_sum(number: Any) -> Sum:
    return number if isinstance(number, Sum) else Sum(number, ())


def leaves_of(number: Number) -> list[Any]:
    if isinstance(number, Choice):
        return leaves_of(number.yes) + leaves_of(number.no)
    return [number]


def spread(function: Callable[..., Any], *numbers: Any) -> Any:
    """The function of the numbers, taken inside their choices."""
    for place, number in enumerate(numbers):
        if isinstance(number, Choice):
            sides = [
                spread(function, *numbers[:place], side, *numbers[place + 1 :])
                for side in (number.yes, number.no)
            ]
            return choose(number.condition, *sides)
    return function(*numbers)


def holds(test: Callable[[Any], Formula], number: Number) -> Formula:
    """Where the test of a number holds, choices followed."""
    if isinstance(number, Choice):
        yes, no = holds(test, number.yes), holds(test, number.no)
        return some(every(number.condition, yes), every(negate(number.condition), no))
    return test(number)


def either(condition: Formula, yes: Any, no: Any) -> Any:
    """The one term or the other: numbers or formulas."""
    if isinstance(yes, FORMULAS) and isinstance(no, FORMULAS):
        return some(every(condition, yes), every(negate(condition), no))
    return choose(condition, yes, no)


# ---- other indices


def moved(term: Any, to: Mapping[str, Dim], shape: Shape) -> Any:
    """The term with index symbols replaced, decided again for the indices of `shape`."""
    match term:
        case Expr():
            return substitute(term, to)
        case Compare(left, kind):
            dim = substitute(left, to)
            if kind == ">=":
                return at_least_zero(dim, shape)
            zero = is_zero(dim, shape)
            return zero if kind == "==" else negate(zero)
        case Read(value, at):
            return Read(value, tuple(settled(substitute(d, to), shape) for d in at))
        case Not(read):
            return Not(moved(read, to, shape))
        case Both(kind, parts):
            return both(kind, *(moved(p, to, shape) for p in parts))
        case Sum(base, reads):
            return Sum(substitute(base, to), tuple((moved(r, to, shape), n) for r, n in reads))
        case Choice(condition, yes, no):
            return choose(moved(condition, to, shape), moved(yes, to, shape), moved(no, to, shape))
    return term
