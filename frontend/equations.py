"""Equations between sizes, found while walking, solved for the sizes of the inputs.

Every dim of an input starts as a symbol of its own. An op whose operands must agree gives an
equation; it ties a symbol to another, fixes it, or bounds it. The walk then starts again with what
is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, islice

from ..ir.dims import (
    Atom,
    Expr,
    Sym,
    data_decides,
    divide_exact,
    evaluate,
    maximum,
    substitute,
    symbol,
    symbols,
)
from .multiples import Multiple, by_multiple, joint_multiples, multiples, tighter
from .solving import chosen_extremes, divisors, kept_quotients, learn_limits, without_common_symbols

Dim = int | Expr
_MOST_TIES = 200  # ways of tying that are tried


class Unsolvable(ValueError):
    """The sizes differ at the captured sizes too: the op does not fit its operands."""


@dataclass
class Sizes:
    """What is known of the symbols. `captured` holds the sizes of the example inputs, in input
    order.

    `stated` are symbols that the user calls free. `wholes` are symbols that no dim is by itself,
    each with the symbol that is a multiple of it, and where that shows.
    """

    captured: dict[str, int]
    known: dict[str, Dim] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    limits: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    stated: frozenset[str] = frozenset()
    wholes: dict[str, tuple[str, Multiple, str]] = field(default_factory=dict)

    def trial(self, fixed: Iterable[str]) -> Sizes:
        """What is known, with these symbols at their captured sizes; to be thrown away."""
        known = {**self.known, **{name: self.captured[name] for name in fixed}}
        return Sizes(dict(self.captured), known, {}, dict(self.limits), wholes=dict(self.wholes))

    def of(self, name: str) -> Dim:
        """The dim that the symbol stands for now."""
        if name not in self.known:
            low, high = self.limits.get(name, (1, None))
            return symbol(name, low, high)
        dim = self.known[name]
        return substitute(dim, {s.name: self.of(s.name) for s in symbols(dim)})

    def fix(self, name: str, size: int, why: str) -> None:
        self._learn(name, size, why)

    def divide(self, name: str, multiple: Multiple, why: str, new: str = "") -> str:
        """The symbol is a multiple of another: a new one, which stands next to it, or the one that
        is called `new` already. Its name.
        """
        new = new or f"{name}/{multiple.factor}"
        self.known[name] = multiple.of(self.of(new))
        if new in self.captured:
            self.evidence[name] = why
            return new
        at = list(self.captured).index(name) + 1
        pairs = list(self.captured.items())
        self.captured.clear()
        quotient = multiple.quotient(pairs[at - 1][1])
        self.captured.update([*pairs[:at], (new, quotient), *pairs[at:]])
        self.limits[new] = multiple.limits(self.limits.get(name, (1, None)))
        self.known[name] = multiple.of(self.of(new))
        self.wholes[new] = name, multiple, why
        return new

    def chain(self, name: str) -> list[str]:
        """The symbol, what it is a quotient of, and so on, up to one that is a dim by itself."""
        found = [name]
        while found[-1] in self.wholes:
            found.append(self.wholes[found[-1]][0])
        return found

    def root(self, name: str) -> str:
        """The symbol of a dim that the symbol is a quotient of, or the symbol itself."""
        return self.chain(name)[-1]

    def multiple(self, name: str) -> Multiple:
        """What the dim is that the symbol is a quotient of."""
        found = Multiple(1)
        for new in self.chain(name)[:-1]:
            found = found.inside(self.wholes[new][1])
        return found

    def quotients(self, name: str) -> list[str]:
        """The symbol of a dim, the quotient of it, the quotient of that, and so on."""
        return [name, *(new for new in self.wholes if self.root(new) == name)]

    def why(self, name: str) -> str:
        """The evidence for a symbol, and for the quotients of it."""
        chain = self.quotients(name)
        places = ", ".join(dict.fromkeys(self.wholes[new][2] for new in chain[1:]))
        parts = [f"{self.multiple(chain[-1])}: {places}"] if places else []
        parts += [self.evidence.get(n, "") for n in chain]
        return "; ".join(part for part in parts if part)

    def solve(self, left: Dim, right: Dim, where: str) -> None:
        """Make the two sides equal by learning about symbols; Unsolvable where that cannot be."""
        difference = left - right
        text = f"{left} == {right}" + (f": {where}" if where else "")
        if data_decides(difference):
            raise Unsolvable(f"only the data can tell that {text}")
        if self._at_capture(difference) != 0:
            if not self._solve_below_zero(left, right, text):
                self._solve_by_ones((left, right), text)
            return
        if isinstance(difference, Expr):
            difference = without_common_symbols(difference)
        if not any(step(difference, text) for step in self._steps()):
            for name in sorted(s.name for s in symbols(difference)):
                self._learn(name, self.captured[name], f"fixed by {text}")

    def _steps(self) -> tuple[Callable[[Dim, str], bool], ...]:
        """Ways to make a difference zero, the one that costs the least freedom first."""
        return (
            self._solve_extremes,
            self._solve_linear,
            self._solve_by_multiple,
            self._solve_by_tie,
            self._solve_by_single_quotient,
            self._solve_by_quotients,
            self._solve_by_tied_quotients,
            self._solve_by_new_quotients,
            self._solve_jointly,
            self._solve_by_fixing,
            self._solve_by_fixing_and_tying,
        )

    def _at_capture(self, dim: Dim) -> int:
        return evaluate(dim, self.captured)

    def _learn(self, name: str, dim: Dim, why: str) -> None:
        self.known[name] = dim
        self.evidence[name] = why

    def _solve_below_zero(self, left: Dim, right: Dim, text: str) -> bool:
        """`max(d, 0) == d` asks for the sign of d, which is below 0 at the captured sizes."""
        if left != maximum(right, 0) or self._at_capture(right) >= 0:
            return False
        if not self._at_least_zero([-right], text):
            for name in sorted(s.name for s in symbols(right)):
                self._learn(name, self.captured[name], f"fixed by {text}")
        return True

    def _solve_by_ones(self, sides: Iterable[Dim], text: str) -> None:
        """A captured size of 1 was broadcast: it stays 1."""
        ones = [s.name for side in sides for s in symbols(side) if self.captured[s.name] == 1]
        if not ones:
            raise Unsolvable(text)
        for name in ones:
            self._learn(name, 1, f"broadcast in {text}")

    def _solve_extremes(self, difference: Dim, text: str) -> bool:
        """Minima and maxima that must be one of their arguments bound the others."""
        return any(self._at_least_zero(needs, text) for needs in chosen_extremes(difference))

    def require(self, dim: Dim, text: str) -> bool:
        """`dim >= 0` as a bound of the only symbol in it; whether that is news."""
        return self._at_least_zero([dim], text)

    def _at_least_zero(self, needs: list[Dim], text: str) -> bool:
        """Learn the bounds under which all these dims are at least 0; whether that is news."""
        if data_decides(*needs) or any(self._at_capture(need) < 0 for need in needs):
            return False
        found = learn_limits(needs, self.limits) or {}
        for name, (low, high) in found.items():
            raised = low != self.limits.get(name, (1, None))[0]
            self.limits[name] = (low, high)
            self.evidence[name] = f"{f'at least {low}' if raised else f'at most {high}'}: {text}"
        return bool(found)

    def _solve_linear(self, difference: Dim, text: str) -> bool:
        """Solve for one symbol; the one that appears last among the inputs gives way."""
        if isinstance(difference, int):
            return False
        order = list(self.captured)
        for sym in sorted(symbols(difference), key=lambda s: -order.index(s.name)):
            value = _solution(difference, sym)
            if value is not None and self._fits(sym, value):
                self._learn(
                    sym.name, value, f"{'fixed by' if isinstance(value, int) else 'tied by'} {text}"
                )
                return True
        return False

    def _solve_by_multiple(self, difference: Dim, text: str) -> bool:
        """A symbol whose quotient is another size, and must be whole: it is a multiple of that."""
        for name in self._in_order(difference):
            for other, dim in self.known.items():
                if {s.name for s in symbols(dim)} != {name}:
                    continue
                for factor in divisors(dim):
                    rest = self.captured[name] - factor * self.captured[other]
                    value = factor * symbol(other, *self.limits.get(other, (1, None))) + rest
                    whole = substitute(dim, {name: value}) == symbol(other)
                    if whole and substitute(difference, {name: value}) == 0:
                        del self.known[other]
                        self.evidence.pop(other, None)
                        self._learn(name, value, f"tied by {text}")
                        return True
        return False

    def _in_order(self, dim: Dim) -> list[str]:
        """The symbols in the dim, in the order of the inputs."""
        found = {s.name for s in symbols(dim)}
        return [name for name in self.captured if name in found]

    def _solve_by_tie(self, difference: Dim, text: str) -> bool:
        """Symbols of one captured size whose equality solves it: quotients that are whole, products
        of as many factors.
        """
        names = self._in_order(difference)
        pairs = [
            (first, second)
            for i, first in enumerate(names)
            for second in names[i + 1 :]
            if self.captured[first] == self.captured[second]
        ]
        for count in (1, 2, 3):
            for chosen in islice(combinations(pairs, count), _MOST_TIES):
                ties = {second: self.of(first) for first, second in chosen}
                once = len({*ties, *(first for first, _ in chosen)}) == 2 * count
                if once and substitute(difference, ties) == 0:
                    for name, dim in ties.items():
                        self._learn(name, dim, f"tied by {text}")
                    return True
        return False

    def _solve_by_single_quotient(self, difference: Dim, text: str) -> bool:
        """A new symbol that is 1 at capture is no factor: `x*y*n == z*w` ties x to z, y to w."""
        single = [n for n in self._in_order(difference) if n in self.wholes]
        ones = {n: 1 for n in single if self.captured[n] == 1}
        rest = substitute(difference, ones) if ones else 0
        if rest == 0 or not self._solve_by_tie(rest, text):
            return False
        for name in ones:
            self._learn(name, 1, f"fixed by {text}")
        return True

    def _solve_by_quotients(self, difference: Dim, text: str) -> bool:
        """Quotients that stay what they are at capture, where many sizes have the same ones."""
        kept = kept_quotients(difference, self._at_capture)
        limits = learn_limits(kept, self.limits) if kept else None
        wide = limits and all(
            high is not None and high - low >= self.captured[name]
            for name, (low, high) in limits.items()
        )
        return bool(wide) and self._at_least_zero(kept, text)

    def _solve_by_tied_quotients(self, difference: Dim, text: str) -> bool:
        """A symbol that is a multiple of another: 64 times it, where its 8th is 8 times it."""
        for name in reversed(self._in_order(difference)):
            rest, multiple = by_multiple(difference, name, self.captured)
            quotient = _solution(rest, Sym(name)) if multiple.factor > 1 else None
            value = None if quotient is None else multiple.of(quotient)
            if isinstance(value, Expr) and self._fits(Sym(name), value):
                self._learn(name, value, f"tied by {text}")
                return True
        return False

    def _solve_by_new_quotients(self, difference: Dim, text: str) -> bool:
        """Symbols that are multiples of symbols of their own."""
        found = multiples(difference, self.captured, self.limits)
        for name, multiple in found.items():
            self.divide(name, multiple, _place(text))
        return bool(found)

    def _solve_jointly(self, difference: Dim, text: str) -> bool:
        """Two symbols that are multiples of one new symbol: `2*x == 3*y`."""
        found = joint_multiples(difference, self.captured)
        if found is None:
            return False
        (name, multiple), (other, dim) = found
        new = self.divide(name, multiple, _place(text))
        self._learn(other, substitute(dim, {name: self.of(new)}), f"tied by {text}")
        slope, rest = evaluate(dim, {name: 1}) - evaluate(dim, {name: 0}), evaluate(dim, {name: 0})
        ends = Multiple(slope, -rest).limits(self.limits.get(other, (1, None)))
        self.limits[new] = tighter(self.limits.get(new, (1, None)), ends)
        return True

    def _solve_by_fixing(self, difference: Dim, text: str) -> bool:
        """One symbol whose captured size solves it."""
        for name in reversed(self._in_order(difference)):
            if substitute(difference, {name: self.captured[name]}) == 0:
                self._learn(name, self.captured[name], f"fixed by {text}")
                return True
        return False

    def _solve_by_fixing_and_tying(self, difference: Dim, text: str) -> bool:
        """One symbol at its captured size, with which a tie is left: `12*n == x*y`."""
        for name in reversed(self._in_order(difference)):
            rest = substitute(difference, {name: self.captured[name]})
            if isinstance(rest, Expr) and self._solve_linear(without_common_symbols(rest), text):
                self._learn(name, self.captured[name], f"fixed by {text}")
                return True
        return False

    def _fits(self, sym: Sym, value: Dim) -> bool:
        """Whether the value is a size at capture, and no stranger than a multiple of one symbol.

        Two widths with a constant sum (parts of a concatenation) are both fixed instead.
        """
        plain = isinstance(value, int) or (len(symbols(value)) == 1 and not falls(value))
        return plain and self._at_capture(value) == self.captured[sym.name]


def _place(text: str) -> str:
    """Where the equation turned up; the equation where that is not known."""
    return text.partition(": ")[2] or text


def _coefficient(dim: Expr, sym: Sym) -> Dim | None:
    """The factor of the symbol where the dim is linear in it and it hides in no atom, else None."""
    slope: Dim = 0
    for monomial, factor in dim.terms:
        power = sum(p for atom, p in monomial if atom == sym)
        inside = any(
            sym in symbols(a) for atom, _ in monomial if isinstance(atom, Atom) for a in atom.args
        )
        if power > 1 or inside:
            return None
        if power == 1:
            rest = tuple((atom, p) for atom, p in monomial if atom != sym)
            slope = slope + (Expr(((rest, factor),)) if rest else factor)
    return slope


def falls(dim: Expr) -> bool:
    """Whether the dim gets smaller as its symbol gets larger."""
    slopes = [_coefficient(dim, s) for s in symbols(dim)]
    return any(isinstance(slope, int) and slope < 0 for slope in slopes)


def _solution(difference: Dim, sym: Sym) -> Dim | None:
    """The value of the symbol that makes the difference zero, where it is an expression."""
    if isinstance(difference, int):
        return None
    slope = _coefficient(difference, sym)
    if slope is None or slope == 0:
        return None
    rest = substitute(difference, {sym.name: 0})
    return divide_exact(-rest, slope)


def renamed(sizes: Sizes, names: Mapping[str, str]) -> dict[str, Dim]:
    """What every symbol stands for, with the symbols that stay free under readable names."""
    free = {}
    for old, new in names.items():
        low, high = sizes.limits.get(old, (1, None))
        free[old] = symbol(new, low, high)
    return {name: substitute(sizes.of(name), free) for name in sizes.captured}
