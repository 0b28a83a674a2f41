"""Formulas of the index analysis as nodes again, in the fewest ops.

Code is written for the indices of one shape; leading axes that a formula does not depend on are
left to broadcasting. A formula that has no short form is refused: None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..ir import DType, Value
from ..ir.dims import Atom, Expr, Sym, provably_le, symbols
from .index_terms import Both, Compare, Dim, Formula, Not, Read, own

Emit = Callable[..., Value]


# Positions along the axis before the last one are those of the queries: the rows of a mask.
_NAMES = {1: "rows"}


class NoShortForm(Exception):
    """The formula is not one that people would write as a line of code."""


@dataclass
class Code:
    """Writes formulas over the indices of `shape`.

    `emit(op, *operands, hint="", **attrs)` adds a node.
    """

    emit: Emit
    shape: tuple[Dim, ...]
    dtype: DType
    current: Callable[[Value], Value] = lambda value: value
    _counted: dict[int, Value] = field(default_factory=dict)
    _ranges: dict[Dim, Value] = field(default_factory=dict)

    def formula(self, formula: Formula) -> Value:
        """A boolean value that broadcasts to the shape."""
        match formula:
            case bool():
                return self.emit("full", shape=self.shape, value=formula, dtype=DType.bool)
            case Compare(left, kind):
                return self._compare(left, kind)
            case Read():
                return self._read(formula)
            case Not(read):
                return self.emit("invert", self._read(read))
            case Both(kind, parts):
                op = "bitwise_and" if kind == "and" else "bitwise_or"
                first, *rest = (self.formula(p) for p in sorted(parts, key=_place))
                for part in rest:
                    first = self.emit(op, first, part)
                return first

    # ---- comparisons

    def _compare(self, left: Expr, kind: str) -> Value:
        """`k <= q + c`, `k > q - c`, `k == q`: the later axis stands alone on the left."""
        constant, terms = _linear(left)
        if not terms or len(terms) > 2 or any(abs(c) != 1 for _, c in terms):
            raise NoShortForm
        (atom, sign), other = terms[-1], terms[:-1]
        if other and other[0][1] == sign:
            raise NoShortForm  # i + j >= c: no mask of positions
        # sign * atom + (rest) >= 0
        base: Any = self._atom(other[0][0]) if other else None
        if kind != ">=":
            op = "equal" if kind == "==" else "not_equal"
            return self._ordered(op, atom, base, -sign * constant)
        if sign < 0:
            return self._ordered("less_equal", atom, base, constant)
        if base is None or provably_le(1, constant):
            return self._ordered("greater", atom, base, -constant - 1)
        return self._ordered("greater_equal", atom, base, -constant)

    def _ordered(self, op: str, atom: Sym | Atom, base: Value | None, offset: Dim) -> Value:
        return self.emit(op, self._atom(atom), offset if base is None else self._plus(base, offset))

    def _plus(self, base: Value, offset: Dim) -> Value:
        if offset == 0:
            return base
        negative = isinstance(offset, int) and offset < 0
        return self.emit("subtract" if negative else "add", base, -offset if negative else offset)

    def _atom(self, atom: Sym | Atom) -> Value:
        if isinstance(atom, Sym):
            return self._index(int(atom.name[1:]))
        constant, terms = _linear(atom.args[0])
        plain = atom.kind == "floordiv" and len(terms) == 1 and terms[0][1] == 1 and constant == 0
        if not plain or not isinstance(terms[0][0], Sym):
            raise NoShortForm
        return self.emit("floor_divide", self._atom(terms[0][0]), atom.args[1])

    def _index(self, axis: int) -> Value:
        """0, 1, 2, ... along the axis, with axes of size 1 behind it."""
        if axis not in self._counted:
            counted = self._range(self.shape[axis])
            behind = tuple(range(1, len(self.shape) - axis))
            if behind:
                counted = self.emit(
                    "expand_dims", counted, axes=behind, hint=_NAMES.get(len(behind), "")
                )
            self._counted[axis] = counted
        return self._counted[axis]

    def _range(self, size: Dim) -> Value:
        if size not in self._ranges:
            self._ranges[size] = self.emit("arange", start=0, stop=size, step=1, dtype=self.dtype)
        return self._ranges[size]

    # ---- data

    def _read(self, read: Read) -> Value:
        """The data's axes put in the places of the indices that they are read at."""
        value = self.current(read.value)
        places = [_axis(at, self.shape) for at in read.at]
        sizes = value.tensor.shape
        for place, size in zip(places, sizes, strict=True):
            if size != (1 if place is None else self.shape[place]):
                raise NoShortForm
        kept = [p for p in places if p is not None]
        if kept != sorted(set(kept)):
            raise NoShortForm
        behind = len(self.shape) - len(places)
        if all(p is None or p == i + behind for i, p in enumerate(places)):
            return value
        unit = tuple(i for i, p in enumerate(places) if p is None)
        if unit:
            value = self.emit("squeeze", value, axes=unit)
        if not kept:
            return value
        first = kept[0]
        new = tuple(a - first for a in range(first, len(self.shape)) if a not in kept)
        return self.emit("expand_dims", value, axes=new) if new else value


def _place(part: Formula) -> tuple[int, int]:
    """Upper bounds of the keys first, then other comparisons, then data."""
    if not isinstance(part, Compare):
        return (2, 0)
    try:
        terms = _linear(part.left)[1]
    except NoShortForm:
        return (1, 1)
    return (0, 0) if terms and terms[-1][1] < 0 else (1, 0)


def _axis(at: Dim, shape: tuple[Dim, ...]) -> int | None:
    """The axis whose index this is; None for 0."""
    if at == 0:
        return None
    for axis, place in enumerate(own(shape)):
        if place == at:
            return axis
    raise NoShortForm


def _linear(left: Dim) -> tuple[Dim, list[tuple[Sym | Atom, int]]]:
    """Sizes and numbers, and what depends on indices, by axis, with whole factors."""
    constant: Dim = 0
    terms: list[tuple[Sym | Atom, int]] = []
    for monomial, factor in left.terms if isinstance(left, Expr) else ():
        inside = [a for a, _ in monomial if _depends(a)]
        if not inside:
            constant = constant + Expr(((monomial, factor),)) if monomial else constant + factor
        elif len(monomial) == 1 and monomial[0][1] == 1:
            terms.append((inside[0], factor))
        else:
            raise NoShortForm
    terms.sort(key=lambda t: str(min(_axes(t[0]))))
    return (left if isinstance(left, int) else constant), terms


def _axes(atom: Sym | Atom) -> set[str]:
    names = (
        {atom.name} if isinstance(atom, Sym) else {s.name for a in atom.args for s in symbols(a)}
    )
    return {n for n in names if n.startswith("$")}


def _depends(atom: Sym | Atom) -> bool:
    return bool(_axes(atom))
