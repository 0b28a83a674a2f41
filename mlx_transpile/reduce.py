"""A smaller graph for which a check still fails.

Nodes go from the end (earlier values become the result), from the start and from the middle
(their results become inputs), in pieces that are halved, as in delta debugging (Zeller and
Hildebrandt, 2002). Every candidate is a well-formed graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .ir import Graph, Node, Tensor, Value
from .ir.blocks import binds
from .ir.clone import clone
from .ir.dims import symbols
from .ir.graph import Param, leaves
from .ir.op import InferError
from .ir.verify import VerifyError, verify
from .passes.dce import dce

Fails = Callable[[Graph], bool]
Progress = Callable[[int, int], None]  # nodes left, candidates tried
TRIES = 2000


@dataclass
class _Search:
    """The smallest graph that failed so far, and how many candidates were tried."""

    graph: Graph
    fails: Fails
    progress: Progress
    tries: int
    seen: int = 0

    def take(self, candidate: Graph | None) -> bool:
        """Keep the candidate if it is smaller and still fails."""
        if candidate is None or self.seen >= self.tries or _size(candidate) >= _size(self.graph):
            return False
        try:
            verify(candidate)
        except VerifyError:
            return False
        self.seen += 1
        if not self.fails(candidate):
            return False
        self.graph = candidate
        self.progress(len(candidate.nodes), self.seen)
        return True


def reduce(
    graph: Graph,
    fails: Fails,
    progress: Progress = lambda nodes, seen: None,
    tries: int = TRIES,
) -> Graph:
    """The smallest graph found for which `fails` is true, as it is for the graph given."""
    search = _Search(clone(graph), fails, progress, tries)
    size = None
    while size != (size := _size(search.graph)) and search.seen < tries:
        _fewer_outputs(search)
        _cut_end(search)
        _cut_start(search)
        _cut_pieces(search)
        _drop_operands(search)
    return search.graph


def _size(graph: Graph) -> tuple[int, int, int, int]:
    """What is to become smaller, the most important first."""
    operands = sum(len(n.values) for n in graph.nodes)
    return len(graph.nodes), operands, len(graph.inputs), len(list(leaves(graph.result)))


# ---- steps


def _fewer_outputs(search: _Search) -> None:
    """One result alone, or else as few as possible."""
    count = len(search.graph.outputs)
    if count > 1 and any(search.take(_keep_outputs(search.graph, [i])) for i in range(count)):
        return
    place = 0
    while place < len(search.graph.outputs) > 1:
        rest = [i for i in range(len(search.graph.outputs)) if i != place]
        place += not search.take(_keep_outputs(search.graph, rest))


def _keep_outputs(graph: Graph, places: list[int]) -> Graph | None:
    out = clone(graph)
    kept = [out.outputs[i] for i in places]
    return _tidy(out, kept[0] if len(kept) == 1 else tuple(kept))


def _cut_end(search: _Search) -> None:
    """An earlier value is the result: the earliest that still fails, by halving."""
    low, high = 0, len(search.graph.nodes) - 1
    full = search.graph
    while low < high:
        middle = (low + high) // 2
        if search.take(_result_at(full, middle)):
            high = middle
        else:
            low = middle + 1


def _result_at(graph: Graph, place: int) -> Graph | None:
    """The graph up to a node; its open ends are the results."""
    out = clone(graph)
    read = {v for n in out.nodes[: place + 1] for v in n.values}
    ends = [r for n in out.nodes[: place + 1] for r in n.results if r not in read]
    ends = [e for e in ends if isinstance(e.type, Tensor)]
    return _tidy(out, ends[0] if len(ends) == 1 else tuple(ends)) if ends else None


def _cut_start(search: _Search) -> None:
    """Results of the first nodes are inputs: of as many as possible, by halving."""
    full = search.graph
    low, high = 0, len(full.nodes)
    while high - low > 1:
        middle = (low + high) // 2
        if search.take(_as_inputs(full, range(middle))):
            low = middle
        else:
            high = middle


def _cut_pieces(search: _Search) -> None:
    """Pieces anywhere: their results are inputs, or a node's reader reads what the node read."""
    size = max(1, len(search.graph.nodes) // 2)
    while size >= 1:
        place = 0
        while place < len(search.graph.nodes):
            piece = range(place, min(place + size, len(search.graph.nodes)))
            if not any(search.take(c) for c in _without(search.graph, piece)):
                place += size
        size //= 2


def _without(graph: Graph, piece: range) -> Iterator[Graph | None]:
    yield _as_inputs(graph, piece)
    if len(piece) == 1:
        yield _bypassed(graph, piece[0])


def _drop_operands(search: _Search) -> None:
    """Operands that may be left out, are."""
    for place, node in enumerate(search.graph.nodes):
        optional = [i for i, n in enumerate(node.row.operands.split()) if n.endswith("?")]
        for i in optional:
            if i < len(node.operands) and node.operands[i] is not None:
                search.take(_less_operand(search.graph, place, i))


# ---- candidates


def _as_inputs(graph: Graph, piece: range) -> Graph | None:
    """The nodes of the piece are gone; what others read of them are inputs."""
    out = clone(graph)
    cut = [out.nodes[i] for i in piece]
    inside = set(map(id, cut))
    read = {v for n in out.nodes if id(n) not in inside for v in n.values} | set(out.outputs)
    needed = [r for n in cut for r in n.results if r in read]
    if any(not isinstance(v.type, Tensor) for n in cut for v in n.results):
        return None
    out.nodes = [n for n in out.nodes if id(n) not in inside]
    mapping: dict[Value, Any] = {v: _new_input(out, v) for v in needed}
    out.replace(mapping)
    return _tidy(out, out.result)


def _new_input(graph: Graph, value: Value) -> Value:
    taken = {name for name, _ in graph.arguments}
    base = value.hint or (value.node.op if value.node else "x")
    name = next(n for n in _numbered(base) if n not in taken)
    new = Value(value.type, name)
    graph.arguments.append((name, new))
    return new


def _numbered(base: str) -> Iterator[str]:
    from .ir.text import identifier

    base = identifier(base) or "x"
    yield f"{base}_in"
    number = 2
    while True:
        yield f"{base}_in{number}"
        number += 1


def _bypassed(graph: Graph, place: int) -> Graph | None:
    """Readers of the node read an operand of the same type in its place."""
    out = clone(graph)
    node = out.nodes[place]
    if len(node.results) != 1:
        return None
    same = next((v for v in node.values if v.type == node.out.type), None)
    if same is None:
        return None
    del out.nodes[place]
    out.replace({node.out: same})
    return _tidy(out, out.result)


def _less_operand(graph: Graph, place: int, operand: int) -> Graph | None:
    out = clone(graph)
    node = out.nodes[place]
    node.operands[operand] = None
    try:
        types = [o.type if isinstance(o, Value) else o for o in node.operands]
        node.row.infer_types(types, node.attrs)
    except InferError:
        return None
    return _tidy(out, out.result)


def _tidy(graph: Graph, result: Any) -> Graph | None:
    """The graph with this result, without what it does not need; None where a size gets lost."""
    graph.result = result
    dce(graph)
    read = {v for n in graph.nodes for v in n.values} | set(graph.outputs)
    needed = {s for n in graph.nodes for s in _symbols_of(n)}
    needed |= {s for v in graph.inputs if v in read for s in _symbols_in(v)}
    bound: set[str] = set()
    kept = []
    for name, tree in graph.arguments:
        values = [v for v in leaves(tree) if isinstance(v, Value)]
        if any(v in read for v in values):
            kept.append((name, tree))
            bound |= {str(d) for v in values for d in v.tensor.shape}
    for name, tree in graph.arguments:
        own = {str(d) for v in leaves(tree) if isinstance(v, Value) for d in v.tensor.shape}
        if (name, tree) not in kept and own & (needed - bound):
            kept.append((name, tree))
            bound |= own
    graph.arguments = [a for a in graph.arguments if a in kept]
    dce(graph)  # names of arguments that went
    fresh = {name for n in graph.nodes for name in binds(n)}
    return graph if needed <= bound | fresh else None


def _symbols_of(node: Node) -> Iterator[str]:
    for item in (*node.operands, *node.attrs.values()):
        yield from _names(item)
    for value in (*node.values, *node.results):
        if not isinstance(value, Param):
            yield from _symbols_in(value)


def _symbols_in(value: Value) -> Iterator[str]:
    if isinstance(value.type, Tensor):
        yield from _names(value.type.shape)


def _names(item: Any) -> Iterator[str]:
    if isinstance(item, tuple):
        for part in item:
            yield from _names(part)
    elif hasattr(item, "terms"):
        yield from (s.name for s in symbols(item))
