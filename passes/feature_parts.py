"""Which features of which tensor a value is, back through slices, splits and pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..ir import Node, Value
from ..ir.dims import Expr
from .rebuild import producer


@dataclass(frozen=True)
class Part:
    """`of[..., start:stop:step]`."""

    of: Value
    start: int
    stop: int
    step: int = 1


def part(value: Any) -> Part | None:
    """Which features of which tensor the value is, as far back as that is known."""
    return next(reversed(list(parts(value))), None)


def parts(value: Any) -> Iterator[Part]:
    """The value as all of itself, as a part of what it was cut from, and so on."""
    if not isinstance(value, Value) or not value.tensor.rank:
        return
    size, node = value.tensor.shape[-1], value.node
    if not isinstance(size, int):
        return
    yield Part(value, 0, size)
    found = _cut(value, node) if node is not None else None
    if found is not None:
        of, start, step = found
        for inner in parts(of):
            if inner.step == 1:
                first = inner.start + start
                yield Part(inner.of, first, first + size * step, step)


def _cut(value: Value, node: Node) -> tuple[Value, int, int] | None:
    """The tensor whose last axis the value is cut from, the first feature and the step."""
    if node.op == "select":
        return _selected(node)
    if node.op not in ("slice", "split") or node["axis"] != node.type(0).rank - 1:
        return None
    size: Any = node.type(0).shape[-1]
    if node.op == "split":
        before = node["sizes"][: value.index]
        whole = all(isinstance(d, int) for d in before)
        return (node.values[0], sum(before), 1) if whole else None
    if any(isinstance(d, Expr) for d in (size, node["start"], node["stop"])):
        return None
    start, _, step = slice(node["start"], node["stop"], node["step"]).indices(size)
    return node.values[0], start, step


def _selected(node: Node) -> tuple[Value, int, int] | None:
    """One of each pair, `x.reshape(..., n, 2)[..., 0]`."""
    pairs = producer(node.operands[0], "reshape")
    if pairs is None or node["axis"] != pairs.out.tensor.rank - 1 or node["index"] not in (0, 1):
        return None
    before, after = pairs.type(0).shape, pairs.out.tensor.shape
    if before[:-1] != after[:-2] or after[-1] != 2:
        return None
    return pairs.values[0], node["index"], 2
