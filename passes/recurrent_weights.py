"""Weights of recurrent layers under torch's names, whatever order their gates are stored in.

Files keep the gates in an order of their own, both directions in one tensor, both biases in one
row; or have code that puts them so. What layers read is then cut out of parameters and joined
again: the recipes of the parameters do that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.ops_rnn import weight_names
from ..ir.ops_shape import slice_range
from ..ir.recipe import Concatenate, Recipe, Reshape, Slice
from ..ir.types import Tensor
from .record import applies


@dataclass(frozen=True)
class Piece:
    """Rows of a recipe's tensor, `size` of which it has in all; `param` is the one it is."""

    of: Recipe
    start: int
    stop: int
    size: int
    param: Param | None = None


Rows = list[Piece]  # along the first axis
Stack = list[Rows]  # one below the other along an axis before that


def name_weights(graph: Graph, nodes: list[Node], states: dict[str, int]) -> bool:
    """Give each layer parameters of its own where it reads pieces of parameters."""
    changed = False
    for node in nodes:
        first = 2 + states[node.op]  # lengths come before them
        weights = node.operands[first:]
        found = [_rows(w) for w in weights]
        if all(isinstance(w, Param) for w in weights) or not all(found):
            continue
        projected = len(weights) % (4 if node["bias"] else 2) != 0
        names = weight_names(node["layers"], node["bias"], node["bidirectional"], projected)
        params = [
            _parameter(graph, node, name, rows, weight)
            for name, rows, weight in zip(names, found, weights, strict=True)
        ]
        if all(params) and applies("recurrent_weights", node):
            _insert(graph, [p for p in params if p is not None])
            node.operands[first:] = params
            changed = True
    return changed


def _insert(graph: Graph, params: list[Param]) -> None:
    """Before the parameters of what is computed later: modules stay in the order of their use."""
    scope = params[0].name.rpartition(".")[0]
    known = list(graph.params)
    own = [i for i, name in enumerate(known) if name.rpartition(".")[0] == scope]
    at = own[0] if own else len(known)
    old = list(graph.params.items())
    graph.params = dict([*old[:at], *((p.name, p) for p in params), *old[at:]])


def _parameter(graph: Graph, node: Node, name: str, rows: Any, weight: Any) -> Param | None:
    """A parameter that is read whole stays itself; None where the name is another one's."""
    pieces = _merged(rows)
    if len(pieces) == 1 and pieces[0].param and pieces[0].stop - pieces[0].start == pieces[0].size:
        return pieces[0].param
    path = f"{node.scope.path}.{name}".lstrip(".")
    parts = tuple(map(_recipe, pieces))
    recipe = parts[0] if len(parts) == 1 else Concatenate(parts, 0)
    kind = Tensor(weight.tensor.dtype, weight.tensor.shape)
    return None if path in graph.params else Param(path, kind, recipe)


def _recipe(piece: Piece) -> Recipe:
    whole = piece.stop - piece.start == piece.size
    return piece.of if whole else Slice(piece.of, 0, piece.start, piece.stop)


def _merged(rows: Rows) -> Rows:
    """Pieces that follow each other in one tensor as one."""
    out: Rows = []
    for piece in rows:
        last = out[-1] if out else None
        if last is not None and last.of == piece.of and last.stop == piece.start:
            out[-1] = Piece(last.of, last.start, piece.stop, last.size, last.param)
        else:
            out.append(piece)
    return out


# ---- what a value is made of


def _rows(value: Any) -> Rows | None:
    found: Any = _made(value)
    return found if found and isinstance(found[0], Piece) else None


def _made(value: Any) -> Rows | Stack | None:
    """The pieces of parameters that a value is; None where it is anything else."""
    if isinstance(value, Param):
        size = value.tensor.shape[0] if value.tensor.rank else None
        return [Piece(value.recipe, 0, size, size, value)] if isinstance(size, int) else None
    node = value.node if isinstance(value, Value) else None
    if node is None:
        return None
    match node.op:
        case "slice" | "split":
            return _cut(node, value)
        case "select":
            return _selected(node)
        case "concatenate":
            joined: Rows | Stack | None = _joined(node)
            return joined
        case "expand_dims":
            rows = _rows(node.values[0])
            return [rows] if rows is not None and node["axes"] == (0,) else None
    return None


def _cut(node: Node, value: Value) -> Rows | None:
    rows, size = _rows(node.values[0]), node.type(0).shape[node["axis"]]
    if rows is None or node["axis"] != 0 or not isinstance(size, int):
        return None
    if node.op == "split":
        start: Any = sum(node["sizes"][: value.index])
        stop: Any = start + node["sizes"][value.index]
    else:
        start, stop, _ = slice_range(size, node["start"], node["stop"], 1)
        if node["step"] != 1 or not (isinstance(start, int) and isinstance(stop, int)):
            return None
    return _between(rows, start, stop)


def _between(rows: Rows, start: int, stop: int) -> Rows:
    out, at = [], 0
    for p in rows:
        low, high = max(start - at, 0), min(stop - at, p.stop - p.start)
        if low < high:
            out.append(Piece(p.of, p.start + low, p.start + high, p.size, p.param))
        at += p.stop - p.start
    return out


def _selected(node: Node) -> Rows | None:
    """One of a stack, or one index of a parameter's first axis."""
    place, x = node["index"], node.values[0]
    if node["axis"] != 0 or not isinstance(place, int):
        return None
    if isinstance(x, Param):
        shape = tuple(d for d in x.tensor.shape if isinstance(d, int))
        if len(shape) < x.tensor.rank or len(shape) < 2:
            return None
        at = place % shape[0]
        own = x.recipe if shape[0] == 1 else Slice(x.recipe, 0, at, at + 1)
        return [Piece(Reshape(own, shape[1:]), 0, shape[1], shape[1])]
    stack: Any = _made(x)
    whole = stack is not None and all(isinstance(rows, list) for rows in stack)
    return stack[place] if whole else None


def _joined(node: Node) -> Any:
    if node["axis"] != 0:
        return None
    parts = [_made(v) for v in node.values]
    if any(p is None for p in parts):
        return None
    kinds = {isinstance(item, Piece) for p in parts for item in p or ()}
    return [item for p in parts for item in p or ()] if len(kinds) == 1 else None
