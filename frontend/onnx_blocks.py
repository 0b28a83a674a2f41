"""ONNX control flow that depends on data: the graphs inside a node become blocks of an IR node.

A block is walked where it stands, with what it reads from around it; then its nodes are cut out,
and each outer value that they read becomes an operand of the node and an input of the block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Graph, Node, Param, Scope, Tensor, Value
from ..ir.dims import Expr, bounds, maximum, symbols
from ..ir.graph import map_structure
from ..ir.ops_data import data_size
from .aten_common import reshaped
from .onnx_values import UNKNOWN, Call, Host, Source


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


def cut(c: Call, walk: Callable[[], Sequence[Any]]) -> Cut:
    """The nodes that the walk adds, taken out of the graph, and its results as values."""
    graph = c.b.graph
    first, mark = len(graph.nodes), c.b.found.mark()
    results = [valued(c, r) for r in checked(walk())]
    nodes = graph.nodes[first:]
    views = _of_weights(nodes)
    graph.nodes[first:] = [n for n in nodes if n in views]
    c.b.found.forget(mark)
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


def valued(c: Call, x: Source) -> Value:
    """The input of a block or loop as a value; a known number stands in the code."""
    if isinstance(x, Host) and x.size == 1 and not x.symbolic:
        return c.constant(x.array, x.dtype)
    return c.value(x)


def checked(results: Sequence[Any]) -> Sequence[Any]:
    if any(r is UNKNOWN for r in results):
        raise TranspileError("its body cannot be transpiled")
    if any(r is None for r in results):
        raise TranspileError("its body gives a value that is left out")
    return results


def block(c: Call, name: str, part: Cut, own: Sequence[Value], captured: Sequence[Value]) -> Graph:
    """The graph of a block: its own inputs, then one for each captured value."""
    graph = Graph(name, Scope(c.b.scope.path, c.b.scope.cls))
    inner = {v: Value(v.type, v.hint) for v in captured}
    graph.arguments = [(v.hint, v) for v in [*own, *inner.values()]]
    for node in part.nodes:
        node.operands = [inner.get(o, o) if isinstance(o, Value) else o for o in node.operands]
        node.scope = graph.root
    graph.nodes = part.nodes
    graph.result = map_structure(lambda v: inner.get(v, v), tuple(part.results))
    return graph


# ---- if


def branch(c: Call, condition: Value, sides: Sequence[Any]) -> list[Any]:
    """Both graphs as blocks; results that are known and the same either way stay known."""
    walked: list[Sequence[Any]] = []

    def side(graph: Any) -> Callable[[], Sequence[Any]]:
        def run() -> Sequence[Any]:
            walked.append(checked(c.run(graph, [])))
            return walked[-1]

        return run

    parts = [cut(c, side(graph)) for graph in sides]
    same = [_same(*pair) for pair in zip(*walked, strict=True)]
    for part in parts:
        part.results = [v for v, known in zip(part.results, same, strict=True) if not known]
    captured = list(parts[0].outer() | parts[1].outer())
    pairs = zip(parts[0].results, parts[1].results, strict=True)
    sizes = [name for a, b in pairs for name in _sizes_apart(c, a.tensor, b.tensor)]
    found: list[Any] = []
    if parts[0].results:
        blocks = [block(c, n, p, [], captured) for n, p in zip(("then", "otherwise"), parts)]
        found = list(
            c.b.op(
                "branch", reshaped(c.b, condition, ()), *captured, then=blocks[0],
                otherwise=blocks[1], sizes=tuple(sizes),
            )
        )  # fmt: skip
    return [a if known else found.pop(0) for a, known in zip(walked[0], same, strict=True)]


def _same(a: Source, b: Source) -> bool:
    if isinstance(a, Host) and isinstance(b, Host):
        alike = (a.dtype, a.shape, a.initializer) == (b.dtype, b.shape, b.initializer)
        return alike and (bool(a.initializer) or bool((a.array == b.array).all()))
    return a is b


def _sizes_apart(c: Call, a: Tensor, b: Tensor) -> list[str]:
    """New names for the sizes in which two types differ."""
    if (a.dtype, a.rank) != (b.dtype, b.rank):
        raise TranspileError(
            f"its condition depends on data, and its results have two types: {a}, {b}",
            hint="results of one element type and rank on both sides, or a condition of constants "
            "and sizes, work",
        )
    return [c.b.found.fresh("N") for x, y in zip(a.shape, b.shape, strict=True) if x != y]


# ---- loops


@dataclass
class Turns:
    """A loop to be: the number of turns (None: no limit), the first condition (None: true)."""

    trips: int | Expr | None
    condition: Value | None
    start: list[Value]
    counter: str


def loop(
    c: Call, turns: Turns, walk: Callable[[Expr, list[Value]], Sequence[Any]], tested: bool
) -> list[Value]:
    """The node of a loop. `walk(turn, carried)` walks one turn; with `tested` its first result is
    the condition to go on. Carried sizes that change from turn to turn become sizes of their own.
    """
    types = [v.tensor for v in turns.start]
    turn = data_size(turns.counter)
    while True:
        own = [Value(t, v.hint) for t, v in zip(types, turns.start, strict=True)]
        known: list[Any] = []

        def run(own: list[Value] = own, known: list[Any] = known) -> Sequence[Any]:
            known += walk(turn, own)
            first = known[0] if tested else None
            going = isinstance(first, Host) and bool(first.number)
            return known[1:] if going else known

        part = cut(c, run)
        conditional = tested and len(part.results) == len(known)
        carried = part.results[conditional : conditional + len(own)]
        wider = [_widened(c, *each) for each in zip(turns.start, types, carried, strict=True)]
        if wider == types:
            return _loop_node(c, turns, part, own, conditional)
        types = wider


def _widened(c: Call, start: Value, inside: Tensor, after: Value) -> Tensor:
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
        dims.append(data_size(c.b.found.fresh("T")) if changes else now)
    return Tensor(kind.dtype, tuple(dims))


def _loop_node(
    c: Call, turns: Turns, part: Cut, own: list[Value], conditional: bool
) -> list[Value]:
    if turns.trips is None and not conditional:
        raise TranspileError("it has no end", hint="a limit of turns, or a condition, works")
    if conditional:
        part.results[0] = _flag(c, part)
    captured = [v for v in part.outer() if v not in own]
    count = len(own)
    changed = [
        a
        for outer, inner in zip(turns.start, own, strict=True)
        for a, b in zip(outer.tensor.shape, inner.tensor.shape, strict=True)
        if a != b
    ]
    rows = part.results[conditional + count :]
    _equal_rows(rows, turns.counter, own, turns.start)
    open_ends = conditional or turns.trips is None
    sizes = [c.b.found.fresh("N") for _ in [*changed, *(rows if open_ends else ())]]
    body = block(c, "body", part, own, captured)
    return list(
        c.b.op(
            "loop", turns.condition if conditional else None, *turns.start, *captured, body=body,
            trips=turns.trips, counter=turns.counter, state=count, conditional=conditional,
            sizes=tuple(sizes),
        )
    )  # fmt: skip


def _flag(c: Call, part: Cut) -> Value:
    """The condition of the block as bool[()]."""
    first = len(c.b.graph.nodes)
    value = reshaped(c.b, part.results[0], ())
    part.nodes += c.b.graph.nodes[first:]
    del c.b.graph.nodes[first:]
    return value


def _equal_rows(
    rows: Sequence[Value], counter: str, own: Sequence[Value], start: Sequence[Value]
) -> None:
    inside = {counter}
    for a, b in zip(start, own, strict=True):
        pairs = zip(a.tensor.shape, b.tensor.shape, strict=True)
        inside |= {str(y) for x, y in pairs if x != y}
    for row in rows:
        if any(s.name in inside for d in row.tensor.shape for s in symbols(d)):
            raise TranspileError(
                f"it collects rows of different sizes: {row.tensor}",
                hint="rows of one size work",
            )


def limit(c: Call, trips: Source) -> int | Expr | None:
    """The number of trips as an int, a dim, or a size that is read from data; None: no limit."""
    if trips is None:
        return None
    if isinstance(trips, Value):
        return c.b.size(c.b.op("maximum", reshaped(c.b, trips, ()), 0))
    count = c.scalar(trips, "the number of trips")
    if isinstance(count, Expr):
        low = bounds(count)[0]
        return count if low is not None and low >= 0 else maximum(count, 0)
    return None if count > 2**31 - 1 else max(int(count), 0)
