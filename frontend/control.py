"""Control flow of torch sources that data decides: sides of an IR branch, turns of an IR loop.

What a side or turn changes besides its results (tensors written to, lists) is found by walking it,
put back, and becomes a result of the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import TranspileError
from ..ir import DType, Unequal, Value
from ..ir.dims import Expr, data_decides
from . import blocks, host
from .alias import Handle, Place, owner, write
from .blocks import Cut, cut
from .data_numbers import DataNumber, condition_value, read_number
from .host import Scalar
from .lowering import UNKNOWN, Lowering
from .promotion import cast
from .world import World

Dim = int | Expr


class ModelRaises(TranspileError):
    """The source raises an exception on this path."""


class Unset:
    """A variable without a value on this path: nothing reads it there."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


# ---- values of one of two kinds


@dataclass
class Leaf:
    """A result of the node: the number of it, and whether it is a number of the source."""

    index: int
    number: bool


def is_number(x: Any) -> bool:
    return isinstance(x, DataNumber | host.Condition) or host.is_number(x)


def is_tensor(x: Any) -> bool:
    return isinstance(x, Handle | Scalar)


def same(x: Any, y: Any) -> bool:
    """Whether two source values are the same thing."""
    if x is y:
        return True
    if isinstance(x, Handle) and isinstance(y, Handle):
        return x.place.value is y.place.value and x.place.version == y.place.version
    if isinstance(x, DataNumber) and isinstance(y, DataNumber):
        return x.value is y.value
    plain = isinstance(x, Scalar | str) or host.is_number(x)
    return plain and type(x) is type(y) and bool(x == y)


def as_value(lowering: Lowering, x: Any, dtype: DType | None = None) -> Value:
    """A tensor or number of the source as a value."""
    b = lowering.b
    if x is UNKNOWN:
        raise TranspileError("a part of it cannot be transpiled")
    if isinstance(x, host.Condition):
        return condition_value(b, x)
    value = lowering.read(lowering.tensor(x))
    return cast(b, value, dtype)


def number_type(*numbers: Any) -> DType:
    """The element type that holds all these numbers."""
    kinds = [n.dtype if isinstance(n, DataNumber) else host.as_scalar(n).dtype for n in numbers]
    floats = [k for k in kinds if k.is_float]
    return floats[0] if floats else DType.bool if set(kinds) == {DType.bool} else DType.i64


def from_value(lowering: Lowering, value: Value, number: bool) -> Any:
    return read_number(lowering.b, value) if number else owner(value, dense=True)


# ---- if


@dataclass
class Side:
    """One side of a branch: its nodes, its results, what it left in tensors that it wrote to."""

    part: Cut
    results: list[Any]
    written: dict[Place, Value] = field(default_factory=dict)


def walk_side(lowering: Lowering, world: World, run: Callable[[], Sequence[Any]]) -> Side | None:
    """A side, after which all is as before; None where the source raises on it."""
    results: list[Any] = []
    written: dict[Place, Value] = {}

    def walked() -> Sequence[Value]:
        results.extend(run())
        _check_changes(world)
        written.update((p, p.value) for p in world.written())
        return ()

    b = lowering.b
    at = b.scope, b.source, b.hint
    try:
        return Side(cut(b, walked), results, written)
    except ModelRaises:
        return None
    finally:
        world.restore()
        b.scope, b.source, b.hint = at


def _check_changes(world: World) -> None:
    if world.changed():
        raise TranspileError(
            "a list changes in a branch that data decides",
            hint="give the list's new item a value on both sides (torch.where), and append it "
            "after the branch",
        )
    if world.moved() or world.stale():
        raise TranspileError(
            "a branch that data decides changes the shape of a tensor in place, or writes to one "
            "that may share its memory",
            hint="use the op that returns a new tensor",
        )


def branch(
    lowering: Lowering, condition: Any, world: World, runs: Sequence[Callable[[], Sequence[Any]]]
) -> list[Any]:
    """The results of one of two sides. A side that raises is an assertion: it is left out."""
    b = lowering.b
    test = as_value(lowering, condition)
    sides = [walk_side(lowering, world, run) for run in runs]
    there = [s for s in sides if s is not None]
    if not there:
        raise ModelRaises("the model raises on both sides of a branch that data decides")
    if len(there) == 1:
        _hold(lowering, condition, sides[0] is not None)
        lowering.dropped.append(lowering.place())
        return _only(lowering, there[0])
    one, two = there
    sizes = _joint_condition(condition, one, two)
    if sizes is not None:
        return [sizes]
    joint = _Join(lowering, one, two)
    template = [joint.join(x, y) for x, y in zip(one.results, two.results, strict=True)]
    places = list(one.written | two.written)
    left = [joint.values(one.written.get(p, p.value), two.written.get(p, p.value)) for p in places]
    short = _logical(lowering, test, one, two, template)
    if short is not None:
        return [short]
    found = blocks.branch(b, test, [one.part, two.part])
    for place, leaf in zip(places, left, strict=True):
        write(place, found[leaf.index], "a branch")
    return [_filled(lowering, t, found) for t in template]


def _hold(lowering: Lowering, condition: Any, truth: bool) -> None:
    """Unequal for sizes that are equal wherever the source does not raise: `height % 4 == 0`."""
    for left, right in _equations(condition, truth):
        if left != right and not data_decides(left, right):
            equation = Unequal(left, right)
            equation.add_note(f"the source raises otherwise in {lowering.place()}")
            raise equation


