"""Composed rotary position embeddings become `rope`. Su et al., 2021."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..ir import DType, Graph, Node, Value
from ..ir.dims import product
from ..ir.recipe import evaluate, reads
from .feature_parts import Part, part, parts
from .rebuild import Rebuild
from .rewrite import Bind, Is, Log, Match, Rewrite, rewrite
from .rope_tables import CIS, HALVES, PAIRS, Table, Unproved, table

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
    """The frequencies as numbers, where they stand in the code or the tensors are at hand."""
    if freqs.node is not None:
        return np.array(freqs.node["values"], np.float32)
    if any(name not in graph.tensors for name in reads(freqs.recipe)):
        return None
    return np.asarray(evaluate(freqs.recipe, graph.tensors)).astype(np.float32).reshape(-1)


# ---- rotations


@dataclass(frozen=True)
class Rotation:
    """What a match means: the features that turn, by which angles, as halves or as neighbours.

    Where `x` has an axis of pairs at its end, `paired` is set.
    """

    x: Part
    table: Table
    traditional: bool
    paired: bool = False

    @property
    def dims(self) -> int:
        if not self.paired:
            return self.x.stop - self.x.start
        pairs: Any = self.x.of.tensor.shape[-2]
        return 2 * int(pairs)

    @property
    def shape(self) -> tuple[Any, ...]:
        """The shape of what turns."""
        before = self.x.of.tensor.shape[: -2 if self.paired else -1]
        return (*before, self.dims)


Known = dict[Value, Table]
Understand = Callable[[Match, Known], Rotation]


def _turned_copy(match: Match, known: Known) -> Rotation:
    """x * cos + j * sin, where j is x with its halves or neighbours exchanged, one negated."""
    sin = table(match["sin"], known)
    first = part(match["first"])
    if len(match["joined"].operands) != 2 or first is None:
        raise Unproved("what is rotated is not in two halves")
    for x, other in (operands := match["straight"].operands, operands[::-1]):
        features = part(x)
        if features is not None and features.of is first.of:
            return _rotation(match, features, part(match["second"]), table(other, known), sin)
    raise Unproved("the halves and the tensor are not of one tensor")


def _rotation(match: Match, x: Part, second: Part | None, cos: Table, sin: Table) -> Rotation:
    pairs = match["joined"].op == "stack"
    if [part(match["first"]), second] != _halves(x, pairs):
        raise Unproved("the halves are not paired as in a rotation")
    _check_axis(match)
    _check_tables(cos, sin, PAIRS if pairs else HALVES)
    return Rotation(x, cos, pairs)


def _halves(x: Part, pairs: bool) -> list[Part]:
    """The first and the second of each pair that turns."""
    if pairs:
        return [Part(x.of, x.start + i, x.stop + i, 2) for i in (0, 1)]
    middle = (x.start + x.stop) // 2
    return [Part(x.of, x.start, middle), Part(x.of, middle, x.stop)]


def _check_axis(match: Match) -> None:
    joined = match["joined"]
    if joined["axis"] != joined.out.tensor.rank - 1:
        raise Unproved("the halves are not joined along the features")


def _two_sums(match: Match, known: Known) -> Rotation:
    """[a * cos - b * sin, b * cos + a * sin], the two sums written out."""
    terms = [_term(match[name], known) for name in ("ac", "bs", "bc", "as")]
    (a, cos), (b, sin) = terms[:2]
    if cos.function == "sin":
        raise Unproved("cosine and sine are swapped")
    if terms[2:] not in ([(b, cos), (a, sin)], [(a, sin), (b, cos)]):
        raise Unproved("the two sums are not of the same halves and angles")
    pairs = match["joined"].op == "stack"
    x = Part(a.of, a.start, a.stop if pairs else 2 * a.stop - a.start)
    if len(match["joined"].operands) != 2 or [a, b] != _halves(x, pairs):
        raise Unproved("the halves are not paired as in a rotation")
    _check_axis(match)
    _check_tables(cos, sin, "")
    return Rotation(x, cos, pairs)


def _term(node: Node, known: Known) -> tuple[Part, Table]:
    """A half times a table."""
    reasons = []
    for x, other in (node.operands, node.operands[::-1]):
        features = part(x)
        if features is not None:
            try:
                return features, table(other, known)
            except Unproved as reason:
                reasons.append(reason)
    raise reasons[0] if reasons else Unproved("a half is not multiplied by a table")


def _complex(match: Match, known: Known) -> Rotation:
    """Pairs as complex numbers times cos + i sin."""
    a, b = match["product"].operands
    if a is not match["number"].out:
        a, b = b, a
    found = table(b, known)
    if found.function != CIS or found.layout:
        raise Unproved("what multiplies the complex numbers is no cosine and sine of angles")
    x = match["x"]
    if not isinstance(x.tensor.shape[-2], int):
        raise Unproved("the number of pairs is not constant")
    return Rotation(Part(x, 0, 2), found, traditional=True, paired=True)


def _check_tables(cos: Table, sin: Table, layout: str) -> None:
    if (cos.function, sin.function) == ("sin", "cos"):
        raise Unproved("cosine and sine are swapped")
    if (cos.function, sin.function) != ("cos", "sin"):
        raise Unproved("the tables are not a cosine and a sine")
    if replace(cos, function="sin") != sin:
        raise Unproved("cosine and sine are of different angles")
    if cos.layout != layout:
        raise Unproved("the angles are laid out for other pairs than those that turn")


def _check_shapes(rotation: Rotation, match: Match) -> None:
    found, shape = rotation.table, rotation.shape
    if found.feature != -1:
        raise Unproved("the angles do not vary along the last axis")
    assert found.position is not None and found.freqs is not None  # a cosine has both
    if product(found.freqs.tensor.shape) != rotation.dims // 2:
        raise Unproved("there is not one frequency for each pair of features")
    if -found.position > len(shape) or len(shape) < 3:
        raise Unproved("the tensor has no batch, length and features")
    if match.root.out.tensor.shape != shape:
        raise Unproved("the tables broadcast the tensor")


_NEGATIVE = Is("negative", (Bind("second"),))
_STRAIGHT = Is("multiply", (), name="straight")
_SUMS = (
    Is("subtract", (Is("multiply", (), name="ac"), Is("multiply", (), name="bs"))),
    Is("add", (Is("multiply", (), name="bc"), Is("multiply", (), name="as"))),
)
_PRODUCT = Is("multiply", (Is("as_complex", (Bind("x"),), name="number"), Bind("cis")))


def _turns(joined: Is) -> Is:
    return Is("add", (_STRAIGHT, Is("multiply", (joined, Bind("sin")))))


SPELLINGS: list[tuple[Is, Understand]] = [
    (_turns(Is("concatenate", (_NEGATIVE, Bind("first")), name="joined")), _turned_copy),
    (
        _turns(Is("reshape", (Is("stack", (_NEGATIVE, Bind("first")), name="joined"),))),
        _turned_copy,
    ),
    (Is("concatenate", _SUMS, name="joined"), _two_sums),
    (Is("reshape", (Is("stack", _SUMS, name="joined"),)), _two_sums),
    (Is("reshape", (Is("as_real", (replace(_PRODUCT, name="product"),)),)), _complex),
]


def _rows(graph: Graph) -> list[Rewrite]:
    known: Known = {}
    periods: dict[Value, Value] = {}

    def row(pattern: Is, understand: Understand) -> Rewrite:
        def guard(match: Match) -> str | None:
            try:
                _check_shapes(understand(match, known), match)
            except Unproved as reason:
                return str(reason)
            return None

        def build(out: Rebuild, match: Match, like: Node) -> Any:
            return _build(out, understand(match, known), like, graph, periods)

        return Rewrite("rope", pattern, guard, build)

    return [row(*spelling) for spelling in SPELLINGS]


def _build(
    out: Rebuild, rotation: Rotation, like: Node, graph: Graph, periods: dict[Value, Value]
) -> Any:
    found, rank = rotation.table, len(rotation.shape)
    assert found.position is not None
    x = _features(out, rotation, like)
    order = list(range(rank))
    order[rank + found.position], order[-2] = order[-2], order[rank + found.position]
    if found.position != -2:
        x = out.emit("transpose", x, axes=tuple(order), like=like)
    turned = _emit(out, x, rotation, like, graph, periods)
    if found.position != -2:
        turned = out.emit("transpose", turned, axes=tuple(order), like=like)
    return out.emit("multiply", turned, found.scale, like=like) if found.scale != 1.0 else turned


def _features(out: Rebuild, rotation: Rotation, like: Node) -> Value:
    """The features that turn, as one tensor."""
    x = rotation.x
    if rotation.paired:
        value: Value = out.emit("reshape", x.of, shape=rotation.shape, like=like)
    elif (x.start, x.stop) == (0, x.of.tensor.shape[-1]):
        value = x.of
    else:
        axis = x.of.tensor.rank - 1
        value = out.emit("slice", x.of, axis=axis, start=x.start, stop=x.stop, like=like)
    return value


def _emit(
    out: Rebuild,
    x: Value,
    rotation: Rotation,
    like: Node,
    graph: Graph,
    periods: dict[Value, Value],
) -> Value:
    """The op: with a base where the frequencies have one, else with 1 / frequencies."""
    freqs: Any = rotation.table.freqs
    options: dict[str, Any] = {
        "dims": rotation.dims,
        "offset": rotation.table.offset,
        "traditional": rotation.traditional,
    }
    numbers = _known(graph, freqs)
    found = base_of(numbers) if numbers is not None else None
    value: Value
    if found is not None:
        value = out.emit("rope", x, None, like=like, base=found[0], scale=found[1], **options)
        return value
    if freqs not in periods:  # once, in the scope in which the tables were made
        scope = next((n.scope for n in graph.nodes if freqs in n.values), like.scope)
        wide = freqs
        if freqs.tensor.rank > 1:
            shape = (product(freqs.tensor.shape),)
            wide = out.emit("reshape", wide, like=like, scope=scope, hint="", shape=shape)
        if freqs.tensor.dtype is not DType.f32:
            wide = out.emit("cast", wide, like=like, scope=scope, dtype=DType.f32)
        periods[freqs] = out.emit("divide", 1.0, wide, like=like, scope=scope, hint="freqs")
    value = out.emit("rope", x, periods[freqs], like=like, **options)
    return value


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
