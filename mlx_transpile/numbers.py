"""What a graph computes on fixed inputs, and how far another version of it is from that.

Graphs are evaluated in double precision (`interpret` with `wide`): a pass that keeps the meaning
moves the numbers by rounding errors of that precision, so the tolerance can be small enough to
see a wrong epsilon.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from .cases import size_sets
from .compare import Difference, Tolerance, compare
from .errors import BadRequest
from .ir import Graph
from .ir import recipe as rcp
from .ir.draws import drawn_values
from .ir.graph import Structure, leaves
from .ir.interpret import InterpretError, interpret

# Tables that a capture holds in float32 (rotary frequencies) differ from their formula by 1e-7 a
# position: that much is no error of a pass.
TOLERANCE = Tolerance(1e-5, 1e-5)
SETS = 2
# Sizes to try for symbols, after those of the capture: small ones, then what images and sounds ask.
_SIZES = ((5, 3, 7, 2), (17, 33, 12, 9), (32, 48, 64), (224, 256, 160), (400, 1600, 640), (1, 1))
# Float inputs are of these magnitudes in turn: an epsilon shows where the numbers are small.
_SCALES = (1.0, 0.05, 4.0)


@dataclass(frozen=True)
class InputSet:
    """Arrays for the inputs of a graph, and what to call them."""

    name: str
    inputs: list[np.ndarray]


@dataclass(frozen=True)
class Moved:
    """A result that is elsewhere now: on which inputs, which result, and by how much."""

    inputs: str
    result: str
    difference: Difference | None
    reason: str = ""

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.reason} ({self.inputs})"
        note = self.difference.note if np.isinf(self.difference.max_abs) else ""
        size = note or (
            f"max error {self.difference.max_abs:.2g} "
            f"({self.difference.max_rel:.2g} of the largest value)"
        )
        return f"{size} in {self.result} at {self.inputs}"


class NumbersMoved(Exception):
    """A graph computes something else than before."""

    def __init__(self, moved: Moved):
        super().__init__(f"the numbers moved: {moved}")
        self.moved = moved


@dataclass
class Numbers:
    """The results of a graph on sets of inputs; `tensors` has what its recipes read."""

    sets: list[InputSet]
    tensors: Mapping[str, np.ndarray]
    results: list[Any]
    tolerance: Tolerance = TOLERANCE
    skipped: list[str] = field(default_factory=list)

    def moved(self, graph: Graph) -> Moved | None:
        """Where the graph's results are beyond tolerance, the worst of the first such set."""
        for given, want in zip(self.sets, self.results, strict=True):
            try:
                got = evaluate(graph, given.inputs, self.tensors)
            except (InterpretError, KeyError) as error:
                return Moved(given.name, "", None, f"the graph no longer runs: {error}")
            found = list(differences(got, want, self.tolerance))
            if found:
                name, worst = max(found, key=lambda f: f[1].max_rel)
                return Moved(given.name, name, worst)
        return None

    def check(self, graph: Graph, pass_: Any = None) -> None:
        """Raise NumbersMoved where the graph's results are beyond tolerance."""
        moved = self.moved(graph)
        if moved is not None:
            raise NumbersMoved(moved)


def numbers(
    graph: Graph,
    tensors: Mapping[str, np.ndarray],
    *,
    captured: Mapping[str, int] | None = None,
    given: Sequence[InputSet] = (),
    sets: int = SETS,
    seed: int = 0,
    tolerance: Tolerance = TOLERANCE,
) -> Numbers:
    """Evaluate the graph on the given inputs, or else on random ones at `sets` sets of sizes.

    Sizes at which the graph does not run are left out (`skipped` says so). BadRequest where
    it runs at none.
    """
    out = Numbers([], tensors, [], tolerance)
    wanted = len(given) if given else sets
    for candidate in given or _random_sets(graph, captured or {}, seed, sets):
        try:
            result = evaluate(graph, candidate.inputs, tensors)
        except KeyError as error:
            raise _missing(error) from None
        except InterpretError as error:
            out.skipped.append(f"{candidate.name}: {error}")
            continue
        out.sets.append(candidate)
        out.results.append(result)
        if len(out.sets) == wanted:
            break
    if not out.sets:
        raise BadRequest(
            "the IR runs on none of the inputs: " + "; ".join(out.skipped[:2]),
            hint="other sizes or inputs (--data FILE.safetensors)",
        )
    return out


def _missing(error: KeyError) -> BadRequest:
    return BadRequest(
        f"the IR reads the tensor {error.args[0]!r}, whose data is not at hand",
        hint="--weights FILE.safetensors",
    )


def evaluate(
    graph: Graph,
    inputs: Sequence[np.ndarray],
    tensors: Mapping[str, np.ndarray],
    draws: Sequence[np.ndarray] = (),
) -> Any:
    """The graph's result in double precision; `draws` are its random numbers, else its own."""
    with np.errstate(all="ignore"):
        return interpret(graph, inputs, tensors, wide=True, draws=dict(enumerate(draws)))


