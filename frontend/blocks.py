"""Control flow that depends on data: what was walked becomes blocks of an IR node.

A block is walked where it stands, with what it reads from around it; then its nodes are cut out,
and each outer value that they read becomes an operand of the node and an input of the block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, Graph, Node, Param, Scope, Tensor, Value
from ..ir.dims import Expr, symbols
from ..ir.graph import map_structure
from ..ir.ops_data import data_size
from .aten_common import reshaped


@dataclass
class Cut:
    """Nodes that were walked for a block, and its results."""

    nodes: list[Node]
    results: list[Value]

    def outer(self) -> dict[Value, None]:
        """What is read from around the block, in order."""
        own = {r for n in self.nodes for r in n.results}
        read = [v for n in self.nodes for v in n.values] + self.results
        return {v: None for v in read if v not in own}

    def extend(self, b: Builder, walk: Callable[[], Any]) -> Any:
        """What the walk gives; the nodes that it adds are the block's."""
        first = len(b.graph.nodes)
        found = walk()
        self.nodes += b.graph.nodes[first:]
        del b.graph.nodes[first:]
        return found


def cut(b: Builder, walk: Callable[[], Sequence[Value]]) -> Cut:
    """The nodes that the walk adds, taken out of the graph, and its results."""
    graph = b.graph
    first, mark = len(graph.nodes), b.found.mark()
    try:
        results = list(walk())
        nodes = graph.nodes[first:]
        views = _of_weights(nodes)
        graph.nodes[first:] = [n for n in nodes if n in views]
    except BaseException:
        del graph.nodes[first:]
        raise
    finally:
        b.found.forget(mark)
    return Cut([n for n in nodes if n not in views], results)


_VIEWS = ("transpose", "reshape", "expand_dims", "squeeze", "cast")


def _of_weights(nodes: Sequence[Node]) -> set[Node]:
    """Views of weights: they stay before the block, where they can go into the weights."""
    found: set[Node] = set()
    for node in nodes:
        sources = [v.node in found if v.node else isinstance(v, Param) for v in node.values]
        if node.op in _VIEWS and sources and all(sources):
            found.add(node)
    return found


def _block(
    b: Builder, name: str, part: Cut, own: Sequence[Value], captured: Sequence[Value]
) -> Graph:
    """The graph of a block: its own inputs, then one for each captured value."""
    graph = Graph(name, Scope(b.scope.path, b.scope.cls))
    inner = {v: Value(v.type, v.hint) for v in captured}
    graph.arguments = [(v.hint, v) for v in [*own, *inner.values()]]
    for node in part.nodes:
        node.operands = [inner.get(o, o) if isinstance(o, Value) else o for o in node.operands]
        node.scope = graph.root
    graph.nodes = part.nodes
    graph.result = map_structure(lambda v: inner.get(v, v), tuple(part.results))
    return graph


# ---- if


def branch(b: Builder, condition: Value, parts: Sequence[Cut]) -> list[Value]:
    """The results of one of two blocks, by a condition; none where neither has any."""
    if not parts[0].results:
        return []
    captured = list(parts[0].outer() | parts[1].outer())
    pairs = zip(parts[0].results, parts[1].results, strict=True)
    sizes = [name for x, y in pairs for name in _sizes_apart(b, x.tensor, y.tensor)]
    blocks = [_block(b, n, p, [], captured) for n, p in zip(("then", "otherwise"), parts)]
    return list(
        b.op(
            "branch", reshaped(b, condition, ()), *captured, then=blocks[0],
            otherwise=blocks[1], sizes=tuple(sizes),
        )
    )  # fmt: skip


def _sizes_apart(b: Builder, x: Tensor, y: Tensor) -> list[str]:
    """New names for the sizes in which two types differ."""
    if (x.dtype, x.rank) != (y.dtype, y.rank):
        raise TranspileError(
            f"its condition depends on data, and its results have two types: {x}, {y}",
            hint="results of one element type and rank on both sides, or a condition of constants "
            "and sizes, work",
        )
    return [b.found.fresh("N") for m, n in zip(x.shape, y.shape, strict=True) if m != n]


