"""Handles: tensors of the source that may share memory, kept apart from the IR's immutable values.

A source tensor is a `Handle` on a `Place`. A place either owns its storage or views another place;
a write through a view rebuilds the place that it views, and so on to the owner, whose version then
grows: every other view of that storage reads anew when it is used next. So writes become values,
and the graph stays pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import TranspileError
from ..ir import Value
from ..ir.types import Tensor

Read = Callable[[Value], Value]
Write = Callable[[Value, Value], Value]


@dataclass(frozen=True)
class View:
    """How a place sees its parent.

    `write(parent, new)` gives the parent with the viewed part replaced.
    """

    name: str
    read: Read
    write: Write | None


class Storage:
    """Memory that places share. `kin` is memory that may be the same: a reshape copies or not."""

    __slots__ = ("kin", "owner", "stale", "version")

    def __init__(self, owner: str = ""):
        self.owner = owner
        self.version = 0
        self.kin: list[Storage] = []
        self.stale = ""


class Place:
    """A tensor in a storage: the owner of it, or a view of another place."""

    __slots__ = ("dense", "parent", "storage", "value", "version", "view")

    def __init__(
        self,
        value: Value,
        storage: Storage | None = None,
        parent: Place | None = None,
        view: View | None = None,
        dense: bool = False,
    ):
        self.value, self.parent, self.view, self.dense = value, parent, view, dense
        self.storage = storage or Storage()
        self.version = self.storage.version


class Handle:
    """A tensor variable of the source; in-place changes of its shape move it to another place."""

    __slots__ = ("place",)

    def __init__(self, place: Place):
        self.place = place

    @property
    def type(self) -> Tensor:
        return self.place.value.tensor

    def __repr__(self) -> str:
        return f"Handle({self.place.value!r})"


def owner(value: Value, dense: bool = False, source: str = "") -> Handle:
    """A tensor with memory of its own. `source` names a parameter: writing to it is an error."""
    return Handle(Place(value, Storage(source), dense=dense))


def view_of(handle: Handle, value: Value, view: View, dense: bool = False) -> Handle:
    """A tensor in the memory of `handle`, whose value was just read as `value`."""
    return Handle(Place(value, handle.place.storage, handle.place, view, dense))


def maybe_view_of(handle: Handle, value: Value) -> Handle:
    """A tensor that may or may not share the memory of `handle`."""
    copy = Handle(Place(value))
    copy.place.storage.kin.append(handle.place.storage)
    handle.place.storage.kin.append(copy.place.storage)
    return copy


def read(place: Place) -> Value:
    """The value as of now."""
    if place.storage.stale:
        raise TranspileError(
            place.storage.stale, hint="copy the tensor explicitly (clone) before writing to it"
        )
    if place.version != place.storage.version:
        if place.parent is None or place.view is None:
            raise AssertionError("an owner is always up to date")
        place.value = place.view.read(read(place.parent))
        place.version = place.storage.version
    return place.value


def write(place: Place, value: Value, name: str) -> None:
    """Make `value` the content of the place, and of what it views. `name` is the op that writes."""
    _check_writable(place, name)
    if place.parent is None or place.view is None:
        _touch(place.storage, name)
    else:
        if place.view.write is None:
            raise TranspileError(
                f"{name} writes through {place.view.name}, whose elements overlap or move",
                hint="write to a clone of it",
            )
        write(place.parent, place.view.write(read(place.parent), value), name)
    place.value, place.version = value, place.storage.version


def _check_writable(place: Place, name: str) -> None:
    if place.storage.owner:
        raise TranspileError(
            f"mutated buffer: {name} writes to {place.storage.owner}; "
            "models that keep state are not supported yet",
            hint="pass the state as an input and return the new one",
        )


def _touch(storage: Storage, name: str) -> None:
    storage.version += 1
    for other in storage.kin:
        other.stale = (
            f"a tensor is read after {name} wrote to another that may share its memory: "
            "a reshape made one of the other, and whether it copies depends on the memory layout"
        )
