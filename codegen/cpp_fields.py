"""The members of a C++ class, from the constructor templates of its Python twin.

Python nests lists and dicts of parts; C++ has one member for each kind of leaf, whose name joins
the names on the way to it, and a vector for each list on that way. A list whose elements differ in
type is one vector of variants where a loop runs over it, and one member for each element otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .init import Repeat, Template
from .makers import IDENTITY, MakeLayer, MakePart, Maker, MakeWeight

Looped = Mapping[tuple[str, ...], tuple[int, int]]  # list -> first and one behind the last


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
        return "_".join(self.names) + "_"


def members(attributes: dict[str, Template], looped: Looped) -> list[Member]:
    """All members in the order of the constructor. `looped` has the lists that a method runs over,
    and over which part.
    """
    found: list[Member] = []
    for name, template in attributes.items():
        found += _members(template, Member((name,), (name,), (), ()), looped)
    return found


def _members(template: Template, at: Member, looped: Looped) -> Iterator[Member]:
    if isinstance(template, dict):
        for key, item in template.items():
            inner = replace(at, names=(*at.names, key), path=(*at.path, key))
            yield from _members(item, inner, looped)
    elif isinstance(template, Repeat):
        yield from _list(template, at, looped)
    elif template is not IDENTITY:
        yield replace(at, makers=(template,))


def _list(repeat: Repeat, at: Member, looped: Looped) -> Iterator[Member]:
    inner = replace(at, path=(*at.path, None), lists=(*at.lists, repeat))
    if len(repeat.templates) == 1 and not _is_leaf(repeat.templates[0]):
        yield from _members(repeat.templates[0], inner, looped)
        return
    elements = [repeat.templates[k] for k in repeat.kinds]
    start, stop = 0, len(elements)
    if not (_alike(elements) and IDENTITY not in elements):
        start, stop = looped.get(at.names, (0, 0))
    for place in range(start):
        yield from _single(elements[place], place, at, looped)
    if stop > start:
        whole = (start, stop) == (0, len(elements))
        makers = tuple(repeat.templates) if whole else tuple(elements[start:stop])
        yield replace(inner, makers=makers, range=None if whole else (start, stop))
    for place in range(stop, len(elements)):
        yield from _single(elements[place], place, at, looped)


def _single(template: Template, place: int, at: Member, looped: Looped) -> Iterator[Member]:
    """An element of a list as a member of its own."""
    inner = replace(at, names=(*at.names, str(place)), path=(*at.path, str(place)))
    yield from _members(template, inner, looped)


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


__all__ = ["Member", "kind_of", "members"]
