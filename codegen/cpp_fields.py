"""The members of a C++ class, from the constructor templates of its Python twin.

Python nests lists and dicts of parts; C++ has one member for each kind of leaf, whose name joins
the names on the way to it, and a vector for each list on that way. A list whose elements differ in
type is one vector of variants where a loop runs over it, and one member for each element otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .cpp_names import safe_cpp
from .init import Repeat, Template
from .makers import IDENTITY, MakeLayer, MakePart, Maker, MakeWeight
from .statements import For


@dataclass(frozen=True)
class Member:
    """A member: `lists` are the lists around its `leaves`, `path` its place in the weights.

    `path` has the names of attributes and keys, and None for each list. `leaves` are the makers
    of the innermost list's elements, or the single maker. `range` is for a list of which only a
    part is looped over: the rest are members of their own.
    """

    names: tuple[str, ...]
    path: tuple[str | None, ...]
    lists: tuple[Repeat, ...]
    makers: tuple[Maker, ...]
    range: tuple[int, int] | None = None  # the elements of the last list that it holds

    @property
    def name(self) -> str:
        return safe_cpp("_".join(self.names)).rstrip("_") + "_"


def members(attributes: dict[str, Template], loops: Sequence[For]) -> list[Member]:
    """All members in the order of the constructor. `loops` are those of the class's method."""
    found: list[Member] = []
    for name, template in attributes.items():
        found += _members(template, Member((name,), (name,), (), ()), loops)
    taken: set[str] = {"check_indices_"}
    for place, member in enumerate(found):
        while found[place].name in taken:  # joined names, or those that C++ forbids, may meet
            found[place] = replace(member, names=("other", *found[place].names))
        taken.add(found[place].name)
    return found


def _members(template: Template, at: Member, loops: Sequence[For]) -> Iterator[Member]:
    if isinstance(template, dict):
        for key, item in template.items():
            inner = replace(at, names=(*at.names, key), path=(*at.path, key))
            yield from _members(item, inner, loops)
    elif isinstance(template, Repeat):
        yield from _list(template, at, loops)
    elif template is not IDENTITY:
        yield replace(at, makers=(template,))


def _list(repeat: Repeat, at: Member, loops: Sequence[For]) -> Iterator[Member]:
    inner = replace(at, path=(*at.path, None), lists=(*at.lists, repeat))
    if len(repeat.templates) == 1 and not _is_leaf(repeat.templates[0]):
        yield from _members(repeat.templates[0], inner, loops)
        return
    elements = [repeat.templates[k] for k in repeat.kinds]
    if _alike(elements) and IDENTITY not in elements:
        yield replace(inner, makers=tuple(repeat.templates))
        return
    parts = _parts(at.path, loops)
    place = 0
    while place < len(elements):
        stop = parts.get(place, place)
        if stop > place:
            names = at.names if len(parts) == 1 else (*at.names, f"from_{place}")
            makers = tuple(elements[place:stop])
            yield replace(inner, names=names, makers=makers, range=(place, stop))
        else:
            yield from _single(elements[place], place, at, loops)
        place = max(stop, place + 1)


def _parts(path: tuple[str | None, ...], loops: Sequence[For]) -> dict[int, int]:
    """Where the loops over the list begin and end; what overlaps is one part."""
    found: dict[int, int] = {}
    for loop in loops:
        if len(loop.list.steps) == len(path) and leads_to(loop.list.steps, path):
            start, stop = loop.start, loop.stop
            for first, behind in list(found.items()):
                if first < stop and start < behind:
                    start, stop = min(start, first), max(stop, found.pop(first))
            found[start] = stop
    return found


def leads_to(steps: Sequence[tuple[str, str]], path: Sequence[str | None]) -> bool:
    """Whether the steps from `self` on follow the path as far as both go."""
    return all(
        p == name if p is not None else kind == "index"
        for p, (kind, name) in zip(path, steps, strict=False)
    )


def _single(template: Template, place: int, at: Member, loops: Sequence[For]) -> Iterator[Member]:
    """An element of a list as a member of its own."""
    inner = replace(at, names=(*at.names, str(place)), path=(*at.path, str(place)))
    yield from _members(template, inner, loops)


def _is_leaf(template: Template) -> bool:
    return not isinstance(template, dict | Repeat)


def _alike(elements: list[Template]) -> bool:
    return all(map(_is_leaf, elements)) and len(set(map(kind_of, elements))) == 1


def kind_of(maker: Maker) -> tuple[str, Any]:
    """What decides the C++ type: the class."""
    match maker:
        case MakeLayer(cls):
            return "layer", cls.rpartition(".")[2]
        case MakePart(group):
            return "part", group
        case MakeWeight():
            return "weight", ""


def is_mixed(member: Member) -> bool:
    """Whether a list has elements of several types."""
    return len(set(map(kind_of, member.makers))) > 1


__all__ = ["Member", "is_mixed", "kind_of", "leads_to", "members"]
