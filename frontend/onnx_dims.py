"""The sizes of an ONNX model's inputs: of the file, of the user, and what operators demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import DType, Graph
from ..ir.dims import Expr, bounds, divide_exact, evaluate, line, substitute, symbol, symbols
from .inputs import InputSpec, multiple_of
from .multiples import Multiple, by_multiple, joint_multiples, multiples
from .onnx_dim_names import candidates, identifier, parts
from .solving import chosen_extremes, learn_limits, without_common_symbols
from .source import DimEvidence

Dim = int | Expr
_MOST_SIZES = 4097  # that are tried
_PREFERRED = (2, 3, 5, 7, 4, 6, 8, 9, 10, 12, 16, 17, 24, 32, 64)


@dataclass
class Dims:
    """The dim of every axis of every input as first written, and what was learned since."""

    written: dict[str, tuple[Dim, ...]]
    dtypes: dict[str, DType] = field(default_factory=dict)
    known: dict[str, Dim] = field(default_factory=dict)
    limits: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    captured: dict[str, int] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # names that an exporter made up
    wholes: dict[str, tuple[str, Multiple]] = field(default_factory=dict)  # quotients, of what
    readable: dict[str, str] = field(default_factory=dict)  # names of quotients, in the end

    @classmethod
    def of(
        cls, inputs: Sequence[Any], specs: Sequence[InputSpec], examples: Mapping[str, np.ndarray]
    ) -> Dims:
        """The dims that the file and the user state."""
        out = cls({})
        stated = {s.name: s for s in specs}
        names = {v.name for v in inputs}
        for spec in specs:
            if spec.name not in names:
                raise BadRequest(
                    f"the model has no input {spec.name!r}",
                    where="--input",
                    hint=f"its inputs: {', '.join(sorted(names))}",
                )
        taken: set[str] = {
            identifier(parts(str(d))[0]) for v in inputs if v.shape is not None for d in v.shape
        }
        for value in inputs:
            out._add(value, stated.get(value.name), examples.get(value.name), taken)
        return out

    def _add(self, value: Any, spec: InputSpec | None, example: Any, taken: set[str]) -> None:
        shape = None if value.shape is None else list(value.shape)
        if shape is None:
            shape = _rankless(value, spec, example)
        if spec is not None and len(spec.dims) != len(shape):
            raise BadRequest(
                f"the input {value.name!r} has {len(shape)} dims, --input gives {len(spec.dims)}"
            )
        dims: list[Dim] = []
        for axis, dim in enumerate(shape):
            given = spec.dims[axis] if spec is not None else None
            dims.append(self._dim(dim, given, axis, len(shape), taken))
            found = line(dims[-1]) if example is not None else None
            if found is not None:
                sym, slope, start = found
                self.captured.setdefault(sym.name, (int(example.shape[axis]) - start) // slope)
                if example.shape[axis] == 0:
                    dims[-1] = 0
        self.written[value.name] = tuple(dims)

    def _dim(self, dim: Any, given: int | str | None, axis: int, rank: int, taken: set[str]) -> Dim:
        if isinstance(dim, int):
            if dim < 0:
                raise BadRequest(f"an input has the size {dim}", hint="save the model again")
            if isinstance(given, int) and given != dim:
                raise BadRequest(f"the file fixes a dim at {dim}, --input says {given}")
            return dim
        text = str(getattr(dim, "value", dim) or "")
        base, factor, start = parts(text)
        name = identifier(base)
        if isinstance(given, int):
            name = name or self.renamed.get(base, "")
            if (given - start) % factor or given < factor + start:
                own = Multiple(factor, -start)
                raise BadRequest(f"the file has {own} there ({text}), --input says {given}")
            if name:
                self._learn(name, (given - start) // factor, "fixed by --input")
            return given
        if isinstance(given, str):
            name, factor, start = multiple_of(given)
            return factor * symbol(name) + start
        if base in self.renamed:
            return factor * symbol(self.renamed[base]) + start
        if not name:
            name = next(n for n in candidates(axis, rank) if n not in taken)
            taken.add(name)
            if base:
                self.renamed[base] = name
        return factor * symbol(name) + start

    # ---- reading

    def dtype(self, name: str) -> DType | None:
        return self.dtypes.get(name)

    def shape(self, name: str) -> tuple[Dim, ...]:
        return tuple(self._final(d) for d in self.written[name])

    def _final(self, dim: Dim) -> Dim:
        return substitute(dim, {s.name: self._of(s.name) for s in symbols(dim)})

    def _of(self, name: str) -> Dim:
        if name not in self.known:
            return symbol(self.readable.get(name, name), *self.limits.get(name, (1, None)))
        return self._final(self.known[name])

    # ---- learning

    def solve(self, left: Dim, right: Dim, where: str) -> None:
        """Make two sizes equal by learning about a symbol; TranspileError where that cannot be."""
        difference, text = left - right, f"{left} == {right}" + (f": {where}" if where else "")
        try:
            solved = self._by_limit(difference, text) or self._by_symbol(difference, text)
        except ZeroDivisionError:  # a stride of 0, or a quotient that has no value at some size
            solved = False
        if not solved:
            raise TranspileError(
                f"sizes {left} and {right} must be equal", where=where,
                hint="fix the dims with --input NAME=1,3,...:DTYPE",
            )  # fmt: skip

    def _by_limit(self, difference: Dim, text: str) -> bool:
        """Minima and maxima that must be one of their arguments bound symbols."""
        for needs in chosen_extremes(difference):
            found = learn_limits(needs, self.limits)
            if found:
                self.limits.update(found)
                self.why.update(dict.fromkeys(found, text))
                return True
        return False

    def _by_symbol(self, difference: Dim, text: str) -> bool:
        """Solve for one symbol; the one that appears last among the inputs gives way."""
        if isinstance(difference, int):
            return False
        difference = without_common_symbols(difference)
        order = self._order()
        for sym in sorted(symbols(difference), key=lambda s: -order.index(s.name)):
            value = _solution(difference, sym.name)
            if value is not None and sym.name not in {s.name for s in symbols(value)}:
                _, high = bounds(value)
                if (high is None or high >= 1) and (not isinstance(value, int) or value >= 1):
                    self._learn(sym.name, value, text)
                    return True
        return (
            self._by_tied_quotient(difference, text)
            or self._by_quotients(difference, text)
            or self._by_joint_quotient(difference, text)
            or self._by_trial(difference, text)
        )

    def _in_order(self, difference: Expr) -> dict[str, int]:
        """The symbols in it, in the order of the inputs, with sizes that solve it; 0 is any."""
        names = {s.name for s in symbols(difference)}
        return {n: self.captured.get(n, 0) for n in self._order() if n in names}

    def _by_tied_quotient(self, difference: Expr, text: str) -> bool:
        """A symbol that is a multiple of another: 64 times it, where its 8th is 8 times it."""
        sizes = self._in_order(difference)
        for name in reversed(sizes):
            rest, multiple = by_multiple(difference, name, sizes)
            quotient = _solution(rest, name) if multiple.factor > 1 else None
            if isinstance(quotient, Expr) and name not in {s.name for s in symbols(quotient)}:
                self._learn(name, multiple.of(quotient), text)
                return True
        return False

    def _by_quotients(self, difference: Expr, text: str) -> bool:
        """Symbols that are multiples of symbols of their own."""
        sizes = self._in_order(difference)
        found = multiples(difference, sizes, self.limits)
        if not found and len(sizes) == 1:
            ((name, size),) = sizes.items()
            around = {name: size or self._least(difference, name)}
            found = multiples(difference, around, self.limits)
        for name, multiple in found.items():
            self._divide(name, multiple, text.partition(": ")[2] or text)
        return bool(found)

    def _by_joint_quotient(self, difference: Expr, text: str) -> bool:
        """Two symbols that are multiples of one new symbol: `2*x == 3*y`."""
        sizes = self._in_order(difference)
        found = joint_multiples(difference, sizes)
        if found is None:
            return False
        (name, multiple), (other, dim) = found
        new = self._divide(name, multiple, text.partition(": ")[2] or text)
        self._learn(other, substitute(dim, {name: self._of(new)}), text)
        return True

    def _divide(self, name: str, multiple: Multiple, why: str) -> str:
        new = f"{name}/{multiple.factor}"
        self.limits[new] = multiple.limits(self.limits.get(name, (1, None)))
        if name in self.captured:
            self.captured[new] = multiple.quotient(self.captured[name])
        self.wholes[new] = name, multiple
        self._learn(name, multiple.of(self._of(new)), why)
        return new

    def name_quotients(self) -> bool:
        """Quotients that are free get the names of what they are quotients of; whether any did."""
        for root in {old for old, _ in self.wholes.values()} - self.wholes.keys():
            new = self._quotients(root)[-1]
            if new not in self.known:
                self.readable[new] = root
                if new in self.captured:
                    self.captured[root] = self.captured[new]
        return bool(self.readable)

    def _quotients(self, name: str) -> list[str]:
        """The symbol, its quotient, the quotient of that, and so on."""
        below = {old: new for new, (old, _) in self.wholes.items()}
        found = [name]
        while found[-1] in below:
            found.append(below[found[-1]])
        return found

    def _why(self, name: str) -> str:
        """What is known of a symbol and its quotients."""
        *divided, last = self._quotients(name)
        multiple = Multiple(1)
        for new in [*divided, last][:0:-1]:
            multiple = multiple.inside(self.wholes[new][1])
        places = ", ".join(dict.fromkeys(self.why[n] for n in divided))
        parts = [f"{multiple}: {places}"] if divided else []
        return "; ".join([*parts, *([self.why[last]] if last in self.why else [])])

    def _by_trial(self, difference: Expr, text: str) -> bool:
        """The one symbol of an equation that is not linear (a rounded quotient)."""
        found = [s.name for s in symbols(difference)]
        least = self._least(difference, found[0]) if len(found) == 1 else 0
        if least:
            self._learn(found[0], least, text)
        return bool(least)

    def _least(self, difference: Expr, name: str) -> int:
        """The least size that solves it; 0 where there is none."""
        for size in range(1, _MOST_SIZES):
            with suppress(ZeroDivisionError):
                if substitute(difference, {name: size}) == 0:
                    return size
        return 0

    def _learn(self, name: str, dim: Dim, why: str) -> None:
        self.known[name], self.why[name] = dim, why

    def raise_bounds(self, smallest: Mapping[str, tuple[int, str]]) -> bool:
        """Learn lower bounds of symbols; whether there are any."""
        for name, (low, why) in smallest.items():
            self.limits[name] = low, self.limits.get(name, (1, None))[1]
            self.why[name] = why
        return bool(smallest)

    def _order(self) -> list[str]:
        names: list[str] = []
        for shape in self.written.values():
            for dim in shape:
                names += sorted(s.name for s in symbols(self._final(dim)))
                names += sorted(s.name for s in symbols(dim))
        return names

    # ---- what became of them

    def sizes(self, graph: Graph) -> dict[str, int]:
        """A size for each free symbol: small, different, within its bounds."""
        out: dict[str, int] = {}
        for sym in graph.symbols():
            twice = [n for n in (2 * sym.low, sym.low) if _fits(n, sym.low, sym.high)]
            fits = [n for n in _PREFERRED if _fits(n, sym.low, sym.high)] or twice
            fresh = [n for n in fits if n not in out.values()] or fits
            out[sym.name] = self.captured.get(sym.name, fresh[0])
        return out

    def evidence(
        self, graph: Graph, order: Sequence[str], sizes: Mapping[str, int]
    ) -> list[DimEvidence]:
        found = []
        for name, value in zip(order, graph.inputs, strict=True):
            for axis, dim in enumerate(value.tensor.shape):
                found.append(self._evidence(name, axis, dim, sizes))
        return found

    def _evidence(self, name: str, axis: int, dim: Dim, sizes: Mapping[str, int]) -> DimEvidence:
        written = self.written[name][axis]
        notes = [note for s in symbols(written) if (note := self._why(s.name))]
        size = evaluate(dim, sizes)
        if isinstance(dim, int):
            return DimEvidence(name, axis, "static", size, None, "; ".join(notes) or "in the file")
        names = {s.name for s in symbols(written)}
        tied = any(self._quotients(n)[-1] in self.known for n in names)
        kind = "tied" if tied else "free" if str(dim).isidentifier() else "multiple"
        found = line(dim) if kind == "multiple" else None
        stated = f"{Multiple(found[1], -found[2])}: stated" if found else "free in the file"
        why = "; ".join(notes) or stated
        return DimEvidence(name, axis, kind, size, str(dim), why)


def _rankless(value: Any, spec: InputSpec | None, example: Any) -> list[Any]:
    if spec is not None:
        return list(spec.dims)
    if example is not None:
        return [None] * example.ndim
    raise TranspileError(
        f"the file does not say how many dims the input {value.name!r} has",
        hint=f"--input {value.name}=batch,3,...:DTYPE",
    )


def _fits(size: int, low: int, high: int | None) -> bool:
    return low <= size and (high is None or size <= high)


def _solution(difference: Dim, name: str) -> Dim | None:
    """The value of the symbol that makes a difference zero, where it is linear in it."""
    if isinstance(difference, int):
        return None
    try:
        at = [substitute(difference, {name: n}) for n in (0, 1, 2)]
    except ZeroDivisionError:  # it divides by a quotient of the symbol
        return None
    slope = at[1] - at[0]
    if slope == 0 or at[2] - at[1] != slope:
        return None
    return divide_exact(-at[0], slope)
