"""Blocks inside a method: `if`, `for` and `while` over arrays, and sizes that depend on data.

A block is printed where its node stands. What it reads from around it are the same variables; what
it computes is seen by nothing but the block, and its results go to variables of the method.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from ..ir import Graph, Node, Param, Tensor, Value
from ..ir import tree as t
from ..ir.blocks import all_nodes, blocks, reads
from ..ir.dims import Expr, bounds
from ..ir.ops_data import data_size
from .bound import Bound, Local
from .regions import under
from .statements import Append, Assign, Carry, If, Leave, Rows, Size, Statement, Turns

if TYPE_CHECKING:
    from .body import BodyBuilder


def print_control(b: BodyBuilder, node: Node) -> None:
    """Add the statements of a node that is no expression."""
    for name in sorted(reads(node) & b.fresh):
        b.dim(data_size(name))
    {"branch": _branch, "loop": _loop, "read_size": _read_size}[node.op](b, node)


def _read_size(b: BodyBuilder, node: Node) -> None:
    tree = b.expression(node)
    b.body.add(Size(b.body.sizes.define(node["size"]), tree), b.computed)


def _branch(b: BodyBuilder, node: Node) -> None:
    condition = b.value(node.values[0])
    items = [*b.computed, *_inside(node)]
    targets = [b.result(v) for v in node.results]
    sides = []
    for block in blocks(node):
        with _block(b, node, block) as statements:
            given = list(zip(targets, block.outputs, strict=True))
            own = [v for _, v in given if v.node is not None]
            for target, value in given:
                if target is not None and own.count(value) == 1:
                    b.ids[value] = target.index
            _steps(b, block)
            for target, value in given:
                tree = b.value(value)
                if target is not None and tree != target:
                    b.body.add(Assign(target, tree))
        sides.append(tuple(statements))
    used = tuple(x for x in targets if x is not None)
    b.body.add(If(condition, sides[0], sides[1], used), items)


def _steps(b: BodyBuilder, block: Graph) -> None:
    for node in block.nodes:
        b.step(node)


def _inside(node: Node) -> list[Any]:
    return [inner for block in blocks(node) for inner in all_nodes(block)]


# ---- loops


def _loop(b: BodyBuilder, node: Node) -> None:
    body: Graph = node["body"]
    count, items = node["state"], [*b.computed, *_inside(node)]
    going = _entered(b, node)
    starts = zip(node.operands[1:], node.results[:count], strict=False)
    carried = [_start(b, start, result) for start, result in starts]
    for local, inner in zip(carried, body.inputs, strict=False):
        b.body.locals[local.index].type = inner.tensor  # of all turns: it may be empty
    rows = [b.rows(r) for r in node.results[count:]]
    for each in rows:
        if each is not None:
            b.body.add(Rows(each), [node])
    trips = b.dim(node["trips"]) if isinstance(node["trips"], Expr) else node["trips"]
    with _block(b, node, body, carried) as statements:
        counter = b.body.sizes.define(node["counter"])
        b.successors.update(_successors(body, carried, node["conditional"]))
        _turn(b, node, going, carried, rows)
    shown = (trips is not None and going is not None) or b.mentions(statements, counter)
    b.body.add(Turns(counter, shown, trips, going, tuple(statements)), items)
    for local, result in zip(carried, node.results, strict=False):
        b.ids[result] = local.index
    own = body.outputs[len(body.outputs) - len(rows) :]
    for each, result, row in zip(rows, node.results[count:], own, strict=True):
        target = b.result(result) if each is not None else None
        if each is not None and target is not None:
            b.body.add(Assign(target, _stacked(b, node, each, row)), [node])


def _turn(
    b: BodyBuilder, node: Node, going: Local | None, carried: list[Local], rows: list[Local | None]
) -> None:
    """One turn: its steps; then its rows, and the carried values of the next turn."""
    body: Graph = node["body"]
    _steps(b, body)
    outputs = list(body.outputs)
    test = _test(b, outputs.pop(0), going) if node["conditional"] else None
    for each, value in zip(rows, outputs[len(carried) :], strict=True):
        if each is not None:
            b.body.add(Append(each, b.value(value)))
    _carry(b, carried, outputs[: len(carried)])
    if test is not None and going is None:
        b.body.add(Leave(test))


def _successors(body: Graph, carried: list[Local], first: int) -> Iterator[tuple[Value, int]]:
    """The next value of each carried one that nothing reads any more where the next is made."""
    places = {v: i for i, n in enumerate(body.nodes) for v in n.results if not n.row.blocks}
    last = {v: i for i, n in enumerate(body.nodes) for v in n.values}
    for local, old, new in zip(carried, body.inputs, body.outputs[first:], strict=False):
        free = (
            old not in body.outputs and body.outputs[first : first + len(carried)].count(new) == 1
        )
        if free and new in places and last.get(old, -1) <= places[new]:
            yield new, local.index


def _entered(b: BodyBuilder, node: Node) -> Local | None:
    """The variable of the condition, where the loop may have no turn at all because of it."""
    condition = node.operands[0]
    if not isinstance(condition, Value):
        return None
    return b.variable(b.value(condition), "going", type=condition.tensor)


def _start(b: BodyBuilder, start: Any, result: Value) -> Local:
    """The variable of a carried value, with its first value."""
    tree = b.value(start)
    if isinstance(tree, Local) and b.only_here(start):
        return tree
    return b.variable(tree, b.hint(result), b.hint(start), type=start.tensor)


def _test(b: BodyBuilder, value: Value, going: Local | None) -> Bound:
    """The condition to go on, before the carried values change."""
    tree = b.value(value)
    if going is not None:
        b.body.add(Assign(going, tree))
        return going
    return tree if isinstance(tree, Local) else b.variable(tree, "going", type=value.tensor)


def _carry(b: BodyBuilder, carried: list[Local], values: list[Value]) -> None:
    pairs = [(x, b.value(v)) for x, v in zip(carried, values, strict=True)]
    pairs = [(x, tree) for x, tree in pairs if tree != x]
    if len(pairs) == 1:
        b.body.add(Assign(*pairs[0]))
    elif pairs:
        b.body.add(Carry(tuple(x for x, _ in pairs), tuple(tree for _, tree in pairs)))


def _stacked(b: BodyBuilder, node: Node, rows: Local, row: Value) -> Bound:
    """The rows as one array; no row at all has a shape, too."""
    low = 1 if node["trips"] is None else bounds(node["trips"])[0]
    if node.operands[0] is None and low is not None and low > 0:
        return t.Call("mx.stack", (cast(t.Tree, rows),))
    b.helper("stack_rows")
    shape = tuple(b.dim(d) if isinstance(d, Expr) else t.Literal(d) for d in row.tensor.shape)
    kind = t.TypeRef(row.tensor.dtype)
    return t.Call("runtime.stack_rows", (cast(t.Tree, rows), t.Sequence(shape), kind))


# ---- sizes


def holder(b: BodyBuilder, name: str) -> tuple[Local, int] | None:
    """A variable that has the size as one of its axes, and which."""
    held: set[int] = set()
    for value, local in reversed(list(b.ids.items())):
        if local in held or not isinstance(value.type, Tensor):
            continue
        held.add(local)  # what the variable held before is gone
        for axis, dim in enumerate(value.tensor.shape):
            if str(dim) == name:
                return Local(local), axis
    return None


def find_size(b: BodyBuilder, name: str) -> None:
    """Read a size that depends on data from the shape of a variable that has it."""
    found = holder(b, name)
    if found is not None:
        b.body.add(Size(b.body.sizes.define(name), *found), [])


@contextmanager
def _block(
    b: BodyBuilder, node: Node, graph: Graph, carried: list[Local] | None = None
) -> Iterator[list[Statement]]:
    """The statements that are added inside; what they define is not known behind them."""
    ids, known, sizes = dict(b.ids), dict(b.aliases), b.body.sizes.known()
    first = len(node.operands) - len(graph.inputs)
    for place, inner in enumerate(graph.inputs):
        if carried is not None and place < len(carried):
            b.ids[inner] = carried[place].index
        else:
            _alias(b, inner, node.operands[first + place])
    b.scopes.add(graph.root)
    with b.body.nested() as statements:
        yield statements
    b.ids, b.aliases = ids, known
    b.body.sizes.restore(sizes)


def _alias(b: BodyBuilder, inner: Value, outer: Any) -> None:
    while outer in b.aliases:
        outer = b.aliases[outer]
    if isinstance(outer, Param) and under(b.region.path, outer.name):
        b.aliases[inner] = outer
    else:
        b.ids[inner] = b.ids[outer]


def nested_values(node: Node) -> Iterator[Value]:
    """The values that the blocks of a node make."""
    for inner in _inside(node):
        yield from inner.results


__all__ = ["find_size", "holder", "nested_values", "print_control"]
