"""Names for tensors that the source does not name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, product

_WORDS = ("second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def ordinal_names(name: str) -> Iterator[str]:
    """`name`, `second_name`, `third_name` and so on, without end and without a digit."""
    for length in count():
        for words in product(_WORDS, repeat=length):
            yield "_".join([*words, name])


def distinct(names: Sequence[str]) -> list[str]:
    """The names, of which those that came before get an ordinal: `h`, `second_h`."""
    out: list[str] = []
    for name in names:
        out.append(next(n for n in ordinal_names(name) if n not in out))
    return out
