"""What is known of the sizes of a captured call's inputs: symbols, what they stand for, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from ..ir.dims import Expr, evaluate, substitute, symbol, symbols
from .multiples import Multiple

Dim = int | Expr


@dataclass
class SizeFacts:
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

    def trial(self, fixed: Iterable[str]) -> Self:
        """What is known, with these symbols at their captured sizes; to be thrown away."""
        known = {**self.known, **{name: self.captured[name] for name in fixed}}
        return type(self)(
            dict(self.captured), known, {}, dict(self.limits), wholes=dict(self.wholes)
        )

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

    def _at_capture(self, dim: Dim) -> int:
        return evaluate(dim, self.captured)

    def _learn(self, name: str, dim: Dim, why: str) -> None:
        self.known[name] = dim
        self.evidence[name] = why


def renamed(sizes: SizeFacts, names: Mapping[str, str]) -> dict[str, Dim]:
    """What every symbol stands for, with the symbols that stay free under readable names."""
    free = {}
    for old, new in names.items():
        low, high = sizes.limits.get(old, (1, None))
        free[old] = symbol(new, low, high)
    return {name: substitute(sizes.of(name), free) for name in sizes.captured}
