"""Loops of torch sources whose number of turns the data or a free size decides: IR loops.

A turn is walked to see what it changes: carried variables, tensors written to, items of lists,
lists that grow. These become carried values, and rows that are stacked; the rest stays known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import TranspileError
from ..ir import DType, Tensor, Value
from ..ir.dims import Expr, bounds, maximum, symbols
from . import blocks
from .alias import Handle, Place, owner, write
from .blocks import Turn, Turns, cut
from .control import UNSET, as_value, from_value, is_number, is_tensor, number_type, same
from .data_numbers import DataNumber
from .grown import OPEN, Run
from .host import Scalar
from .lowering import Lowering
from .world import World

# (number of the turn, carried variables) -> (whether to go on, carried variables)
Body = Callable[[Any, list[Any]], tuple[Any, list[Any]]]
_MOST_TRIALS = 12


class Peel(TranspileError):
    """The first turn is unlike the others: None becomes a tensor, say."""


@dataclass
class Cell:
    """What changes from turn to turn: the value before the loop, and what it is of."""

    start: Any
    number: bool
    dtype: DType | None = None
    step: int | None = None  # an integer that counts up by this

    def value(self, lowering: Lowering) -> Value:
        if isinstance(self.start, Tensor):  # nothing reads it
            kind = self.start
            blank: Value = lowering.b.op("full", shape=kind.shape, value=0, dtype=kind.dtype)
            return blank
        return as_value(lowering, self.start, self.dtype)


@dataclass
class Cells:
    """All that changes. Variables are known by the path to them in the carried ones."""

    variables: dict[tuple[int, ...], Cell] = field(default_factory=dict)
    places: dict[Place, Cell] = field(default_factory=dict)
    items: dict[tuple[int, int], Cell] = field(default_factory=dict)  # list by id, index
    lists: dict[int, list[Any]] = field(default_factory=dict)
    grown: dict[int, list[Any]] = field(default_factory=dict)

    def all(self) -> list[Cell]:
        return [*self.variables.values(), *self.places.values(), *self.items.values()]

    def count(self) -> int:
        return len(self.all()) + len(self.grown)


@dataclass
class Loop:
    """A loop of the source: the number of turns (None: no limit), the first condition, the body."""

    trips: int | Expr | None
    running: Any
    carried: list[Any]
    world: World
    body: Body


def run_loop(lowering: Lowering, loop: Loop) -> list[Any]:
    """The carried variables after the loop; tensors and lists hold what the turns left there."""
    b = lowering.b
    counter = b.found.fresh("i")
    b.found.counters[counter] = 2**31 if loop.trips is None else loop.trips
    cells = _cells(lowering, loop, counter)
    start = [c.value(lowering) for c in cells.all()]
    entered = None if loop.running is True else as_value(lowering, loop.running)

    def walk(turn: Expr, own: list[Value]) -> Turn:
        made = _walk_turn(lowering, loop, cells, turn, own)
        going = None if made.going is True else as_value(lowering, made.going)
        return Turn(going, made.carried(lowering, cells), made.rows(lowering, cells))

    found = blocks.loop(b, Turns(loop.trips, entered, start, counter), walk)
    return _after(lowering, loop, cells, found)


def turns_of(lowering: Lowering, count: Any) -> int | Expr | None:
    """The number of turns that a source states: None where it states no limit."""
    if isinstance(count, DataNumber | Handle | Scalar):
        value = as_value(lowering, count)
        return lowering.b.size(lowering.b.op("maximum", value, 0))
    if isinstance(count, Expr):
        low = bounds(count)[0]
        return count if low is not None and low >= 0 else maximum(count, 0)
    return None if count >= 2**31 - 1 else max(int(count), 0)


# ---- what changes


def _cells(lowering: Lowering, loop: Loop, counter: str) -> Cells:
    """What a turn changes, found by walking turns until one changes nothing else."""
    from ..ir.ops_data import data_size

    cells = Cells()
    for path, x in _leaves(loop.carried):
        if is_tensor(x) or is_number(x):
            dtype = number_type(x) if is_number(x) else None
            cells.variables[path] = Cell(x, is_number(x), dtype)
    for _ in range(_MOST_TRIALS):
        before = cells.count(), [c.step for c in cells.all()], [c.dtype for c in cells.all()]
        mark = len(lowering.b.graph.nodes)
        entries = dict(lowering.missing.entries)

        def trial() -> Sequence[Value]:
            own = [Value(c.value(lowering).type) for c in cells.all()]
            made = _walk_turn(lowering, loop, cells, data_size(counter), own)
            _learn(loop, cells, made)
            return ()

        cut(lowering.b, trial)
        lowering.missing.entries = entries
        del lowering.b.graph.nodes[mark:]
        now = cells.count(), [c.step for c in cells.all()], [c.dtype for c in cells.all()]
        if now == before:
            return cells
    raise TranspileError("what a loop changes differs from turn to turn")


def _leaves(values: Sequence[Any], path: tuple[int, ...] = ()) -> list[tuple[tuple[int, ...], Any]]:
    """Variables with their paths; tuples are looked into."""
    out = []
    for i, x in enumerate(values):
        if isinstance(x, tuple):
            out += _leaves(x, (*path, i))
        else:
            out.append(((*path, i), x))
    return out


def _put(x: Any, path: tuple[int, ...], cells: dict[tuple[int, ...], Any]) -> Any:
    if isinstance(x, tuple):
        return tuple(_put(item, (*path, i), cells) for i, item in enumerate(x))
    return cells.get(path, x)


@dataclass
class _Made:
    """What one turn gave."""

    going: Any
    variables: dict[tuple[int, ...], Any]
    places: dict[Place, Value]
    lists: dict[int, tuple[list[Any], list[Any]]]  # before, after
    opened: dict[tuple[int, ...], Any]

    def carried(self, lowering: Lowering, cells: Cells) -> list[Value]:
        out = [
            as_value(lowering, self.variables[path], c.dtype) for path, c in cells.variables.items()
        ]
        out += [self.places[p] for p in cells.places]
        return out + [
            as_value(lowering, self.lists[key][1][i], c.dtype)
            for (key, i), c in cells.items.items()
        ]

    def rows(self, lowering: Lowering, cells: Cells) -> list[Value]:
        out = []
        for key in cells.grown:
            _, after = self.lists[key]
            new = after[after.index(OPEN) + 1 :]
            if len(new) != 1 or not (is_tensor(new[0]) or is_number(new[0])):
                raise TranspileError(
                    f"a list grows by {len(new)} items in a turn of a loop",
                    hint="append one tensor in each turn",
                )
            out.append(as_value(lowering, new[0]))
        return out


def _walk_turn(
    lowering: Lowering, loop: Loop, cells: Cells, turn: Expr, own: Sequence[Value]
) -> _Made:
    """One turn, on values of its own in the place of what changes; then all is put back."""
    b, world = lowering.b, loop.world
    at = b.scope, b.source, b.hint
    values = iter(own)
    opened = {p: _opened(lowering, c, next(values), turn) for p, c in cells.variables.items()}
    try:
        for place in cells.places:
            write(place, next(values), "a loop")
        versions = {p: p.storage.version for p in world.places}
        for (key, i), cell in cells.items.items():
            cells.lists[key][i] = _opened(lowering, cell, next(values), turn)
        for items in cells.grown.values():
            items.append(OPEN)
        lists = {key: list(items) for key, (items, _) in world.lists.items()}
        carried = [_put(x, (i,), opened) for i, x in enumerate(loop.carried)]
        going, results = loop.body(turn, carried)
        if world.moved() or world.stale():
            raise TranspileError(
                "a loop changes the shape of a tensor in place, a dict, or a tensor that may "
                "share its memory with another",
                hint="use ops that return new tensors",
            )
        return _Made(
            going,
            dict(_leaves(results)),
            {
                p: p.value
                for p in world.places
                if p.parent is None and (p in cells.places or p.storage.version != versions[p])
            },
            {key: (before, list(world.lists[key][0])) for key, before in lists.items()},
            opened,
        )
    finally:
        world.restore()
        b.scope, b.source, b.hint = at


def _opened(lowering: Lowering, cell: Cell, value: Value, turn: Expr) -> Any:
    found = from_value(lowering, value, cell.number)
    if cell.step is not None and isinstance(cell.start, int | Expr):
        return DataNumber(found.value, cell.start + turn * cell.step)
    return found


def _learn(loop: Loop, cells: Cells, made: _Made) -> None:
    """Add what the turn changed, beside what was known to change."""
    starts = dict(_leaves(loop.carried))
    if starts.keys() != made.variables.keys():
        raise Peel("a variable of a loop becomes a tuple")
    for path, start in starts.items():
        _learn_variable(cells, made, path, start)
    for place in made.places:
        if place not in cells.places:
            before = loop.world.places[place][0]
            cells.places[place] = Cell(owner(before), number=False)
    for key, (before, after) in made.lists.items():
        _learn_list(cells, loop, key, before, after)


def _learn_variable(cells: Cells, made: _Made, path: tuple[int, ...], start: Any) -> None:
    result, cell = made.variables[path], cells.variables.get(path)
    if cell is not None:
        if cell.number and is_number(result):
            cell.dtype = number_type(cell.start, result)
            own = made.opened[path]
            if cell.step is None and isinstance(result, DataNumber) and own.dim is not None:
                step = None if result.dim is None else result.dim - own.dim
                plain = isinstance(start, int | Expr) and not isinstance(start, bool)
                cell.step = step if isinstance(step, int) and plain else None
        return
    if same(start, result) or result is UNSET:
        return
    if start is UNSET and (is_tensor(result) or is_number(result)):
        cells.variables[path] = Cell(_blank(result), is_number(result))
    elif is_number(start) and is_number(result):
        cells.variables[path] = Cell(start, True, number_type(start, result))
    elif is_tensor(start) and is_tensor(result):
        cells.variables[path] = Cell(start, number=False)
    elif start is None or start is UNSET:
        raise Peel("a variable is None before the first turn of a loop, and no more after it")
    else:
        raise TranspileError(
            f"a loop carries {type(start).__name__} and {type(result).__name__} in one variable",
            hint="tensors and numbers work",
        )


def _blank(x: Any) -> Any:
    """What stands for a variable without a value."""
    if is_number(x):
        return False if number_type(x) is DType.bool else 0
    kind = x.type if isinstance(x, Handle) else None
    if kind is None or any(s.low == 0 for d in kind.shape for s in symbols(d)):
        raise Peel("a variable has no value before the first turn of a loop")
    return kind


def _learn_list(cells: Cells, loop: Loop, key: int, before: list[Any], after: list[Any]) -> None:
    items = loop.world.lists[key][0]
    if len(after) < len(before):
        raise TranspileError("a loop takes items off a list", hint="use an index instead")
    for i, (old, new) in enumerate(zip(before, after, strict=False)):
        if (key, i) in cells.items or same(old, new):
            continue
        if not (is_tensor(old) and is_tensor(new)) and not (is_number(old) and is_number(new)):
            raise TranspileError("a loop changes what an item of a list is")
        cells.items[key, i] = Cell(loop.world.before(items)[i], is_number(new))
        cells.lists[key] = items
    if len(after) > len(before):
        cells.grown[key] = items


# ---- after the loop


def _after(lowering: Lowering, loop: Loop, cells: Cells, found: Sequence[Value]) -> list[Any]:
    rest = iter(found)
    ends = {path: from_value(lowering, next(rest), c.number) for path, c in cells.variables.items()}
    for place in cells.places:
        write(place, next(rest), "a loop")
    for (key, i), cell in cells.items.items():
        cells.lists[key][i] = from_value(lowering, next(rest), cell.number)
    for items in cells.grown.values():
        rows = next(rest)
        items.append(Run(owner(rows, dense=True), rows.tensor.shape[0]))
    return [_put(x, (i,), ends) for i, x in enumerate(loop.carried)]