def _equations(condition: Any, truth: bool) -> Iterator[tuple[Dim, Dim]]:
    """The sizes that are equal where the condition has that truth."""
    match getattr(condition, "tree", ()):
        case ("not", inner):
            yield from _equations(inner, not truth)
        case ("and" | "or" as kind, *parts) if truth is (kind == "and"):
            for part in parts:
                yield from _equations(part, truth)
        case ("==" | "!=" as kind, int() | Expr() as left, int() | Expr() as right):
            if truth is (kind == "=="):
                yield left, right


def _joint_condition(condition: Any, one: Side, two: Side) -> Any:
    """`a and b`, `a or b` of comparisons of sizes; None where a side does anything else."""
    plain = not any(side.part.nodes or side.written for side in (one, two))
    results = [side.results[0] for side in (one, two) if len(side.results) == 1]
    known = all(isinstance(r, bool | host.Condition) for r in results)
    if not plain or len(results) != 2 or not known or not isinstance(condition, host.Condition):
        return None
    first, second = results
    if second is False:
        return host.both(condition, first)
    return host.either(condition, second) if first is True else None


def _only(lowering: Lowering, side: Side) -> list[Any]:
    """The side that does not raise, as if it stood there without a condition."""
    lowering.b.graph.nodes += side.part.nodes
    for place, value in side.written.items():
        write(place, value, "a branch")
    return side.results


def _filled(lowering: Lowering, template: Any, found: list[Value]) -> Any:
    if isinstance(template, Leaf):
        return from_value(lowering, found[template.index], template.number)
    if isinstance(template, tuple | list):
        return type(template)(_filled(lowering, t, found) for t in template)
    return template


class _Join:
    """Pairs of results of two sides, of which the node gives one."""

    def __init__(self, lowering: Lowering, one: Side, two: Side):
        self.lowering, self.one, self.two = lowering, one.part, two.part

    def join(self, x: Any, y: Any) -> Any:
        """What is known and the same on both sides, or a `Leaf`; tuples and lists item by item."""
        if same(x, y) or y is UNSET:
            return self._kept(x, y, self.one)
        if x is UNSET:
            return self._kept(y, x, self.two)
        if x is UNKNOWN or y is UNKNOWN:
            return UNKNOWN
        if isinstance(x, tuple | list) and type(x) is type(y) and len(x) == len(y):
            return type(x)(self.join(i, j) for i, j in zip(x, y, strict=True))
        if is_tensor(x) and is_tensor(y):
            return self.pair(x, y, None, number=False)
        if is_number(x) and is_number(y):
            return self.pair(x, y, number_type(x, y), number=True)
        raise TranspileError(
            f"the sides of a branch that data decides give {_kind(x)} and {_kind(y)}",
            hint="tensors or numbers on both sides work",
        )

    def _kept(self, x: Any, y: Any, part: Cut) -> Any:
        """What one side alone gives: a value that it makes has to leave its block."""
        made = {r for n in part.nodes for r in n.results}
        if isinstance(x, tuple | list) and y is UNSET:
            return type(x)(self._kept(i, y, part) for i in x)
        value = x.place.value if isinstance(x, Handle) else getattr(x, "value", None)
        if not isinstance(value, Value) or value not in made:
            return x
        shape = tuple(d if isinstance(d, int) else 0 for d in value.tensor.shape)
        other = self.two if part is self.one else self.one
        zero = other.extend(
            self.lowering.b,
            lambda: self.lowering.b.op("full", shape=shape, value=0, dtype=value.tensor.dtype),
        )
        left, right = (value, zero) if part is self.one else (zero, value)
        return self.values(left, right, isinstance(x, DataNumber))

    def pair(self, x: Any, y: Any, dtype: DType | None, number: bool) -> Leaf:
        low, b = self.lowering, self.lowering.b
        left = self.one.extend(b, lambda: as_value(low, x, dtype))
        right = self.two.extend(b, lambda: as_value(low, y, dtype))
        return self.values(left, right, number)

    def values(self, x: Value, y: Value, number: bool = False) -> Leaf:
        self.one.results.append(x)
        self.two.results.append(y)
        return Leaf(len(self.one.results) - 1, number)


def _kind(x: Any) -> str:
    if is_tensor(x):
        return "a tensor"
    return "None" if x is None else "a number" if is_number(x) else f"a {type(x).__name__}"


_EAGER = frozenset(
    {"cast", "reshape", "squeeze", "full", "any", "all", "sum", "max", "min", "expand_dims"}
)


def _logical(
    lowering: Lowering, test: Value, one: Side, two: Side, template: list[Any]
) -> DataNumber | None:
    """`a and b`, `a or b`: the second may be computed where it is cheap and reads no index."""
    leaf = template[0] if len(template) == 1 else None
    if not isinstance(leaf, Leaf) or not leaf.number or one.written or two.written:
        return None
    if len(one.part.results) != 1:
        return None
    nodes = one.part.nodes + two.part.nodes
    cheap = all(n.row.elementwise or n.op in _EAGER for n in nodes if not n.row.binds)
    if len(nodes) > 8 or not cheap or any(n.row.blocks for n in nodes):
        return None
    b = lowering.b
    known = one.results[0], two.results[0]
    if known == (True, False) or known == (False, True):
        return DataNumber(test if known[0] else b.op("invert", test))
    if known[1] is False:
        b.graph.nodes += one.part.nodes
        return DataNumber(b.op("bitwise_and", test, one.part.results[0]))
    if known[0] is True:
        b.graph.nodes += two.part.nodes
        return DataNumber(b.op("bitwise_or", test, two.part.results[0]))
    return None
