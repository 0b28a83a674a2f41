"""Units of a chain, and where they repeat.

A unit is a segment of the chain with the activation behind it. Units are alike when their ops,
attributes, types, shapes of weights and flow of data are: each is described in full, node by node,
with values outside of it numbered in the order of their use. So what is found alike is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import Node, Param, Value
from .flow_tree import Chain, FlowTree

_PERIODS = 24  # distances between like units that are tried as a period
ACTIVATIONS = frozenset(
    ["relu", "gelu", "silu", "sigmoid", "tanh", "leaky_relu", "elu", "hard_swish", "clip", "mish"]
)
NORMS = frozenset(["layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm"])


@dataclass(eq=False)
class Unit:
    """A step of a chain: its nodes in graph order, of which the last computes what it is for."""

    nodes: list[int]
    entry: int | None
    joint: int  # where its branches meet again; the last node but for activations
    heavy: int
    branches: list[int]

    @property
    def end(self) -> int:
        return self.nodes[-1]

    @property
    def block(self) -> bool:
        """Whether data goes several ways here, with weights on them."""
        return bool(self.branches) and self.heavy > 0


@dataclass(frozen=True)
class Run:
    """Units from `start` on: `count` times `period` of them, alike."""

    start: int
    period: int
    count: int

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count


def units_of(chain: Chain, tree: FlowTree) -> list[Unit]:
    """The units of a chain in the order of the data."""
    units: list[Unit] = []
    for segment in chain.segments:
        node = tree.nodes[segment.end]
        if units and units[-1].block and not segment.branches and node.op in ACTIVATIONS:
            units[-1].nodes.append(segment.end)
            continue
        heavy = sum(tree.weights[i] for i in segment.nodes)
        units.append(Unit(list(segment.nodes), segment.entry, segment.end, heavy, segment.branches))
    return units


# ---- what units are


def describe(nodes: Sequence[Node]) -> Hashable:
    """All that must agree for two groups of nodes to be one class with weights of one shape."""
    inside = {node: i for i, node in enumerate(nodes)}
    outside: dict[Value, int] = {}

    def operand(value: Any) -> Any:
        if isinstance(value, Param):
            return "param", str(value.type)
        if not isinstance(value, Value):
            return type(value).__name__, str(value)
        if value.node in inside:
            return inside[value.node], value.index
        return "outside", outside.setdefault(value, len(outside)), str(value.type)

    return tuple(
        (
            node.op,
            tuple(operand(o) for o in node.operands),
            tuple((k, str(v)) for k, v in node.attrs.items()),
            tuple(str(r.type) for r in node.results),
        )
        for node in nodes
    )


def labels_of(units: Sequence[Unit], tree: FlowTree) -> list[int]:
    """A number for each unit: the same for units that are alike."""
    known: dict[Hashable, int] = {}
    described = (describe([tree.nodes[i] for i in u.nodes]) for u in units)
    return [known.setdefault(d, len(known)) for d in described]


# ---- repetition


def runs_of(units: Sequence[Unit], labels: Sequence[int]) -> list[Run]:
    """Repeated sequences of units, the largest first; none overlaps another."""
    found: list[tuple[int, int, int, Run]] = []
    for period in _periods(labels):
        for start, matched in _matches(labels, period):
            run = _run(units, start, matched, period)
            if run is not None:
                size = sum(len(u.nodes) for u in units[run.start : run.stop])
                found.append((-size, period, run.start, run))
    taken = [False] * len(units)
    chosen = []
    for *_, run in sorted(found, key=lambda f: f[:3]):
        if not any(taken[run.start : run.stop]):
            taken[run.start : run.stop] = [True] * (run.stop - run.start)
            chosen.append(run)
    return sorted(chosen, key=lambda run: run.start)


def _periods(labels: Sequence[int]) -> list[int]:
    """The most frequent distances between like units."""
    last: dict[int, int] = {}
    distances: Counter[int] = Counter()
    for i, label in enumerate(labels):
        if label in last:
            distances[i - last[label]] += 1
        last[label] = i
    return [period for period, _ in distances.most_common(_PERIODS)]


def _matches(labels: Sequence[int], period: int) -> list[tuple[int, int]]:
    """(start, length) of where each unit is like the one a period later."""
    found = []
    start = None
    for i in range(len(labels) - period + 1):
        same = i + period < len(labels) and labels[i] == labels[i + period]
        if same and start is None:
            start = i
        elif not same and start is not None:
            found.append((start, i - start))
            start = None
    return found


def _run(units: Sequence[Unit], start: int, matched: int, period: int) -> Run | None:
    """The run with as many repetitions as there are; it begins where data goes several ways."""
    count = 1 + matched // period
    if count < 2:
        return None
    starts = range(start, start + matched % period + 1)
    first = next((s for s in starts if units[s].block), None)
    if first is None:
        first = next((s for s in starts if units[s].heavy), None)
    heavy = sum(u.heavy for u in units[start : start + period])
    if first is None or heavy == 0 or (heavy == 1 and count < 3):
        return None
    return Run(first, period, count)
