"""What a walk of TorchScript can change besides its values: tensors written to, lists, handles.

A side of a branch, or a turn of a loop, is walked to see what it changes; then all is put back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .alias import Handle, Place, Storage


class World:
    """All that can be reached from some values, as it is now."""

    def __init__(self, values: Mapping[str, Any]):
        self.handles: dict[Handle, Place] = {}
        self.places: dict[Place, tuple[Any, int]] = {}
        self.storages: dict[Storage, tuple[int, str, int]] = {}
        self.lists: dict[int, tuple[list[Any], list[Any]]] = {}
        self.dicts: dict[int, tuple[dict[Any, Any], dict[Any, Any]]] = {}
        waiting = list(values.values())
        while waiting:
            waiting += self._add(waiting.pop())

    def _add(self, value: Any) -> Iterator[Any]:
        match value:
            case Handle() if value not in self.handles:
                self.handles[value] = value.place
                self._add_place(value.place)
            case list() if id(value) not in self.lists:
                self.lists[id(value)] = value, list(value)
                yield from value
            case dict() if id(value) not in self.dicts:
                self.dicts[id(value)] = value, dict(value)
                yield from value.values()
            case tuple():
                yield from value

    def _add_place(self, place: Place | None) -> None:
        while place is not None and place not in self.places:
            self.places[place] = place.value, place.version
            storage = place.storage
            self.storages[storage] = storage.version, storage.stale, len(storage.kin)
            place = place.parent

    def restore(self) -> None:
        """Make everything as it was."""
        for handle, place in self.handles.items():
            handle.place = place
        for place, (value, version) in self.places.items():
            place.value, place.version = value, version
        for storage, (version, stale, kin) in self.storages.items():
            storage.version, storage.stale = version, stale
            del storage.kin[kin:]
        for items, before in self.lists.values():
            items[:] = before
        for table, entries in self.dicts.values():
            table.clear()
            table.update(entries)

    # ---- what changed since

    def written(self) -> list[Place]:
        """The tensors with memory of their own that were written to."""
        found = [p for p in self.places if p.parent is None]
        return [p for p in found if p.storage.version != self.storages[p.storage][0]]

    def stale(self) -> bool:
        """Whether a write may have reached memory that is known under another tensor."""
        return any(s.stale != before for s, (_, before, _) in self.storages.items())

    def moved(self) -> bool:
        """Whether a tensor variable became a view of itself (`unsqueeze_`), or a dict changed."""
        turned = any(h.place is not place for h, place in self.handles.items())
        return turned or any(not _alike(d, e) for d, e in self.dicts.values())

    def changed(self) -> list[list[Any]]:
        """The lists that hold other items, or more of them."""
        return [items for items, before in self.lists.values() if not _same(items, before)]

    def before(self, items: list[Any]) -> list[Any]:
        """What the list held."""
        return self.lists[id(items)][1]


def _same(a: list[Any], b: list[Any]) -> bool:
    return len(a) == len(b) and all(x is y for x, y in zip(a, b, strict=True))


def _alike(a: dict[Any, Any], b: dict[Any, Any]) -> bool:
    return list(a) == list(b) and all(a[k] is b[k] for k in a)
