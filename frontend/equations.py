"""Equations between sizes, found while walking, solved for the sizes of the inputs.

Every dim of an input starts as a symbol of its own. An op whose operands must agree gives an
equation; it ties a symbol to another, fixes it, or bounds it. The walk then starts again with what
is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations, islice

from ..ir.dims import (
    Expr,
    Sym,
    data_decides,
    evaluate,
    maximum,
    substitute,
    symbol,
    symbols,
)
from .multiples import Multiple, by_multiple, joint_multiples, multiples, tighter
from .size_facts import Dim, SizeFacts
from .solving import (
    chosen_extremes,
    divisors,
    falls,
    kept_quotients,
    learn_limits,
    solution,
    without_common_symbols,
)

_MOST_TIES = 200  # ways of tying that are tried


class Unsolvable(ValueError):
    """The sizes differ at the captured sizes too: the op does not fit its operands."""


class Sizes(SizeFacts):
    """Facts about sizes, which equations add to."""

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
            value = solution(difference, sym)
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
            quotient = solution(rest, Sym(name)) if multiple.factor > 1 else None
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