def _random_sets(
    graph: Graph, captured: Mapping[str, int], seed: int, count: int
) -> Iterator[InputSet]:
    """Random inputs at ever other sizes; one size after another where there are no symbols."""
    from .frontend.random_inputs import random_inputs

    for number, sizes in enumerate(_sizes(graph, captured, count)):
        rng = np.random.default_rng([seed, number])
        inputs = random_inputs(graph, sizes, rng)
        scale = _SCALES[number % len(_SCALES)]
        inputs = [x * np.asarray(scale, x.dtype) if _is_float(x) else x for x in inputs]
        shown = ", ".join(f"{k}={v}" for k, v in sizes.items()) or f"random inputs {number + 1}"
        yield InputSet(shown, inputs)


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind in "fcV"


def _sizes(graph: Graph, captured: Mapping[str, int], count: int) -> list[dict[str, int]]:
    """Sets of sizes to try: every symbol takes another size in each, where its bounds allow."""
    symbols = graph.symbols()
    if not symbols:
        return [{}] * count
    found: list[dict[str, int]] = []
    if all(s.name in captured for s in symbols):
        found.append({s.name: captured[s.name] for s in symbols})
    for sizes in _SIZES:
        found += islice(size_sets(graph, {}, sizes), 2)
    return [s for i, s in enumerate(found) if s not in found[:i]]


def differences(
    got: Structure, want: Structure, tolerance: Tolerance
) -> Iterator[tuple[str, Difference]]:
    """The results that differ beyond tolerance, with their names."""
    found, expected = list(leaves(got)), list(leaves(want))
    if len(found) != len(expected):
        note = f"{len(found)} results instead of {len(expected)}"
        yield "the results", Difference(np.inf, np.inf, 0.0, False, note)
        return
    for name, a, b in zip(_names(want), found, expected, strict=True):
        difference = compare(a, b, tolerance)
        if not difference.ok:
            yield name, difference


def _names(tree: Structure, path: str = "result") -> Iterator[str]:
    """A name for every leaf of the structure: the result `logits`, `result[1]`."""
    if isinstance(tree, Mapping):
        for key, part in tree.items():
            yield from _names(part, f"{path}[{key!r}]")
    elif isinstance(tree, tuple | list):
        for place, part in enumerate(tree):
            yield from _names(part, f"{path}[{place}]")
    else:
        yield path


def drawn_results(graph: Graph) -> list[str]:
    """The names of the results that depend on random numbers."""
    drawn = drawn_values(graph)
    pairs = zip(_names(graph.result), leaves(graph.result), strict=True)
    return [name for name, leaf in pairs if leaf in drawn]


# ---- tensors for IR that comes without


def random_tensors(
    graph: Graph, known: Mapping[str, tuple[str, Sequence[int]]] | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """Random data for every tensor that a recipe reads, in magnitudes that networks have.

    `known` states types (element type, shape) that recipes do not tell. A tensor whose type
    stays unknown is left out.
    """
    types = {name: (str(d), tuple(s)) for name, (d, s) in (known or {}).items()}
    for param in graph.params.values():
        shape = tuple(int(d) for d in param.tensor.shape if isinstance(d, int))
        _learn(param.recipe, str(param.tensor.dtype), shape, types)
    variances = _variances(graph)
    return {
        name: _tensor(dtype, shape, name in variances, np.random.default_rng([seed, number]))
        for number, (name, (dtype, shape)) in enumerate(sorted(types.items()))
    }


def source_types(graph: Graph) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The types of the tensors that the recipes read, as far as the recipes tell."""
    types: dict[str, tuple[str, tuple[int, ...]]] = {}
    for param in graph.params.values():
        shape = tuple(int(d) for d in param.tensor.shape if isinstance(d, int))
        _learn(param.recipe, str(param.tensor.dtype), shape, types)
    return types


def _learn(recipe: rcp.Recipe, dtype: str, shape: tuple[int, ...], types: dict[str, Any]) -> None:
    """What a recipe's own type says about the tensors that it reads."""
    match recipe:
        case rcp.Read(name):
            types.setdefault(name, (dtype, shape))
        case rcp.Permute(of, axes):
            inner = [0] * len(axes)
            for place, axis in enumerate(axes):
                inner[axis] = shape[place]
            _learn(of, dtype, tuple(inner), types)
        case rcp.Cast(of):
            _learn(of, dtype, shape, types)
        case rcp.Dequantize(of, scales, zeros, low=low, steps=steps):
            _learn(of, "i8" if low else "u8", shape, types)
            _learn(scales, dtype, steps, types)
            _learn(zeros, "i8" if low else "u8", steps, types)


def _variances(graph: Graph) -> set[str]:
    """Tensors that are variances, which must not be negative."""
    return {
        name
        for node in graph.nodes
        for operand, role in zip(node.operands, node.row.operand_names)
        if role.lstrip("*") in ("var", "variance") and operand in graph.params.values()
        for name in rcp.reads(operand.recipe)  # type: ignore[union-attr]
    }


def _tensor(
    dtype: str, shape: tuple[int, ...], variance: bool, rng: np.random.Generator
) -> np.ndarray:
    from .ir import DType

    kind = DType(dtype)
    if kind is DType.bool:
        return np.asarray(rng.random(shape) < 0.7)
    if kind.is_integer:
        return np.asarray(rng.integers(0, 3, shape)).astype(kind.numpy)
    noise = np.asarray(rng.standard_normal(shape))
    if len(shape) > 1:
        noise = noise * (2.0 / np.prod(shape[1:])) ** 0.5
    else:
        noise = 0.5 + np.abs(noise) if variance else 1 + 0.3 * noise
    return noise.astype(kind.numpy)