# ---- loops


@dataclass
class Turns:
    """A loop to be: the number of turns (None: no limit), the first condition (None: true)."""

    trips: int | Expr | None
    condition: Value | None
    start: list[Value]
    counter: str


@dataclass
class Turn:
    """What one turn gives: the condition to go on (None: true), carried values, rows to stack."""

    going: Value | None
    carried: Sequence[Value]
    rows: Sequence[Value] = ()


def loop(b: Builder, turns: Turns, walk: Callable[[Expr, list[Value]], Turn]) -> list[Value]:
    """The node of a loop. `walk(turn, carried)` walks one turn. Carried sizes that change from turn
    to turn become sizes of their own.
    """
    types = [v.tensor for v in turns.start]
    number = data_size(turns.counter)
    while True:
        own = [Value(t, v.hint) for t, v in zip(types, turns.start, strict=True)]
        made: list[Turn] = []

        def run(own: list[Value] = own, made: list[Turn] = made) -> Sequence[Value]:
            made.append(walk(number, own))
            going = [] if made[0].going is None else [made[0].going]
            return [*going, *made[0].carried, *made[0].rows]

        part = cut(b, run)
        triples = zip(turns.start, types, made[0].carried, strict=True)
        wider = [_widened(b, *each) for each in triples]
        if wider == types:
            return _loop_node(b, turns, part, own, made[0].going is not None)
        types = wider


def _widened(b: Builder, start: Value, inside: Tensor, after: Value) -> Tensor:
    """The type that a carried value has in all turns, after one more walk."""
    kind, then = start.tensor, after.tensor
    if (kind.dtype, kind.rank) != (then.dtype, then.rank):
        raise TranspileError(
            f"it carries a value of two types: {kind}, and {then} after a turn",
            hint="one element type and rank in all turns works",
        )
    dims = []
    for before, now, next_ in zip(kind.shape, inside.shape, then.shape, strict=True):
        changes = now == before and next_ != now
        dims.append(data_size(b.found.fresh("T")) if changes else now)
    return Tensor(kind.dtype, tuple(dims))


def _loop_node(
    b: Builder, turns: Turns, part: Cut, own: list[Value], conditional: bool
) -> list[Value]:
    if turns.trips is None and not conditional:
        raise TranspileError("it has no end", hint="a limit of turns, or a condition, works")
    if conditional:
        part.results[0] = part.extend(b, lambda: reshaped(b, part.results[0], ()))
    captured = [v for v in part.outer() if v not in own]
    count = len(own)
    changed = [
        x
        for outer, inner in zip(turns.start, own, strict=True)
        for x, y in zip(outer.tensor.shape, inner.tensor.shape, strict=True)
        if x != y
    ]
    rows = part.results[conditional + count :]
    _equal_rows(rows, turns.counter, own, turns.start)
    open_ends = conditional or turns.trips is None
    sizes = [b.found.fresh("N") for _ in [*changed, *(rows if open_ends else ())]]
    body = _block(b, "body", part, own, captured)
    return list(
        b.op(
            "loop", turns.condition if conditional else None, *turns.start, *captured, body=body,
            trips=turns.trips, counter=turns.counter, state=count, conditional=conditional,
            sizes=tuple(sizes),
        )
    )  # fmt: skip


def _equal_rows(
    rows: Sequence[Value], counter: str, own: Sequence[Value], start: Sequence[Value]
) -> None:
    inside = {counter}
    for x, y in zip(start, own, strict=True):
        pairs = zip(x.tensor.shape, y.tensor.shape, strict=True)
        inside |= {str(n) for m, n in pairs if m != n}
    for row in rows:
        if any(s.name in inside for d in row.tensor.shape for s in symbols(d)):
            raise TranspileError(
                f"it collects rows of different sizes: {row.tensor}",
                hint="rows of one size work",
            )
