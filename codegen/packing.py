"""Weights that the source holds as whole numbers, and how MLX's packed layers hold them.

MLX packs a matrix [out, in] into words of 32 bits: `weight = scales * q + biases`, where q has
few bits and no sign, with a scale and a bias for each 32, 64 or 128 numbers of a row. A zero point
is the bias `-scales * (zero - low)`: nothing is rounded to other steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Graph, Param
from ..ir import recipe as rcp

GROUPS = (128, 64, 32)
BITS = (2, 4, 8)  # of those that MLX has, what sources store


@dataclass(frozen=True)
class Fit:
    """A weight [out, in] that MLX can hold as it is; `groups` are the sizes that do, large first.

    `fixed`: the source has such groups itself, not one scale a row.
    """

    weight: rcp.Dequantize
    groups: tuple[int, ...]
    fixed: bool

    @property
    def bits(self) -> int:
        return self.weight.bits


def fit(param: Param) -> Fit | str:
    """How MLX holds the weight; why it cannot, for a weight of whole numbers; "" for others, and
    for vectors, which are always floats.
    """
    stored = any(isinstance(r, rcp.Dequantize) for r in rcp.recipes_in(param.recipe))
    if not stored or param.tensor.rank < 2:
        return ""
    shape = tuple(int(str(d)) for d in param.tensor.shape)
    weight = _outermost(param.recipe)
    if len(shape) != 2:
        return "only matrices are packed"
    if weight is None:
        return "other weights are folded into it"
    if weight.bits not in BITS:
        return f"it has {weight.bits} bits"
    rows, width = shape
    along, steps = weight.axis == 1 or not weight.block, weight.steps
    if steps[0] not in (1, rows) or not along or (steps[1] == width > 1 and not weight.block):
        return "its scales do not follow the inputs of a row in blocks"
    block = weight.block or width
    groups = tuple(g for g in GROUPS if width % g == 0 and block % g == 0)
    if not groups:
        odd = weight.block % GROUPS[-1]
        what = f"blocks of {weight.block}" if odd else f"{width} inputs"
        return f"{GROUPS[-1]} does not divide its {what}"
    return Fit(weight, groups, bool(weight.block))


def _outermost(recipe: rcp.Recipe) -> rcp.Dequantize | None:
    """The recipe with what moves numbers about inside of the dequantization; None where that
    cannot be.
    """
    match recipe:
        case rcp.Dequantize():
            return recipe
        case rcp.Permute(of, axes):
            inner = _outermost(of)
            return None if inner is None else _permuted(inner, axes)
        case rcp.Concatenate(parts, 0):
            inners = [_outermost(part) for part in parts]
            found = [inner for inner in inners if inner is not None]
            return _stacked(found) if len(found) == len(parts) else None
    return None


def _permuted(weight: rcp.Dequantize, axes: tuple[int, ...]) -> rcp.Dequantize:
    steps = tuple(weight.steps[a] for a in axes)

    def turned(recipe: rcp.Recipe) -> rcp.Recipe:
        if isinstance(recipe, rcp.Number):
            return recipe
        if sum(size > 1 for size in steps) < 2:  # a vector: its numbers stay in their order
            return rcp.Reshape(recipe.of if isinstance(recipe, rcp.Reshape) else recipe, steps)
        return rcp.Permute(recipe, axes)

    return replace(
        weight, of=rcp.Permute(weight.of, axes), scales=turned(weight.scales),
        zeros=turned(weight.zeros), steps=steps, axis=axes.index(weight.axis),
    )  # fmt: skip


def _stacked(weights: list[rcp.Dequantize]) -> rcp.Dequantize | None:
    """Rows below rows, where all have steps of their own alike."""
    first = weights[0]
    alike = {(w.bits, w.low, w.steps[1:], w.axis, w.block) for w in weights}
    zeros = {w.zeros if isinstance(w.zeros, rcp.Number) else None for w in weights}
    if len(alike) > 1 or len(zeros) > 1 or any(w.steps[0] == 1 for w in weights):
        return None
    return replace(
        first,
        of=rcp.Concatenate(tuple(w.of for w in weights), 0),
        scales=rcp.Concatenate(tuple(w.scales for w in weights), 0),
        zeros=first.zeros
        if isinstance(first.zeros, rcp.Number)
        else rcp.Concatenate(tuple(w.zeros for w in weights), 0),
        steps=(sum(w.steps[0] for w in weights), *first.steps[1:]),
    )


# ---- bits and groups


Scheme = tuple[int, int]  # bits, group size


def schemes(fits: Mapping[str, Fit]) -> dict[str, Scheme]:
    """Bits and group size of each weight: the source's own groups; for one scale a row those that
    most weights have, or can have.
    """
    common = Counter((f.bits, f.groups[0]) for f in fits.values() if f.fixed)
    able = Counter((f.bits, g) for f in fits.values() if not f.fixed for g in f.groups)
    ranked = sorted(common | able, key=lambda s: (-common[s], -able[s], -s[1]))
    return {
        name: (f.bits, f.groups[0])
        if f.fixed
        else next(s for s in ranked if s[0] == f.bits and s[1] in f.groups)
        for name, f in fits.items()
    }


def main_scheme(found: Iterable[Scheme]) -> Scheme:
    """The scheme that config.json states for all layers; others are stated one by one."""
    counts = Counter(found)
    return max(counts, key=lambda s: (counts[s], s))


def layer_weights(graph: Graph) -> dict[str, Param]:
    """The parameters that are weights of linear and embedding ops and nothing else."""
    place = {"linear": 1, "embedding": 0}
    uses = graph.uses()
    return {
        name: param
        for name, param in graph.params.items()
        if uses.get(param) and all(place.get(n.op) == at for n, at in uses[param])
    }


def graph_schemes(graph: Graph) -> dict[str, Scheme]:
    """Bits and group sizes of the weights of a graph's layers that can stay packed."""
    fits = {name: fit(param) for name, param in layer_weights(graph).items()}
    return schemes({name: f for name, f in fits.items() if isinstance(f, Fit)})


