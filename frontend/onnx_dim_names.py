"""Names of an ONNX file's dims: what its text says, and readable ones where it says nothing."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

from .inputs import multiple_of


def parts(text: str) -> tuple[str, int, int]:
    """A dim's text as a name, what it is multiplied by, and what is added: `4*height`."""
    try:
        name, factor, start = multiple_of(text)
    except ValueError:
        return text, 1, 0
    return (name, factor, start) if factor > 0 and factor + start > 0 else (text, 1, 0)


def identifier(text: str) -> str:
    """A dim's name as an identifier; "" where it says nothing (`s72`, as torch counts them)."""
    if re.fullmatch(r"unk__.*|[su]\d+|None|\?|-1", text):
        return ""
    name = re.sub(r"\W+", "_", text).strip("_")
    if not name or not name.isascii() or keyword.iskeyword(name):
        return ""
    return f"n_{name}" if name[0].isdigit() else name


def candidates(axis: int, rank: int) -> Iterator[str]:
    if axis == 0 and rank > 1:
        yield from ("B", "N")
    elif rank == 4:
        yield from ("H", "W")
    yield from ("L", "T", "S", "N", "M", "K", "P", "Q", "R")
    number = 1
    while True:
        yield f"D{number}"
        number += 1
