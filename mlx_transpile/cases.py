"""Inputs at chosen sizes and what the source makes of them, for reference and validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .errors import TranspileError
from .frontend.source import Captured
from .ir import Graph, dims
from .ir.dims import Sym
from .ir.draws import draws, repeated_draws

SIZES = (1, 3, 17)


@dataclass(frozen=True)
class Case:
    """One run of the source: the sizes of its symbols, flat inputs, nested result, and the random
    numbers that it drew: None where it draws what cannot be known.
    """

    sizes: dict[str, int]
    inputs: list[np.ndarray]
    result: Any
    draws: list[np.ndarray] | None = field(default_factory=list)


@dataclass(frozen=True)
class Unrunnable:
    """Sizes at which the source itself does not run, and what it said."""

    sizes: dict[str, int]
    reason: str


def size_sets(
    graph: Graph, captured: Mapping[str, int], sizes: Sequence[int] = SIZES
) -> list[dict[str, int]]:
    """Sizes to run at: the captured ones, then sets in which every symbol takes each of `sizes`.

    Sizes stay within a symbol's bounds. Symbols are rotated against each other and differ where
    they can, so that sizes which only look equal come apart.
    """
    symbols, units = graph.symbols(), units_of(graph)
    choices = {
        s.name: _choices(s, captured.get(s.name), _of_unit(sizes, units.get(s.name, 1)))
        for s in symbols
    }
    sets = (
        [{s.name: captured[s.name] for s in symbols}]
        if all(s.name in captured for s in symbols)
        else []
    )
    for turn in range(max((len(c) for c in choices.values()), default=0)):
        chosen: dict[str, int] = {}
        for i, (name, c) in enumerate(choices.items()):
            rotated = [c[(turn + i + k) % len(c)] for k in range(len(c))]
            chosen[name] = next((s for s in rotated if s not in chosen.values()), rotated[0])
        sets.append(chosen)
    return [s for i, s in enumerate(sets) if s not in sets[:i]]


def units_of(graph: Graph) -> dict[str, int]:
    """What symbols are multiplied by in the sizes of the inputs: 4 for H where there is `4*H`."""
    found: dict[str, int] = {}
    for dim in (d for value in graph.inputs for d in value.tensor.shape):
        if line := dims.line(dim):
            symbol, slope, _ = line
            found[symbol.name] = min(found.get(symbol.name, slope), slope)
    return found


def _of_unit(sizes: Sequence[int], unit: int) -> Sequence[int]:
    """Small sizes of a symbol that stands for so many rows: the largest is of about as many."""
    return sizes if unit == 1 else list(dict.fromkeys((1, 2, max(sizes) // unit | 1)))


def _choices(symbol: Sym, captured: int | None, sizes: Sequence[int]) -> list[int]:
    allowed = [s for s in sizes if _fits(symbol, s)]
    if len(allowed) < 2:
        more = [symbol.low, captured or symbol.low, symbol.high or symbol.low + 1]
        allowed = list(dict.fromkeys([*allowed, *more]))
    return allowed


def _fits(symbol: Sym, size: int) -> bool:
    return symbol.low <= size and (symbol.high is None or size <= symbol.high)


def further_sizes(symbol: Sym, captured: int) -> list[int]:
    """Sizes to try alone, for a symbol that so far ran at one size only."""
    return [s for s in (*SIZES, captured + 1, captured - 1, 2 * captured) if _fits(symbol, s)]


def captured_sizes(captured: Captured) -> dict[str, int]:
    """The sizes of the symbols at capture."""
    found: dict[str, int] = {}
    for evidence in captured.dims:
        dim = dims.parse_dim(evidence.symbol, {}) if evidence.symbol is not None else 0
        if line := dims.line(dim):
            symbol, slope, start = line
            found.setdefault(symbol.name, (evidence.size - start) // slope)
    return found


def run_cases(
    captured: Captured,
    sets: Sequence[Mapping[str, int]],
    seed: int,
    on_run: Callable[[Mapping[str, int]], None] = lambda s: None,
) -> Iterator[Case | Unrunnable]:
    """Run the source at each set of sizes on random inputs."""
    from .frontend.random_inputs import random_inputs

    for number, sizes in enumerate(sets):
        on_run(sizes)
        rng = np.random.default_rng([seed, number])
        graph, unsorted = captured.program.forward, captured.unsorted
        inputs = random_inputs(graph, dict(sizes), rng, unsorted)
        try:
            yield run_case(captured, dict(sizes), inputs)
        except Exception as error:
            yield Unrunnable(dict(sizes), _first_line(error))


def run_case(captured: Captured, sizes: dict[str, int], inputs: list[np.ndarray]) -> Case:
    """Run the source on the inputs."""
    if not captured.drawn:
        return Case(sizes, inputs, captured.run(inputs))
    if captured.run_drawing is None:
        return Case(sizes, inputs, captured.run(inputs), None)
    result, found = captured.run_drawing(inputs)
    return Case(sizes, inputs, result, kept_draws(captured, found))


def draws_are_seen(captured: Captured) -> bool:
    """Whether it can be told which of its draws the source gives.

    Where a block draws, the data may decide how often: then no draw may be gone.
    """
    graph = captured.program.forward
    whole = len(draws(graph)) == captured.drawn
    return captured.run_drawing is not None and (whole or not repeated_draws(graph))


def kept_draws(captured: Captured, found: list[np.ndarray]) -> list[np.ndarray] | None:
    """Of the source's draws those that the graph still has; None where they cannot be told.

    TranspileError where the source draws otherwise than the graph did at capture.
    """
    graph = captured.program.forward
    live = [node["draw"] for node in draws(graph)]
    if not draws_are_seen(captured):
        return None
    if repeated_draws(graph):
        return found
    if len(found) != captured.drawn:
        raise TranspileError(
            f"the source draws random numbers {len(found)} times, its graph {captured.drawn} times"
        )
    return [found[number] for number in live]


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"
