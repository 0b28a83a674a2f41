"""Which dims of the inputs are free: by equations found in walks, and by running the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Graph, Unequal
from ..ir.dims import evaluate, symbols
from ..ir.graph import leaves
from .arrays import as_arrays
from .equations import Dim, Sizes, Unsolvable
from .lookups import needs
from .random_inputs import random_inputs
from .size_facts import renamed
from .source import DimEvidence
from .unrolled import unrolled

Build = Callable[[Mapping[str, Dim]], Graph]
Run = Callable[[Sequence[np.ndarray]], Any]

_SEED = 20
_MOST_WALKS = 200


@dataclass(frozen=True)
class Axis:
    """One dim of one input, under the symbol that stands for it at first."""

    input: str
    axis: int
    symbol: str
    rank: int
    floating: bool


# ---- equations


def settle(build: Build, sizes: Sizes) -> Graph:
    """Walk until every equation between sizes is solved; TranspileError where one cannot be."""
    for _ in range(_MOST_WALKS):
        _check_stated(sizes)
        try:
            return build({name: sizes.of(name) for name in sizes.captured})
        except Unequal as equation:
            where = getattr(equation, "__notes__", [""])[0]
            try:
                sizes.solve(equation.left, equation.right, where)
            except Unsolvable as error:
                raise TranspileError(f"sizes do not fit: {error}", where=where) from None
        except TranspileError as error:
            if not _fix_what_must_be(build, sizes, error):
                raise
    raise TranspileError(
        "the sizes of the inputs do not settle", hint="give every dim a size with --input"
    )


def _check_stated(sizes: Sizes) -> None:
    """A dim that the user calls free is not fixed at a size that was only tried."""
    for name in sizes.stated:
        if isinstance(sizes.of(name), int):
            raise TranspileError(
                f"the size {name} cannot be free: {sizes.evidence.get(name, '')}",
                hint=f"write its size as a number in --input, in the place of {name}",
            )


def _fix_what_must_be(build: Build, sizes: Sizes, error: TranspileError) -> bool:
    """Some ops need fixed sizes. Fix all dims, then free them again one by one while it works."""
    names = free_symbols(sizes)
    if not names or sizes.stated or not _walks(build, sizes, names):
        return False
    fixed = list(names)
    for name in names:
        if _walks(build, sizes, rest := [n for n in fixed if n != name]):
            fixed = rest
    for name in fixed:
        sizes.fix(name, sizes.captured[name], f"free, it fails: {error.what}; {error.where}")
    return bool(fixed)


def _walks(build: Build, sizes: Sizes, fixed: Iterable[str]) -> bool:
    trial = sizes.trial(fixed)
    for _ in range(_MOST_WALKS):
        try:
            build({name: trial.of(name) for name in trial.captured})
            return True
        except Unequal as equation:
            try:
                trial.solve(equation.left, equation.right, "")
            except Unsolvable:
                return False
        except TranspileError:
            return False
    return False


def free_symbols(sizes: Sizes) -> list[str]:
    return [name for name in sizes.captured if name not in sizes.known]


# ---- runs


@dataclass
class Probe:
    """Runs the source at sizes of the free symbols, and remembers what was run."""

    graph: Graph
    run: Run
    sizes: Sizes
    ran: dict[str, set[int]] = field(default_factory=dict)
    message: str = ""
    _messages: dict[tuple[tuple[str, int], ...], str] = field(default_factory=dict)

    def works(self, trial: Mapping[str, int]) -> bool:
        """Whether the source runs at these sizes and returns what the graph predicts."""
        sizes = {**self._captured(), **trial}
        key = tuple(sizes.items())
        if key not in self._messages:
            self._messages[key] = self._failure(sizes)
        self.message = self._messages[key]
        if not self.message:
            for name, size in sizes.items():
                self.ran.setdefault(name, set()).add(size)
        return not self.message

    def _failure(self, sizes: Mapping[str, int]) -> str:
        try:
            inputs = random_inputs(self.graph, sizes, np.random.default_rng(_SEED))
            return self._mismatch(self.run(inputs), sizes)
        except Exception as error:
            return _first_line(error)

    def _captured(self) -> dict[str, int]:
        return {name: self.sizes.captured[name] for name in free_symbols(self.sizes)}

    def _mismatch(self, result: Any, sizes: Mapping[str, int]) -> str:
        """How the result's shapes differ from the graph's, or ""."""
        expected = [v.tensor.shape for v in self.graph.outputs]
        found = [a for a in leaves(as_arrays(self.graph.result, result)) if hasattr(a, "ndim")]
        if len(expected) != len(found):
            return f"{len(found)} tensors are returned, the graph has {len(expected)}"
        for shape, array in zip(expected, found):
            if len(shape) != array.ndim:
                return f"a result of rank {array.ndim}, the graph has {len(shape)}"
            for dim, size in zip(shape, array.shape):
                if _known(dim, sizes) not in (None, size):
                    return f"a result has the size {size} where {dim} was computed"
        return ""


def _known(dim: Dim, sizes: Mapping[str, int]) -> int | None:
    return evaluate(dim, sizes) if all(s.name in sizes for s in symbols(dim)) else None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [
        line for line in lines if line.startswith(("RuntimeError:", "IndexError:", "ValueError:"))
    ]
    text = (told or lines[-1:] or [type(error).__name__])[-1]
    return text.removeprefix("RuntimeError: ")[:160]


def probe(build: Build, sizes: Sizes, run: Run) -> tuple[Graph, dict[str, set[int]]]:
    """Leave free what runs at other sizes. Returns the graph, and the sizes each symbol ran at."""
    graph = settle(build, sizes)
    if _bound_by_tables(graph, sizes):
        graph = settle(build, sizes)
    if _fix_unrolled(graph, sizes):
        graph = settle(build, sizes)
    while True:
        trial = Probe(graph, run, sizes)
        if not trial.works({}):
            raise TranspileError(
                f"the source does not run on random inputs of the captured sizes: {trial.message}",
                hint="state the inputs: --input NAME=DIMS:DTYPE",
            )
        if not _restrict(trial):
            return graph, trial.ran
        graph = settle(build, sizes)


def _bound_by_tables(graph: Graph, sizes: Sizes) -> bool:
    """Lengths whose positions would run past a table get a bound; whether any did."""
    bounded = [sizes.require(need, text) for need, text in needs(graph)]
    return any(bounded)


def _fix_unrolled(graph: Graph, sizes: Sizes) -> bool:
    """Dims over which a loop was unrolled keep the captured size; whether there are any."""
    found = dict(unrolled(graph, sizes.captured))
    for name, why in found.items():
        sizes.fix(name, sizes.captured[name], f"a loop over it was unrolled: {why}")
    return bool(found)


def _restrict(trial: Probe) -> bool:
    """Tie, bound or fix the first symbol at which runs fail; whether there was one."""
    sizes = trial.sizes
    for plan in _ROUNDS:
        names = free_symbols(sizes)
        wanted = {
            n: _within(plan(sizes.captured[n], i, sizes.multiple(n).factor), sizes.limits.get(n))
            for i, n in enumerate(names)
        }
        if trial.works(wanted):
            continue
        for name, size, message in _culprits(trial, wanted):
            if _tie_from_failure(trial, wanted, name, message):
                return True
            if _learn_from_failure(trial, name, size, message):
                _check_stated(sizes)
                return True
    return False


# What to run at, given the captured size, the number of the symbol and what the dim is a multiple
# of: all symbols at once, at different sizes. Of large multiples only few are run.
_ROUNDS: tuple[Callable[[int, int, int], int], ...] = (
    lambda size, i, unit: size + 1 + (2 * i if unit == 1 else i % 3),
    lambda size, i, unit: 2 * size,
    lambda size, i, unit: size + (15 - 2 * i if unit == 1 else 3 - i % 3),
    lambda size, i, unit: (3, 2, 5, 4, 7, 6)[i % 6] if unit < 8 else (3, 2, 1)[i % 3],
    lambda size, i, unit: 17 + i if unit == 1 else 17 // unit + 1 + i % 3,
    lambda size, i, unit: 1,
)


def _within(size: int, limits: tuple[int, int | None] | None) -> int:
    low, high = limits or (1, None)
    return max(low, size if high is None else min(size, high))


def _culprits(trial: Probe, wanted: Mapping[str, int]) -> list[tuple[str, int, str]]:
    """The symbols that make the run fail: added one after the other to a run that works."""
    good: dict[str, int] = {}
    found = []
    for name, size in wanted.items():
        if trial.works({**good, name: size}):
            good[name] = size
        else:
            found.append((name, size, trial.message))
    return found


def _tie_from_failure(trial: Probe, wanted: Mapping[str, int], name: str, message: str) -> bool:
    """Two dims of one captured size that work at other sizes only where they are equal are tied."""
    sizes, order = trial.sizes, list(wanted)
    for other in order:
        if other == name or sizes.captured[other] != sizes.captured[name]:
            continue
        if other in sizes.known or name in sizes.known:
            continue
        first, second = sorted((name, other), key=order.index)
        if _only_together(trial, first, second):
            sizes.known[second] = sizes.of(first)
            sizes.evidence[second] = f"fails unless equal: {message}"
            return True
    return False


def _only_together(trial: Probe, first: str, second: str) -> bool:
    size = trial.sizes.captured[first] + 1
    if not trial.works({first: size, second: size}):
        return False
    apart = ({first: size, second: size - 1}, {first: size - 1, second: size})
    return not all(trial.works(sizes) for sizes in apart)


def _learn_from_failure(trial: Probe, name: str, size: int, message: str) -> bool:
    """A bound where all sizes on the way work, else the captured size."""
    captured = trial.sizes.captured[name]
    step = 1 if size > captured else -1
    why = f"fails at {size}: {message}"
    if size == captured or not trial.works({name: captured + step}):
        other = captured - step
        if other < 1 or not trial.works({name: other}):
            trial.sizes.fix(name, captured, why)
            return True
        limit = captured
    else:
        limit = _last_good(trial, name, captured + step, size)
    low, high = trial.sizes.limits.get(name, (1, None))
    bounds = (low, limit) if step > 0 else (limit, high)
    if trial.sizes.limits.get(name) == bounds:  # known already: it fails together with another
        trial.sizes.fix(name, captured, why)
        return True
    trial.sizes.limits[name] = bounds
    trial.sizes.evidence[name] = f"{'at most' if step > 0 else 'at least'} {limit}: {why}"
    return True


def _last_good(trial: Probe, name: str, good: int, bad: int) -> int:
    """The size nearest to `bad` that works, if those between behave alike."""
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        if trial.works({name: middle}):
            good = middle
        else:
            bad = middle
    return good


# ---- names and evidence


def readable_names(axes: Sequence[Axis], sizes: Sizes, given: Mapping[str, str]) -> dict[str, str]:
    """Names of the symbols that stay free: B for a leading axis, then L, T, S ...; H and W."""
    names: dict[str, str] = {}
    free = {sizes.root(name): name for name in free_symbols(sizes)}
    for axis in axes:
        symbol = free.get(axis.symbol)
        if symbol is None or symbol in names:
            continue
        own = next((given[n] for n in sizes.chain(symbol) if n in given), None)
        taken = set(names.values()) | set(given.values())
        wanted = (n for n in _candidates(axis) if n not in taken)
        names[symbol] = own if own is not None else next(wanted)
    return names


def _candidates(axis: Axis) -> Iterable[str]:
    if axis.axis == 0 and axis.rank > 1:
        yield from ("B", "N")
    elif axis.rank == 4 and axis.floating:
        yield from ("H", "W")
    yield from ("L", "T", "S", "N", "M", "K", "P", "Q", "R")
    number = 1
    while True:
        yield f"D{number}"
        number += 1


def evidence(
    axes: Sequence[Axis], sizes: Sizes, names: Mapping[str, str], ran: Mapping[str, set[int]]
) -> list[DimEvidence]:
    """What became of every dim of every input."""
    final = renamed(sizes, names)
    return [_evidence_of(axis, final[axis.symbol], sizes, ran) for axis in axes]


def _evidence_of(axis: Axis, dim: Dim, sizes: Sizes, ran: Mapping[str, set[int]]) -> DimEvidence:
    size, why = sizes.captured[axis.symbol], sizes.why(axis.symbol)
    if isinstance(dim, int):
        fixed = sizes.evidence.get(sizes.quotients(axis.symbol)[-1], why)
        return DimEvidence(axis.input, axis.axis, "static", size, None, fixed)
    (own,) = [s.name for s in symbols(sizes.of(axis.symbol))][:1]
    if sizes.root(own) != axis.symbol:
        return DimEvidence(axis.input, axis.axis, "tied", size, str(dim), why)
    kind = "free" if own == axis.symbol else "multiple"
    at = sorted(evaluate(sizes.of(axis.symbol), {own: n}) for n in ran.get(own, ()))
    runs = f"ran at {', '.join(map(str, at))}"
    parts = (why, runs) if kind == "multiple" else (runs, why)
    return DimEvidence(axis.input, axis.axis, kind, size, str(dim), "; ".join(filter(None, parts)))
