"""Composed rotary position embeddings become `rope`. Su et al., 2021."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import Graph, Node, Value
from ..ir.dims import Expr
from ..ir.recipe import evaluate, reads
from .rebuild import Rebuild, producer
from .rewrite import Bind, Is, Log, Match, Rewrite, rewrite
from .rope_tables import HALVES, PAIRS, Table, Unproved, table

# ---- parts of the last axis


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
    size = node.type(0).shape[-1]
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


# ---- frequencies


def base_of(freqs: np.ndarray) -> tuple[float, float] | None:
    """(base, scale) with freqs = scale * base^(-2i / dims) to rounding; None if there are none.

    Computed in float32 the power is off by one unit in the last place, the reciprocal by half of
    one, and the rounding of the exponent 2i / dims by half a unit times the logarithm of the
    base: that is the tolerance. The base is the shortest number that fits.
    """
    wide = freqs.astype(np.float64)
    if wide.ndim != 1 or not len(wide) or not (np.isfinite(wide) & (wide > 0)).all():
        return None
    scale = float(freqs[0])
    if len(wide) == 1:
        return 10000.0, scale
    exponents = np.arange(len(wide)) / len(wide)
    with np.errstate(over="ignore"):
        estimate = float((wide[-1] / wide[0]) ** (-1 / exponents[-1]))
    if not 1.0 < estimate < 1e30:
        return None
    unit = 2.0**-24
    tolerance = unit * (4 + exponents * math.log(estimate))
    for digits in range(1, 10):
        base = float(f"{estimate:.{digits}g}")
        if (np.abs(base**-exponents * scale / wide - 1) <= tolerance).all():
            return base, scale
    return None


def _known(graph: Graph, freqs: Any) -> np.ndarray | None:
    """The frequencies as numbers, where the source's tensors are at hand."""
    if any(name not in graph.tensors for name in reads(freqs.recipe)):
        return None
    return np.asarray(evaluate(freqs.recipe, graph.tensors))


# ---- rotations


@dataclass(frozen=True)
class Rotation:
    """What a match means: the features that turn, and the tables."""

    x: Part
    cos: Table
    traditional: bool


def _understand(match: Match, known: dict[Value, Table]) -> Rotation:
    """The rotation; Unproved with the reason against it."""
    joined = match["joined"]
    if len(joined.operands) != 2:
        raise Unproved("what is rotated is not in two halves")
    first, second = part(match["first"]), part(match["second"])
    straight, cos, sin = _sides(match, known)
    if first is None or second is None or first.of is not second.of or straight.of is not first.of:
        raise Unproved("the halves and the tensor are not of one tensor")
    half = (straight.stop - straight.start) // 2
    pairs = joined.op == "stack"
    if pairs:
        wanted = [Part(straight.of, straight.start + i, straight.stop + i, 2) for i in (0, 1)]
    else:
        middle = straight.start + half
        wanted = [
            Part(straight.of, straight.start, middle),
            Part(straight.of, middle, straight.stop),
        ]
    if [first, second] != wanted:
        raise Unproved("the halves are not paired as in a rotation")
    if joined["axis"] != joined.out.tensor.rank - 1:
        raise Unproved("the halves are not joined along the features")
    _check_tables(cos, sin, PAIRS if pairs else HALVES)
    return Rotation(straight, cos, pairs)


def _sides(match: Match, known: dict[Value, Table]) -> tuple[Part, Table, Table]:
    """The tensor itself and its two tables."""
    a, b = match["straight"].operands
    sin = table(match["sin"], known)
    for x, other in ((a, b), (b, a)):
        features = part(x)
        if features is not None and _shares(features, match["first"]):
            return features, table(other, known), sin
    raise Unproved("the halves and the tensor are not of one tensor")


def _shares(features: Part, half: Any) -> bool:
    found = part(half)
    return found is not None and found.of is features.of


def _check_tables(cos: Table, sin: Table, layout: str) -> None:
    if (cos.function, sin.function) == ("sin", "cos"):
        raise Unproved("cosine and sine are swapped")
    if (cos.function, sin.function) != ("cos", "sin"):
        raise Unproved("the tables are not a cosine and a sine")
    if (cos.position, cos.feature, cos.offset, cos.freqs, cos.layout, cos.scale) != (
        sin.position, sin.feature, sin.offset, sin.freqs, sin.layout, sin.scale
    ):  # fmt: skip
        raise Unproved("cosine and sine are of different angles")
    if cos.layout != layout:
        raise Unproved("the angles are laid out for other pairs than those that turn")
    if cos.feature != -1:
        raise Unproved("the angles do not vary along the last axis")


