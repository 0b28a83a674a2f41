"""Outputs of recurrent layers that are cut at the longest row, and filled with zeros again.

`pad_packed_sequence` cuts a batch at its longest row; models then write it into zeros of the length
that they had, or pad it. A layer that is given the lengths has these zeros already, and where
nothing else needs the longest row, no size is read from data.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from ..ir.casts import whole
from ..ir.dims import Expr, minimum, symbol, symbols
from .dce import sweep
from .rebuild import make_node, producer
from .record import applies
from .stack_recurrent import lengths_of


def fill_padding(graph: Graph) -> bool:
    """Zeros behind what was cut off a layer's zeros: the layer's own output."""
    found = [(n, *f) for n in graph.nodes if (f := _filled(n)) is not None]
    found = [f for f in found if _goes_back(*f) and _is_zero_behind(graph, f[1])]
    kept = [f for f in found if applies("fill_padding", f[0])]
    for node, cut, turns in kept:
        _replace(graph, node, cut.values[0], turns)
    if kept:
        sweep(graph)
    return bool(kept)


def _filled(node: Node) -> tuple[Node, list[Node]] | None:
    """The slice that the node puts zeros behind, and the transposes in between, outermost first."""
    part, axis = _behind(node)
    turns: list[Node] = []
    while (turn := producer(part, "transpose")) is not None:
        turns.append(turn)
        axis, part = turn["axes"][axis], turn.values[0]
    cut = producer(part, "slice")
    if cut is None or cut["axis"] != axis or cut["start"] != 0 or cut["step"] != 1:
        return None
    return cut, turns


def _behind(node: Node) -> tuple[Any, int]:
    """What the node puts zeros behind, and along which axis."""
    if node.op == "slice_update" and (node["start"], node["step"]) == (0, 1):
        base = producer(node.operands[0], "full")
        if base is not None and base["value"] == 0:
            return node.operands[1], node["axis"]
    if node.op == "pad" and node["mode"] == "constant" and node["value"] == 0:
        axes = [i for i, h in enumerate(node["high"]) if h != 0]
        if len(axes) == 1 and not any(node["low"]):
            return node.operands[0], axes[0]
    return None, 0


def _goes_back(node: Node, cut: Node, turns: list[Node]) -> bool:
    """Whether the result has the size that it had before it was cut."""
    shape = cut.type(0).shape
    for turn in reversed(turns):
        shape = tuple(shape[a] for a in turn["axes"])
    return shape == node.out.tensor.shape and cut.type(0).dtype is node.out.tensor.dtype


def _is_zero_behind(graph: Graph, cut: Node) -> bool:
    """Whether a recurrent layer gives the zeros: it is cut at the longest of its rows."""
    x, axis = cut.values[0], cut["axis"]
    while (turn := producer(x, "transpose")) is not None:
        axis, x = turn["axes"][axis], turn.values[0]
    layer = x.node
    lengths = lengths_of(layer) if layer is not None else None
    if layer is None or lengths is None or x is not layer.results[0]:
        return False
    time = 1 if layer["batch_first"] else 0
    return axis == time and _is_longest(graph, cut["stop"], lengths, x.tensor.shape[time])


def _is_longest(graph: Graph, stop: Any, lengths: Value, steps: Any) -> bool:
    """Whether the bound is the longest of the lengths, as far as there are steps."""
    for sym in symbols(stop) if isinstance(stop, Expr) else ():
        read = next((n for n in graph.nodes if n.op == "read_size" and n["size"] == sym.name), None)
        size = symbol(sym.name, sym.low, sym.high)
        if read is not None and stop in (size, minimum(size, steps)):
            most = producer(whole(read.values[0]), "max")
            return most is not None and whole(most.values[0]) is whole(lengths)
    return False


def _replace(graph: Graph, node: Node, x: Value, turns: list[Node]) -> None:
    """The layer's output, turned like the node's, in the place of the node's."""
    new: list[Node] = []
    for turn in reversed(turns):
        hint = node.out.hint if turn is turns[0] else ""
        new.append(make_node("transpose", [x], {"axes": turn["axes"]}, node, hint=hint))
        x = new[-1].out
    at = graph.nodes.index(node)
    graph.nodes[at : at + 1] = new
    graph.replace({node.out: x})
