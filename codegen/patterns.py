"""Rules for tensors whose names differ in numbers alone: one row with `{}` in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

NUMBER = re.compile("0|[1-9][0-9]*")
_FEW = 2  # rows for one tensor of every layer; where there are more, the sources become lists


@dataclass(frozen=True)
class Row:
    """A tensor or, with `{}` in its names, one for each number. `code` makes it ("" copies).

    A source whose names follow no pattern is the tuple of them, by the target's number.
    """

    target: str
    sources: tuple[str | tuple[str, ...], ...]
    code: str = ""


def split(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The name with `{}` for whole numbers, and those numbers. Other braces are doubled."""
    parts = name.split(".")
    literal = tuple("{}" if NUMBER.fullmatch(p) else _escape(p) for p in parts)
    return literal, tuple(p for p in parts if NUMBER.fullmatch(p))


def _escape(part: str) -> str:
    return part.replace("{", "{{").replace("}", "}}")


def generalise(rows: Sequence[Row]) -> list[Row]:
    """Rows with patterns: one for all that differ in numbers alone and agree in what they do."""
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(split(row.target)[0], []).append(row)
    found = []
    for parts, group in groups.items():
        merged = _merge(group, tuple(range(parts.count("{}"))))
        listed = _listed(group) if len(merged) > _FEW and parts.count("{}") == 1 else None
        found += [listed] if listed else merged
    return found


def _listed(rows: list[Row]) -> Row | None:
    """One row with lists of sources, for targets numbered from 0 on without a gap."""
    by_number = {int(split(row.target)[1][0]): row for row in rows}
    ordered = [by_number[n] for n in sorted(by_number)]
    alike = len({(row.code, len(row.sources)) for row in rows}) == 1
    if not alike or not rows[0].sources or sorted(by_number) != list(range(len(rows))):
        return None
    target = _fill(split(rows[0].target)[0], ["{}"])
    sources = tuple(tuple(map(str, column)) for column in zip(*(r.sources for r in ordered)))
    return Row(target, sources, rows[0].code)


def _merge(rows: list[Row], free: tuple[int, ...]) -> list[Row]:
    """One row with `{}` at the free positions.

    Where rows disagree: the rows of each number at the position that separates them best.
    """
    merged = _unify(rows, free)
    if merged:
        return [merged]
    choices = []
    for position in reversed(free):
        parts: dict[str, list[Row]] = {}
        for row in rows:
            parts.setdefault(split(row.target)[1][position], []).append(row)
        rest = tuple(p for p in free if p != position)
        choices.append([m for part in parts.values() for m in _merge(part, rest)])
    return min(choices, key=len)


def _unify(rows: list[Row], free: tuple[int, ...]) -> Row | None:
    if len({(row.code, len(row.sources)) for row in rows}) > 1:
        return None
    numbers = [split(row.target)[1] for row in rows]
    sources = [
        _source_pattern([str(row.sources[i]) for row in rows], numbers, free)
        for i in range(len(rows[0].sources))
    ]
    if any(s is None for s in sources):
        return None
    slots = ["{}" if p in free else n for p, n in enumerate(numbers[0])]
    return Row(
        _fill(split(rows[0].target)[0], slots),
        tuple(s for s in sources if s is not None),
        rows[0].code,
    )


def _source_pattern(
    names: list[str], numbers: list[tuple[str, ...]], free: tuple[int, ...]
) -> str | None:
    """One pattern for the sources of targets with these numbers; None where there is none."""
    splits = [split(name) for name in names]
    if len({literal for literal, _ in splits}) > 1:
        return None
    slots: list[str] = []
    for ordinal, values in enumerate(zip(*(own for _, own in splits))):
        slot = _slot(ordinal, values, numbers, free)
        if slot is None:
            return None
        slots.append(slot)
    if [s for s in slots if s[0] == "{"] == [f"{{{i}}}" for i in range(len(free))]:
        slots = ["{}" if s[0] == "{" else s for s in slots]
    return _fill(splits[0][0], slots)


def _slot(
    ordinal: int, values: tuple[str, ...], numbers: list[tuple[str, ...]], free: tuple[int, ...]
) -> str | None:
    """What a number of a source becomes: `{k}`, the target's k-th free number, or itself."""
    # With few instances several may agree: the number at the same place wins, be it free or not.
    places = sorted(range(len(numbers[0])), key=lambda place: (place != ordinal, place))
    for place in places:
        if (place in free or place == ordinal) and all(
            v == own[place] for v, own in zip(values, numbers)
        ):
            return f"{{{free.index(place)}}}" if place in free else values[0]
    return values[0] if len(set(values)) == 1 else None


def _fill(literal: tuple[str, ...], slots: list[str]) -> str:
    filled = iter(slots)
    return ".".join(next(filled) if part == "{}" else part for part in literal)