# ---- words


_SHOWN = 3


def plan(graph: Graph) -> list[str]:
    """What becomes of the weights that the source holds as whole numbers."""
    weights = layer_weights(graph)
    found = {name: fit(param) for name, param in graph.params.items()}
    floats = {n: f for n, f in found.items() if f and isinstance(f, str)}
    fits = {n for n, f in found.items() if isinstance(f, Fit)}
    return told(graph_schemes(graph), floats | dict.fromkeys(fits - weights.keys(), NO_LAYER))


NO_LAYER = "it is no weight of a linear or embedding layer"


def told(kept: Mapping[str, Scheme], floats: Mapping[str, str]) -> list[str]:
    """A line for each way of packing, and for each reason why weights are floats."""
    by_scheme: dict[Scheme, list[str]] = {}
    for name, scheme in kept.items():
        by_scheme.setdefault(scheme, []).append(name)
    lines = [
        f"{_weights(names)} packed as in the source: {bits} bits in groups of {group} "
        f"({_some(names)})"
        for (bits, group), names in by_scheme.items()
    ]
    by_reason: dict[str, list[str]] = {}
    for name, reason in floats.items():
        by_reason.setdefault(reason, []).append(name)
    return lines + [
        f"{_weights(names)} floats here, whole numbers in the source: {reason} ({_some(names)})"
        for reason, names in by_reason.items()
    ]


def _weights(names: list[str]) -> str:
    return "1 weight is" if len(names) == 1 else f"{len(names)} weights are"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])


# ---- the tensors


def packed(
    found: Fit, shape: tuple[int, ...], group: int, source: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """`weight` (u32), `scales` and `biases` (of the scales' dtype) as MLX reads them."""
    weight, (rows, width) = found.weight, shape
    scales = rcp.evaluate(weight.scales, source)
    zeros = rcp.evaluate(weight.zeros, source)
    wide = np.result_type(scales.dtype, np.float32)
    biases = -(scales.astype(wide) * (np.asarray(zeros, wide) - wide.type(weight.low)))

    def each(steps: np.ndarray) -> np.ndarray:
        """One for each group of a row."""
        repeats = (weight.block or width) // group
        rowwise = np.broadcast_to(steps, (rows, steps.shape[1])).repeat(repeats, 1)
        return np.ascontiguousarray(rowwise[:, : width // group].astype(scales.dtype))

    return {"weight": _packed(weight, source), "scales": each(scales), "biases": each(biases)}


def _packed(weight: rcp.Dequantize, source: Mapping[str, np.ndarray]) -> np.ndarray:
    """The words of the whole numbers; bytes that hold them in MLX's order are taken as they are."""
    of, bits = weight.of, weight.bits
    if isinstance(of, rcp.Unpack) and of.bits == bits and not weight.low:
        return np.ascontiguousarray(rcp.evaluate(of.of, source)).view("<u4")
    values = rcp.evaluate(of, source)
    if weight.low:
        values = (values.astype(np.int16) - weight.low).astype(np.uint8)
    return _words(values, bits)


def _words(values: np.ndarray, bits: int) -> np.ndarray:
    """Whole numbers of so many bits one after the other, the first one lowest, in 32-bit words."""
    each = 8 // bits
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    shifted = values.reshape(len(values), -1, each) << shifts
    return np.ascontiguousarray(np.bitwise_or.reduce(shifted, axis=2)).view("<u4")
