"""Calls of consecutive list elements that chain into each other become one loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ..ir import Node, Param, Value
from .regions import Region, is_number, relative

if TYPE_CHECKING:
    from .modules import Modules


@dataclass(eq=False)
class Loop:
    """Calls of `container[start]`, `container[start + 1]` ... `carried` maps an input position to
    the output of the call before that feeds it, `turns` one whose values take turns; all other
    inputs are the same values in every call."""

    container: str
    start: int
    size: int
    regions: list[Region]
    carried: dict[int, int]
    turns: dict[int, Turn] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """Two values by the number of the call: `then` where it is `turn` modulo `period`."""

    period: int
    turn: int
    then: Value
    otherwise: Value


MOST_TURNS = 8


def find_loops(region: Region, bodies: dict[Region, Any], modules: Modules) -> list[Any]:
    """The region's items, with chains of like calls put together."""
    steps: list[Any] = []
    items = region.items
    i = 0
    while i < len(items):
        run = _run(items, i, bodies, modules)
        carried = _carried(run) if len(run) > 1 else None
        while carried is None and len(run) > 2:
            run = run[:-1]
            carried = _carried(run)
        if carried is None or len(run) < 2:
            steps.append(items[i])
            i += 1
            continue
        container, _, index = run[0].path.rpartition(".")
        size, turns = modules.list_size(container), _turns(run, carried) or {}
        steps.append(Loop(container, int(index), size, run, carried, turns))
        i += len(run)
    return steps


def _run(
    items: list[Node | Region], start: int, bodies: dict[Region, Any], modules: Modules
) -> list[Region]:
    """The longest run of adjacent calls on consecutive elements of one list."""
    first = items[start]
    if not isinstance(first, Region) or first not in bodies:
        return []
    container, _, index = first.path.rpartition(".")
    if not is_number(index):
        return []
    run = [first]
    for item in items[start + 1 :]:
        here = f"{container}.{int(index) + len(run)}"
        if (
            not isinstance(item, Region)
            or item.path != here
            or item not in bodies
            or bodies[item].sizes.passed != bodies[first].sizes.passed
        ):
            break
        run.append(item)
    return run


def _carried(run: list[Region]) -> dict[int, int] | None:
    """Which inputs are the outputs of the call before; None when the calls do not chain."""
    inner = {v for r in run[:-1] for v in r.outputs}
    carried: dict[int, int] = {}
    for before, after in pairwise(run):
        if len(after.inputs) != len(before.inputs) or len(after.outputs) != len(before.outputs):
            return None
        for i, value in enumerate(after.inputs):
            output = before.outputs.index(value) if value in before.outputs else None
            if output is not None and carried.setdefault(i, output) != output:
                return None
    if any(
        (run[k + 1].inputs[i] is not run[k].outputs[o])
        for i, o in carried.items()
        for k in range(len(run) - 1)
    ):
        return None
    used_elsewhere = _used_outside(run, inner)
    if used_elsewhere or len(set(carried.values())) != len(carried):
        return None
    return carried if carried and _turns(run, carried) is not None else None


def _turns(run: list[Region], carried: dict[int, int]) -> dict[int, Turn] | None:
    """The inputs whose values take turns; None where one varies otherwise."""
    found: dict[int, Turn] = {}
    for position, values in enumerate(zip(*(r.inputs for r in run), strict=True)):
        if position in carried or all(v is values[0] for v in values):
            continue
        turn = _turn(values)
        if turn is None:
            return None
        found[position] = turn
    return found


def _turn(values: tuple[Value, ...]) -> Turn | None:
    """The rule behind two values: one of them in every so many calls. Seen twice, at the least."""
    if len(set(values)) != 2 or any(isinstance(v, Param) for v in values):
        return None
    first, other = dict.fromkeys(values)
    if first.type != other.type:
        return None
    for period in range(2, min(MOST_TURNS, len(values) // 2) + 1):
        for turn, then, otherwise in ((0, first, other), (period - 1, other, first)):
            expected = [then if i % period == turn else otherwise for i in range(len(values))]
            if all(v is e for v, e in zip(values, expected, strict=True)):
                return Turn(period, turn, then, otherwise)
    return None


def _used_outside(run: list[Region], inner: set[Any]) -> bool:
    """Whether a value made inside the chain is used by anything but the next call."""
    parent = run[0].parent
    assert parent is not None
    own = set(run)
    if inner & set(parent.outputs):
        return True
    for item in parent.items:
        if item not in own:
            values = item.values if isinstance(item, Node) else item.inputs
            if inner.intersection(values):
                return True
    allowed = {v: after for before, after in pairwise(run) for v in before.outputs}
    return any(v in allowed and allowed[v] is not r for r in run for v in r.inputs)


__all__ = ["Loop", "find_loops", "relative"]
