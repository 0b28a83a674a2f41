"""Buffers that count, hold one number or are a triangle stand in the code.

Libraries register positions and token types as buffers, often ones that no checkpoint holds, and
people the triangle of a causal mask. The numbers are facts: a checkpoint that has the buffer with
others is refused (see remap_weights.py).
"""

from __future__ import annotations

import numpy as np

from ..ir import DType, Graph, Node, Param, Scope, Value
from ..ir.blocks import all_nodes
from ..ir.dims import product
from ..ir.graph import Numbers
from ..ir.recipe import Constant, Read
from .rebuild import make_node

_LARGEST = 1 << 20
_LARGEST_TABLE = 1 << 22
_SMALLEST = 3  # two numbers count by chance


def known_buffers(graph: Graph) -> bool:
    """Put `arange`, `full` or a triangle in the place of such buffers, where they are read."""
    found = {p: made for p in graph.params.values() if (made := _numbers(graph, p)) is not None}
    if not found:
        return False
    first: dict[Scope, Node] = {}
    for node in graph.nodes:
        for scope in node.scope.chain():
            first.setdefault(scope, node)
    made_before: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        for i, value in enumerate(node.operands):
            if isinstance(value, Param) and value in found:
                home, place = _place(value, node, first)
                written = _written(value, found[value], node, home)
                made_before.setdefault(place, []).extend(written)
                node.operands[i] = written[-1].out
    graph.nodes = [n for node in graph.nodes for n in (*made_before.get(node, ()), node)]
    read = {v for n in all_nodes(graph) for v in n.values} | set(graph.outputs)
    for param, numbers in found.items():
        if param not in read and isinstance(param.recipe, Read):
            graph.facts[param.recipe.name] = numbers
            del graph.params[param.name]
    return True


def _numbers(graph: Graph, param: Param) -> Numbers | None:
    """What the buffer counts, along its one long axis, or the number that all its elements are."""
    triangle = _triangle(graph, param) if isinstance(param.recipe, Read) else None
    if triangle is not None:
        return triangle
    size = product(param.tensor.shape)
    whole = param.tensor.dtype in (DType.i32, DType.i64)
    if not whole or not isinstance(size, int) or not 0 < size <= _LARGEST:
        return None
    data = _data(graph, param)
    if data is None:
        return None
    first = int(data.flat[0])
    if (data == first).all():
        return first if isinstance(param.recipe, Read) else None
    if size not in data.shape or size < _SMALLEST:
        return None
    step = int(data.flat[1]) - first
    counts = step and (np.diff(data.reshape(-1)) == step).all()
    return range(first, first + step * size, step) if counts else None


def _triangle(graph: Graph, param: Param) -> tuple[int, float, float] | None:
    """The last diagonal of the number below, that number and the one above; one of them is 0."""
    shape, dtype = param.tensor.shape, param.tensor.dtype
    if len(shape) < 2 or product(shape[:-2]) != 1 or dtype.is_complex or dtype is DType.bf16:
        return None
    rows, columns = shape[-2:]
    if not isinstance(rows, int) or not isinstance(columns, int):
        return None
    if min(rows, columns) < _SMALLEST or rows * columns > _LARGEST_TABLE:
        return None
    data = _data(graph, param)
    if data is None:
        return None
    table = data.reshape(rows, columns)
    below, above = table[-1, 0], table[0, -1]
    last = int((table[0] == below).sum()) - 1
    if below == above or (below != 0 and above != 0):
        return None
    where = np.tri(rows, columns, last, dtype=bool)
    found = np.array_equal(np.where(where, below, above), table)
    return (last, below.item(), above.item()) if found else None


def _data(graph: Graph, param: Param) -> np.ndarray | None:
    recipe = param.recipe
    if isinstance(recipe, Constant):
        return recipe.data
    if not isinstance(recipe, Read) or recipe.name not in graph.tensors:
        return None
    return np.asarray(graph.tensors[recipe.name])


def _place(param: Param, reader: Node, first: dict[Scope, Node]) -> tuple[Scope, Node]:
    """The call of the module that has the buffer, and the node there that the reader comes with."""
    chain = reader.scope.chain()
    has = [not s.path or param.name.startswith(f"{s.path}.") for s in chain]
    home = max(i for i, holds in enumerate(has) if holds)
    return chain[home], first[chain[home + 1]] if home + 1 < len(chain) else reader


def _written(param: Param, numbers: Numbers, reader: Node, home: Scope) -> list[Node]:
    """The nodes that make the buffer where it is read."""
    shape, dtype = param.tensor.shape, param.tensor.dtype
    hint = param.name.rpartition(".")[2]
    if isinstance(numbers, int):
        attrs = {"shape": shape, "value": numbers, "dtype": dtype}
        return [make_node("full", [], attrs, reader, home, hint)]
    if isinstance(numbers, tuple):
        last, below, above = numbers
        attrs = {"shape": shape, "value": below or above, "dtype": dtype}
        filled = make_node("full", [], attrs, reader, home, hint)
        op, offset = ("tril", last) if below else ("triu", last + 1)
        return [filled, make_node(op, [filled.out], {"offset": offset}, reader, home, hint)]
    counted = {"start": numbers.start, "stop": numbers.stop, "step": numbers.step, "dtype": dtype}
    made = [make_node("arange", [], counted, reader, home, hint)]
    new = tuple(axis for axis, size in enumerate(shape) if size == 1)
    if new:
        operands: list[Value] = [made[0].out]
        made.append(make_node("expand_dims", operands, {"axes": new}, reader, home, hint))
    return made
