"""Sizes that must be multiples: equations whose floor divisions have to leave no remainder.

`4*(H//4) == H` holds where H is a multiple of 4, `2*((H - 1)//2) + 1 == H` where it is one less
than a multiple of 2. Pure functions of dims: the frontends decide with them what inputs may be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import gcd, lcm
from typing import Any

from ..ir.dims import Atom, Expr, Sym, rebuild, substitute, symbol, symbols

Dim = int | Expr
Limits = tuple[int, int | None]
_LARGEST_FACTOR = 1 << 20
_MOST_SYMBOLS = 4


@dataclass(frozen=True)
class Multiple:
    """Sizes `factor*k - less` for k from 1 on, with `less` from 0 to `factor - 1`."""

    factor: int
    less: int = 0

    @classmethod
    def around(cls, size: int, factor: int) -> Multiple:
        """The multiples of the factor, moved so that the size is one of them."""
        return cls(factor, -size % factor)

    def of(self, quotient: Dim) -> Dim:
        return self.factor * quotient - self.less

    def quotient(self, size: int) -> int:
        """The k of a size, rounded up where it has none."""
        return -(-(size + self.less) // self.factor)

    def inside(self, outer: Multiple) -> Multiple:
        """The multiple of this multiple."""
        return Multiple(self.factor * outer.factor, outer.less + outer.factor * self.less)

    def limits(self, limits: Limits) -> Limits:
        """The bounds of k where the size has these."""
        low, high = limits
        most = None if high is None else (high + self.less) // self.factor
        return max(1, self.quotient(low)), most

    def __str__(self) -> str:
        over = -self.less % self.factor
        return f"a multiple of {self.factor}" + (f" plus {over}" if over else "")


def multiples(
    difference: Dim, captured: Mapping[str, int], limits: Mapping[str, Limits]
) -> dict[str, Multiple]:
    """What its symbols must be multiples of for the difference to be 0 whatever their sizes are.

    Empty where that does not make it 0. As few symbols as do, the last ones of the inputs; no
    factor can be replaced by a divisor of it.
    """
    periods = _periods(difference)
    names = [n for n in list(captured)[::-1] if 1 < periods.get(n, 1) <= _LARGEST_FACTOR]
    for count in range(1, min(len(names), _MOST_SYMBOLS) + 1):
        for chosen in combinations(names, count):
            found = {n: Multiple.around(captured[n], periods[n]) for n in chosen}
            if vanishes(difference, found, limits):
                return _least(difference, found, captured, limits)
    return {}


def _least(
    difference: Dim,
    found: dict[str, Multiple],
    captured: Mapping[str, int],
    limits: Mapping[str, Limits],
) -> dict[str, Multiple]:
    for name, multiple in found.items():
        smaller = (Multiple.around(captured[name], f) for f in _divisors(multiple.factor))
        found[name] = next(m for m in smaller if vanishes(difference, found | {name: m}, limits))
    return {n: found[n] for n in captured if n in found}


def vanishes(difference: Dim, found: Mapping[str, Multiple], limits: Mapping[str, Limits]) -> bool:
    """Whether the difference is 0 at all of the multiples within the limits."""
    sizes = {}
    for name, multiple in found.items():
        low, high = multiple.limits(limits.get(name, (1, None)))
        if high is not None and high < low:
            return False
        sizes[name] = multiple.of(symbol(name, low, high))
    return substitute(difference, sizes) == 0


def by_multiple(difference: Dim, name: str, captured: Mapping[str, int]) -> tuple[Dim, Multiple]:
    """The difference where the symbol stands for the k of a multiple, which every division of it
    divides; and the multiple.
    """
    multiple = Multiple.around(captured[name], _periods(difference).get(name, 1))
    return substitute(difference, {name: multiple.of(symbol(name))}), multiple


def joint_multiples(
    difference: Dim, captured: Mapping[str, int]
) -> tuple[tuple[str, Multiple], tuple[str, Dim]] | None:
    """`a*x - b*y + c` that is 0: x is a multiple, and y a dim over its k, which is called x there.

    None where the difference is no such sum, or the sizes at capture do not solve it.
    """
    terms = dict(difference.terms) if isinstance(difference, Expr) else {}
    terms.pop((), 0)
    pairs = [(m[0][0], c) for m, c in terms.items() if len(m) == 1 and m[0][1] == 1]
    if len(pairs) != 2 or len(terms) != 2 or not all(isinstance(s, Sym) for s, _ in pairs):
        return None
    (x, a), (y, b) = sorted(pairs, key=lambda p: list(captured).index(str(p[0])))
    if a * b > 0:
        return None
    common = gcd(a, b)
    first = Multiple.around(captured[str(x)], abs(b) // common)
    slope = abs(a) // common
    rest = captured[str(y)] - slope * first.quotient(captured[str(x)])
    other = slope * symbol(str(x)) + rest
    solved = substitute(difference, {str(x): first.of(symbol(str(x))), str(y): other}) == 0
    return ((str(x), first), (str(y), other)) if solved else None


def tighter(a: Limits, b: Limits) -> Limits:
    """Both bounds at once."""
    highs = [high for high in (a[1], b[1]) if high is not None]
    return max(a[0], b[0]), min(highs, default=None)


def _periods(dim: Dim) -> dict[str, int]:
    """For each symbol the least common multiple of the numbers that it is divided by."""
    found: dict[str, int] = {}

    def visit(dim: Dim, divisor: int) -> None:
        for sym in symbols(dim) if divisor > 1 else ():
            found[sym.name] = lcm(found.get(sym.name, 1), divisor)
        rebuild(dim, lambda atom: inside(atom, divisor))

    def inside(atom: Any, divisor: int) -> Dim | None:
        if isinstance(atom, Atom):
            by = atom.args[1] if atom.kind == "floordiv" else 1
            for arg in atom.args:
                visit(arg, divisor * (by if isinstance(by, int) and by > 0 else 1))
        return 0

    visit(dim, 1)
    return found


def _divisors(number: int) -> Sequence[int]:
    small = [n for n in range(1, int(number**0.5) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
