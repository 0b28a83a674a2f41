"""The sizes of an ONNX model's inputs: of the file, of the user, and what operators demand."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadRequest, TranspileError
from ..ir import DType, Graph
from ..ir.dims import Expr, bounds, divide_exact, evaluate, substitute, symbol, symbols
from .inputs import InputSpec
from .solving import chosen_extremes, learn_limits, without_common_symbols
from .source import DimEvidence

Dim = int | Expr
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
            _identifier(str(d)) for v in inputs if v.shape is not None for d in v.shape
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
            for sym in symbols(dims[-1]) if example is not None else ():
                if dims[-1] == symbol(sym.name):
                    self.captured.setdefault(sym.name, int(example.shape[axis]))
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
        name = _identifier(text)
        if isinstance(given, int):
            name = name or self.renamed.get(text, "")
            if name:
                self._learn(name, given, "fixed by --input")
            return given
        if isinstance(given, str):
            name = given
        if text in self.renamed and not isinstance(given, str):
            return symbol(self.renamed[text])
        if not name:
            name = next(n for n in _candidates(axis, rank) if n not in taken)
            taken.add(name)
            if text:
                self.renamed[text] = name
        return symbol(name)

    # ---- reading

    def dtype(self, name: str) -> DType | None:
        return self.dtypes.get(name)

    def shape(self, name: str) -> tuple[Dim, ...]:
        return tuple(self._final(d) for d in self.written[name])

    def _final(self, dim: Dim) -> Dim:
        return substitute(dim, {s.name: self._of(s.name) for s in symbols(dim)})

    def _of(self, name: str) -> Dim:
        if name not in self.known:
            return symbol(name, *self.limits.get(name, (1, None)))
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
        return self._by_trial(difference, text)

    def _by_trial(self, difference: Expr, text: str) -> bool:
        """The one symbol of an equation that is not linear (a rounded quotient)."""
        found = [s.name for s in symbols(difference)]
        if len(found) != 1:
            return False
        for size in range(1, 4097):
            if substitute(difference, {found[0]: size}) == 0:
                self._learn(found[0], size, text)
                return True
        return False

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
        notes = [self.why[s.name] for s in symbols(written) if s.name in self.why]
        size = evaluate(dim, sizes)
        if isinstance(dim, int):
            return DimEvidence(name, axis, "static", size, None, "; ".join(notes) or "in the file")
        tied = any(s.name in self.known for s in symbols(written))
        why = "; ".join(notes) or "free in the file"
        return DimEvidence(name, axis, "tied" if tied else "free", size, str(dim), why)


def _rankless(value: Any, spec: InputSpec | None, example: Any) -> list[Any]:
    if spec is not None:
        return list(spec.dims)
    if example is not None:
        return [None] * example.ndim
    raise TranspileError(
        f"the file does not say how many dims the input {value.name!r} has",
        hint=f"--input {value.name}=batch,3,...:DTYPE",
    )


def _identifier(text: str) -> str:
    """A dim's name as an identifier; "" where it says nothing (`s72`, as torch counts them)."""
    if re.fullmatch(r"unk__.*|[su]\d+|None|\?|-1", text):
        return ""
    name = re.sub(r"\W+", "_", text).strip("_")
    if not name or not name.isascii() or keyword.iskeyword(name):
        return ""
    return f"n_{name}" if name[0].isdigit() else name


def _candidates(axis: int, rank: int) -> Iterator[str]:
    if axis == 0 and rank > 1:
        yield from ("B", "N")
    elif rank == 4:
        yield from ("H", "W")
    yield from ("L", "T", "S", "N", "M", "K", "P", "Q", "R")
    number = 1
    while True:
        yield f"D{number}"
        number += 1


def _fits(size: int, low: int, high: int | None) -> bool:
    return low <= size and (high is None or size <= high)


def _solution(difference: Dim, name: str) -> Dim | None:
    """The value of the symbol that makes a difference zero, where it is linear in it."""
    if isinstance(difference, int):
        return None
    at = [substitute(difference, {name: n}) for n in (0, 1, 2)]
    slope = at[1] - at[0]
    if slope == 0 or at[2] - at[1] != slope:
        return None
    return divide_exact(-at[0], slope)
