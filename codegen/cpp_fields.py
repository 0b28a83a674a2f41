"""The members of a C++ class, from the constructor templates of its Python twin.

Python nests lists and dicts of parts; C++ has one member for each kind of leaf, whose name joins
the names on the way to it, and a vector for each list on that way. A list whose elements differ in
type is one vector of variants where a loop runs over it, and one member for each element otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .init import Repeat, Template
from .makers import IDENTITY, MakeLayer, MakePart, Maker, MakeWeight


@dataclass(frozen=True)
class Member:
    """A member: `lists` are the lists around its `leaves`, `path` its place in the weights.

    `path` has the names of attributes and keys, and None for each list. `leaves` are the makers
    of the innermost list's elements, or the single maker.
    """

    names: tuple[str, ...]
    path: tuple[str | None, ...]
    lists: tuple[Repeat, ...]
    makers: tuple[Maker, ...]

    @property
    def name(self) -> str:
        return "_".join(self.names) + "_"


def members(attributes: dict[str, Template], looped: Sequence[tuple[str, ...]]) -> list[Member]:
    """All members in the order of the constructor. `looped` has the names of the lists that a
    method runs over.
    """
    found: list[Member] = []
    for name, template in attributes.items():
        found += _members(template, Member((name,), (name,), (), ()), looped)
    return found


def _members(template: Template, at: Member, looped: Sequence[tuple[str, ...]]) -> Iterator[Member]:
    if isinstance(template, dict):
        for key, item in template.items():
            inner = replace(at, names=(*at.names, key), path=(*at.path, key))
            yield from _members(item, inner, looped)
    elif isinstance(template, Repeat):
        yield from _list(template, at, looped)
    elif template is not IDENTITY:
        yield replace(at, makers=(template,))


def _list(repeat: Repeat, at: Member, looped: Sequence[tuple[str, ...]]) -> Iterator[Member]:
    inner = replace(at, path=(*at.path, None), lists=(*at.lists, repeat))
    leaves = [t for t in repeat.templates if not isinstance(t, dict | Repeat)]
    if len(leaves) == len(repeat.templates):
        alike = len({kind_of(t) for t in leaves}) == 1
        if (alike and IDENTITY not in leaves) or at.names in looped:
            yield replace(inner, makers=tuple(leaves))
            return
    elif len(repeat.templates) == 1:
        yield from _members(repeat.templates[0], inner, looped)
        return
    for place, kind in enumerate(repeat.kinds):
        names, path = (*at.names, str(place)), (*at.path, str(place))
        yield from _members(repeat.templates[kind], replace(at, names=names, path=path), looped)


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
