"""Sizes inside a class: every dim is expressed by what the shapes of the arguments give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import Value, dims
from ..ir.dims import Atom, Expr, Sym
from .slots import token

_LOWEST = -(1 << 40)  # of a size whose sign is unknown


@dataclass(frozen=True)
class DimSource:
    """Where a local size comes from: an axis of an argument, or (argument -1) an int argument, or
    (argument -2) a statement of the method.

    The size is `factor` times the graph's symbol `name` (or what has no name), and `start`.
    """

    argument: int
    axis: int
    name: str = ""
    factor: int = 1
    start: int = 0

    @property
    def plain(self) -> bool:
        """Whether the size is just the symbol."""
        return bool(self.name) and (self.factor, self.start) == (1, 0)

    @property
    def multiple(self) -> bool:
        """Whether the size is a multiple of something."""
        return self.factor > 1


class LocalDims:
    """Dims of the graph over the sizes of a class's arguments, as tokens."""

    def __init__(self) -> None:
        self.sources: list[DimSource] = []
        self.passed: list[Expr] = []  # dims that the caller must pass as ints
        self._whole: dict[Expr, Expr] = {}  # sizes that cannot be solved for their parts
        self._known: dict[Sym | Atom, int | Expr] = {}
        self._exact: set[Atom] = set()  # divisions that leave no remainder: sizes solved for

    def read(self, arguments: list[Value]) -> None:
        """Bind every symbolic size of an argument, unless the ones before give it already."""
        for i, value in enumerate(arguments):
            for axis, dim in enumerate(value.tensor.shape):
                if isinstance(dim, Expr) and self._express(dim) is None:
                    self._bind(dim, i, axis)

    def _new(self, source: DimSource, low: int | None = 1) -> Expr:
        self.sources.append(source)
        least = _LOWEST if low is None else min(low, 1)
        return dims.symbol(token("d", len(self.sources) - 1), least)

    def _bind(self, dim: Expr, argument: int, axis: int) -> None:
        """Solve `c * atom + k = size` for the one atom that is not known yet."""
        constant = 0
        unknown: list[tuple[Sym | Atom, int]] = []
        for monomial, coefficient in dim.terms:
            if not monomial:
                constant = coefficient
            elif len(monomial) > 1 or monomial[0][1] > 1 or monomial[0][0] in self._known:
                unknown = []
                break
            else:
                unknown.append((monomial[0][0], coefficient))
        if len(unknown) == 1 and unknown[0][1] > 0:
            atom, coefficient = unknown[0]
            name = atom.name if isinstance(atom, Sym) else ""
            size = self._new(DimSource(argument, axis, name, coefficient, constant))
            self._known[atom] = solved = dims.floordiv(size - constant, coefficient)
            self._exact |= dims.divisions(solved)
        elif not dims.data_decides(dim):
            self._whole[dim] = self._new(DimSource(argument, axis))

    def _express(self, dim: Expr) -> int | Expr | None:
        """The dim over local sizes, or None when they do not determine it."""
        out = self._over_known(dim)
        names = {s.name for s in dims.symbols(out)} if isinstance(out, Expr) else set()
        return out if all(name.startswith("\ue000") for name in names) else None

    def express(self, dim: Expr) -> int | Expr:
        """The dim over local sizes; what no argument's shape gives becomes an int argument."""
        local = self._express(dim)
        if local is None:
            for atom in dims.atoms(dim):
                self._pass(atom)
            local = self._over_known(dim)
        return local

    def _pass(self, atom: Sym | Atom) -> None:
        """An int argument for the atom, unless the others give it; for its opposite where it is
        never positive: `-L // 4`.
        """
        dim: Any = dims.lone(atom)
        sign = 1
        if self._express(dim) is not None:
            return
        high = dims.bounds(dim)[1]
        if high is not None and high <= 0:
            dim, sign = -dim, -1
        self.passed.append(dim)
        name = min(s.name for s in dims.symbols(dim))
        source = DimSource(-1, len(self.passed) - 1, name)
        self._known[atom] = sign * self._new(source, dims.bounds(dim)[0])

    def _over_known(self, dim: int | Expr) -> int | Expr:
        for whole, size in self._whole.items():
            dim = dims.in_terms_of(dim, whole, size)
        return dims.multiply_out(dims.rebuild(dim, self._value), self._exact)

    def _value(self, atom: Sym | Atom) -> int | Expr | None:
        """What the atom is known as; `(L + 7)//8` is a half, rounded up, of `(L + 3)//4`."""
        if atom in self._known or isinstance(atom, Sym):
            return self._known.get(atom)
        for other, size in self._known.items():
            if isinstance(other, Atom) and (found := dims.divided_further(atom, other, size)):
                return found
        return dims.apply(atom.kind, [self._over_known(a) for a in atom.args])

    def define(self, name: str) -> Expr:
        """The token for a size that depends on data, which a statement of the method finds out."""
        size = self._new(DimSource(-2, -1, name))
        self._known[Sym(name, 0)] = size
        return size

    def name(self, name: str, low: int | None) -> Expr:
        """The token for a size that a statement of the method computes from others."""
        return self._new(DimSource(-2, -1, name), low)

    def unknown(self, dim: Expr) -> list[str]:
        """The names of the sizes in the dim that nothing gives yet."""
        return sorted(s.name for s in dims.symbols(dim) if s not in self._known)

    def has(self, name: str) -> bool:
        return Sym(name, 0) in self._known

    def known(self) -> dict[Sym | Atom, int | Expr]:
        return dict(self._known)

    def symbols(self, names: Sequence[str]) -> dict[str, int | Expr]:
        """The graph's symbols over the local sizes, which have these names."""
        local = {token("d", i): dims.symbol(name) for i, name in enumerate(names)}
        return {
            atom.name: dims.substitute(size, local)
            for atom, size in self._known.items()
            if isinstance(atom, Sym)
        }

    def over(self, dim: Expr, names: Sequence[str]) -> int | Expr:
        """The dim over the local sizes, which have these names."""
        local = {token("d", i): dims.symbol(name) for i, name in enumerate(names)}
        return dims.substitute(self._over_known(dim), local)

    def restore(self, known: dict[Sym | Atom, int | Expr]) -> None:
        """Forget what was defined since then: a block ends."""
        self._known = known

    def axis(self, argument: int, axis: int) -> Expr:
        """The token for an axis of an argument whose size is a constant of the model."""
        for index, source in enumerate(self.sources):
            if (source.argument, source.axis) == (argument, axis):
                return dims.symbol(token("d", index))
        return self._new(DimSource(argument, axis))
