"""What a graph under construction finds out from data: sizes, and what was asked before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import chain, count
from typing import Any


class Found:
    """Names of sizes that are taken, and results of asking the data, by question."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.counters: dict[str, Any] = {}  # how many turns the loop of each counter has
        self._known: dict[Hashable, Any] = {}

    def fresh(self, letter: str) -> str:
        """A name for a size that depends on data; `i` counts turns."""
        names = ("i", "j", "k") if letter == "i" else ()
        numbered = (f"{letter}{n}" for n in count(1))
        name = next(n for n in chain(names, numbered) if n not in self.taken)
        self.taken.add(name)
        return name

    def once(self, question: Hashable, ask: Callable[[], Any]) -> Any:
        """The answer to a question, which is asked the first time only."""
        if question not in self._known:
            self._known[question] = ask()
        return self._known[question]

    def mark(self) -> Mapping[Hashable, Any]:
        """What is known now, for `forget`."""
        return dict(self._known)

    def forget(self, mark: Mapping[Hashable, Any]) -> None:
        """What was asked since the mark was asked inside of a block: nothing else sees it."""
        self._known = dict(mark)
