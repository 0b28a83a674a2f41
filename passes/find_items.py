"""Items: units that make one block, such as attention and the feed-forward part behind it.

Where sequences of units repeat, an item is what repeats. Elsewhere it is a residual block of
convolutions, or attention with the feed-forward part that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .find_units import NORMS, Run, Unit, labels_of, runs_of
from .flow_tree import FlowTree
from .parts import parts_of, role_of


@dataclass(frozen=True)
class Item:
    """Units from the one with the number `start` on; `out` is the type of what they compute."""

    start: int
    units: list[Unit]
    role: str
    cls: str
    out: str


def items_of(units: Sequence[Unit], tree: FlowTree) -> list[Item]:
    """The items among the units of a chain, in order."""
    kinds = [_kind(u, tree) for u in units]
    items: list[Item] = []
    at = 0
    for run in [*runs_of(units, labels_of(units, tree)), Run(len(units), 0, 0)]:
        items += [_item(s, units[s:e], kinds[s:e], tree) for s, e in _single(at, run.start, kinds)]
        step = _shortest(kinds[run.start : run.start + run.period])
        for s in range(run.start, run.stop, step or 1):
            items.append(_item(s, units[s : s + step], kinds[s : s + step], tree))
        at = run.stop
    return items


def _kind(unit: Unit, tree: FlowTree) -> str:
    """What a unit is: attention, mlp, both; conv; a norm; or something else."""
    if not unit.block:
        return "norm" if tree.nodes[unit.end].op in NORMS else ""
    names = {name for name, _, _ in parts_of(unit, tree)}
    if names & {"self_attn", "cross_attn"}:
        return "both" if "mlp" in names else "attention"
    ops = {tree.nodes[i].op for i in unit.nodes}
    if role_of(ops) == "conv" and unit.entry is not None:
        return "conv"
    return "mlp" if "mlp" in names else ""


def _single(start: int, stop: int, kinds: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(first, behind last) of each item where nothing repeats."""
    at = start
    while at < stop:
        end = _end(at, stop, kinds)
        if end is not None:
            yield at, end
        at = end or at + 1


def _end(at: int, stop: int, kinds: Sequence[str]) -> int | None:
    """Behind the last unit of the item that starts here; None where none does."""
    if kinds[at] in ("conv", "both"):
        return at + 1
    norms, end = 0, at
    if kinds[at] != "attention":
        return None
    while end < stop and kinds[end] in ("attention", "norm"):
        norms += kinds[end] == "norm"
        end += 1
    if end == stop or kinds[end] != "mlp":
        return None
    behind = norms and end + 1 < stop and kinds[end + 1] == "norm"
    return end + 2 if behind else end + 1


def _shortest(kinds: Sequence[str]) -> int:
    """The length of an item: of what repeats, the shortest part that repeats in kind."""
    size = len(kinds)
    if "attention" in kinds or "both" in kinds:
        for step in range(1, size):
            alike = size % step == 0 and list(kinds) == list(kinds[:step]) * (size // step)
            if alike and any(k in ("attention", "both") for k in kinds[:step]):
                return step
    return size


def _item(start: int, units: Sequence[Unit], kinds: Sequence[str], tree: FlowTree) -> Item:
    ops = {tree.nodes[i].op for u in units for i in u.nodes}
    out = str(tree.nodes[units[-1].end].out.type)
    role = role_of(ops) or "linear"
    return Item(start, list(units), role, _class(role, kinds, units, tree), out)


def _class(role: str, kinds: Sequence[str], units: Sequence[Unit], tree: FlowTree) -> str:
    if role == "attention":
        parts = {name for u in units for name, _, _ in parts_of(u, tree)}
        return "DecoderBlock" if {"self_attn", "cross_attn"} <= parts else "TransformerBlock"
    if role == "conv":
        return "ResidualBlock" if "conv" in kinds else "ConvBlock"
    return "RecurrentBlock" if role == "recurrent" else "Block"