def _place(rotation: Rotation, rank: int, match: Match) -> int:
    """The axis of positions, from the end."""
    position = rotation.cos.position
    assert position is not None  # a cosine has one
    x = rotation.x
    features = rotation.cos.freqs
    assert features is not None
    if features.tensor.shape[0] != (x.stop - x.start) // 2:
        raise Unproved("there is not one frequency for each pair of features")
    if -position > rank or rank < 3:
        raise Unproved("the tensor has no batch, length and features")
    if match.root.out.tensor.shape[:-1] != x.of.tensor.shape[:-1]:
        raise Unproved("the tables broadcast the tensor")
    return position


def _rows(graph: Graph) -> list[Rewrite]:
    known: dict[Value, Table] = {}
    periods: dict[tuple[Any, Any], Any] = {}

    def guard(match: Match) -> str | None:
        try:
            rotation = _understand(match, known)
            _place(rotation, rotation.x.of.tensor.rank, match)
        except Unproved as reason:
            return str(reason)
        return None

    def build(out: Rebuild, match: Match, like: Node) -> Any:
        rotation = _understand(match, known)
        rank = rotation.x.of.tensor.rank
        place = _place(rotation, rank, match)
        x = _features(out, rotation.x, match)
        order = list(range(rank))
        order[rank + place], order[-2] = order[-2], order[rank + place]
        moved = place != -2
        if moved:
            x = out.emit("transpose", x, axes=tuple(order), like=like)
        turned = _emit(out, x, rotation, like)
        if moved:
            turned = out.emit("transpose", turned, axes=tuple(order), like=like)
        if rotation.cos.scale != 1.0:
            turned = out.emit("multiply", turned, rotation.cos.scale, like=like)
        return turned

    def _emit(out: Rebuild, x: Value, rotation: Rotation, like: Node) -> Any:
        freqs = rotation.cos.freqs
        numbers = _known(graph, freqs)
        found = base_of(numbers) if numbers is not None else None
        options: dict[str, Any] = {
            "dims": rotation.x.stop - rotation.x.start,
            "offset": rotation.cos.offset,
            "traditional": rotation.traditional,
        }
        if found is not None:
            base, scale = found
            return out.emit("rope", x, None, like=like, base=base, scale=scale, **options)
        return out.emit("rope", x, _periods(out, freqs, like), like=like, **options)

    def _periods(out: Rebuild, freqs: Any, like: Node) -> Value:
        """1 / freqs, computed once in the scope in which the tables were made."""
        if freqs not in periods:
            scope = next((n.scope for n in graph.nodes if freqs in n.values), like.scope)
            periods[freqs] = out.emit("divide", 1.0, freqs, like=like, scope=scope, hint="freqs")
        return periods[freqs]

    straight = Is("multiply", (), name="straight")
    negative = Is("negative", (Bind("second"),))
    halves = Is("concatenate", (negative, Bind("first")), name="joined")
    pairs = Is("reshape", (Is("stack", (negative, Bind("first")), name="joined"),))
    return [
        Rewrite("rope", Is("add", (straight, Is("multiply", (turned, Bind("sin"))))), guard, build)
        for turned in (halves, pairs)
    ]


def _features(out: Rebuild, x: Part, match: Match) -> Value:
    """The features that turn: the value that the match multiplies by the cosine."""
    for operand in match["straight"].operands:
        if part(operand) == x:
            return operand
    raise AssertionError("the guard saw it")


# ---- the features that do not turn


def _guard_partial(match: Match) -> str | None:
    root = match.root
    if len(root.operands) != 2 or root["axis"] != root.out.tensor.rank - 1:
        return "more is joined than what turns and the rest"
    if _whole(match) is None:
        return "what turns and the rest are not one tensor in its order"
    return None


def _whole(match: Match) -> Value | None:
    """The tensor whose first features turn and whose others are the rest."""
    rests = {p.of: p for p in parts(match["rest"])}
    for turned in parts(match["rope"].operands[0]):
        rest = rests.get(turned.of)
        fits = rest is not None and (turned.stop, rest.stop) == (
            rest.start,
            turned.of.tensor.shape[-1],
        )
        if fits and turned.start == 0 and rest is not None and rest.step == turned.step == 1:
            return turned.of
    return None


def _build_partial(out: Rebuild, match: Match, like: Node) -> Any:
    rope = match["rope"]
    return out.emit("rope", _whole(match), rope.operands[1], like=like, **rope.attrs)


PARTIAL = [
    Rewrite(
        "rope_partial", Is("concatenate", (Is("rope", (), name="rope"), Bind("rest"))),
        _guard_partial, _build_partial,
    )
]  # fmt: skip


def raise_rope(graph: Graph, log: Log | None = None) -> bool:
    """x * cos + rotate_half(x) * sin, and its interleaved form, become one op."""
    changed = rewrite(graph, _rows(graph), log)
    return (rewrite(graph, PARTIAL, log) or changed) if changed else False


__all__: list[str] = ["base_of", "raise_rope"]
