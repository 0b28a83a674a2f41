"""Stages: a long chain is cut where the shape of what flows changes, or every few layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .find_items import Item
from .find_units import Unit
from .flow_tree import FlowTree

_LONG = 16  # layers and blocks that one module may have
_LENGTH = 8  # layers and blocks of a stage where shapes do not say where to cut


@dataclass(frozen=True)
class Part:
    """A unit, or the units of a list or block, with the numbers of the first and of the next."""

    first: int
    stop: int
    weight: int
    shape: str  # of the result, less its last axis


def stages_of(
    units: Sequence[Unit], groups: Sequence[Sequence[Item]], tree: FlowTree
) -> list[tuple[int, int, bool]]:
    """(first unit, next, whether that is a stage of its own): all in one where there are few."""
    parts = _parts(units, groups, tree)
    if sum(p.weight for p in parts) <= _LONG:
        return [(0, len(units), False)]
    found: list[list[Part]] = []
    for part in parts:
        if found and not _cut(found[-1], part):
            found[-1].append(part)
        else:
            found.append([part])
    return [(ps[0].first, ps[-1].stop, sum(p.weight for p in ps) > 1) for ps in found]


def _parts(units: Sequence[Unit], groups: Sequence[Sequence[Item]], tree: FlowTree) -> list[Part]:
    starts = {g[0].start: g[-1].start + len(g[-1].units) for g in groups}
    parts = []
    at = 0
    while at < len(units):
        stop = starts.get(at, at + 1)
        weight = 1 if at in starts else units[at].heavy
        shape = tree.nodes[units[stop - 1].end].results[0].type
        dims = getattr(shape, "shape", ())
        parts.append(Part(at, stop, weight, str(dims[:-1])))
        at = stop
    return parts


def _cut(stage: Sequence[Part], part: Part) -> bool:
    """A layer begins a stage where what flows has another shape, or the stage is long enough."""
    if not part.weight:
        return False
    heavy = [p for p in stage if p.weight]
    full = sum(p.weight for p in heavy) >= _LENGTH
    return full or (bool(heavy) and heavy[-1].shape != part.shape)
