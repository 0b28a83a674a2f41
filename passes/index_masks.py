"""What an attention mask says: causal, a window, blocks, data; proved from its formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..ir import DType, Node, Value
from ..ir.dims import Atom
from .index_analysis import Analysis
from .index_terms import (
    FORMULAS,
    Both,
    Compare,
    Dim,
    Formula,
    TooLarge,
    at_least_zero,
    every,
    holds,
    leaves_of,
    own,
    reads_of,
)

# What is added to a score hides it when it is this low: no weight is left next to any other score.
_HIDDEN = -1e9
_HIDDEN_F16 = -65504.0


@dataclass(frozen=True)
class Proof:
    """What a mask shows of the keys.

    `kind` is all, causal (aligned to the lower right), upper_left, window, block or other;
    `width` is that of a window (keys up to the query's own place) or of the blocks; `data` tells
    that data hides keys besides.
    """

    kind: str
    width: Dim | None = None
    data: bool = False


def classify(visible: Formula, shape: tuple[Dim, ...]) -> Proof:
    """What a formula over the indices of (batch, heads, queries, keys) shows."""
    parts = visible.parts if isinstance(visible, Both) and visible.kind == "and" else (visible,)
    places = [p for p in parts if not reads_of(p) and p is not True]
    data = len(places) < len([p for p in parts if p is not True])
    if not places:
        return Proof("all", None, data)
    causal, corner = causal_formula(shape), upper_left(shape)
    if every(*places) == causal:
        return Proof("causal", None, data)
    if every(*places) == corner:
        return Proof("upper_left", None, data)
    width = _window(places, causal, shape)
    if width is not None:
        return Proof("window", width, data)
    size = _block(places)
    return Proof("other" if size is None else "block", size, data)


def causal_formula(shape: tuple[Dim, ...]) -> Formula:
    """The last query sees all keys, the one before it all but one, ..."""
    query, key = own(shape)[-2:]
    return at_least_zero(query - key + shape[-1] - shape[-2], shape)


def upper_left(shape: tuple[Dim, ...]) -> Formula:
    """The first query sees one key, the second two, ..."""
    query, key = own(shape)[-2:]
    return at_least_zero(query - key, shape)


def _window(places: Sequence[Formula], causal: Formula, shape: tuple[Dim, ...]) -> Dim | None:
    """The width w of `query - w < key <= query`."""
    if len(places) != 2 or causal not in places:
        return None
    (lower,) = [p for p in places if p != causal]
    if not isinstance(lower, Compare) or lower.kind != ">=":
        return None
    query, key = own(shape)[-2:]
    width = lower.left - (key - query - shape[-1] + shape[-2]) + 1
    return None if "$" in str(width) else width


def _block(places: Sequence[Formula]) -> Dim | None:
    """The size n of blocks: `query // n == key // n`."""
    if len(places) != 1 or not isinstance(places[0], Compare) or places[0].kind != "==":
        return None
    atoms = [a for monomial, _ in places[0].left.terms for a, _ in monomial]
    blocks = [a for a in atoms if isinstance(a, Atom) and a.kind == "floordiv"]
    if len(atoms) != 2 or len(blocks) != 2 or blocks[0].args[1] != blocks[1].args[1]:
        return None
    return blocks[0].args[1]


def visible_keys(analysis: Analysis, node: Node) -> Formula | None:
    """Which keys the mask of an attention shows, over (batch, heads, queries, keys).

    None where the mask is no pure choice between showing and hiding: a bias.
    """
    mask = node.operands[3]
    if not isinstance(mask, Value):
        return True
    shape = scores(node)
    try:
        term: Any = analysis.read(mask, own(shape)[4 - mask.tensor.rank :], shape)
        return term if isinstance(term, FORMULAS) else _zero_to_add(mask, term)
    except TooLarge:
        return None


def _zero_to_add(mask: Value, term: Any) -> Formula | None:
    """Where a choice of numbers to add shows a key, if all others of its numbers hide it."""
    lowest = _HIDDEN_F16 if mask.tensor.dtype is DType.f16 else _HIDDEN
    numbers = leaves_of(term)
    if any(not isinstance(x, float) or not (x == 0 or x <= lowest) for x in numbers):
        return None
    return holds(lambda x: x == 0, term)


def scores(node: Node) -> tuple[Dim, ...]:
    """(batch, heads, queries, keys)."""
    query, key = node.type(0).shape, node.type(1).shape
    return (*query[:3], key[2])
