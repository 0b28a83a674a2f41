"""Rows: control flow and sizes that depend on data. Each waits for the device on the host.

The blocks of a `branch` or `loop` are graphs of their own inside the node. They see nothing but
their inputs: what a block reads from around it is an operand of the node. The sizes that such a
node finds out are named in its `sizes`, in the order in which its results have them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Expr, symbols
from .op import Attr, InferError, Op, Unequal, tensor
from .ops_data import data_size
from .tree import Block, Tree, call
from .types import DType, Integer, Tensor

if TYPE_CHECKING:
    from .graph import Graph


# ---- branch


def _branch(
    condition: Any, *values: Any, then: Graph, otherwise: Graph, sizes: tuple[str, ...]
) -> tuple[Tensor, ...]:
    _condition(condition)
    for graph in (then, otherwise):
        _same_inputs(graph, values)
    pairs = zip(_types(then), _types(otherwise), strict=False)
    if len(_types(then)) != len(_types(otherwise)):
        raise InferError("the blocks have different numbers of results")
    names = iter(sizes)
    out = tuple(_either(a, b, names) for a, b in pairs)
    _all_used(names)
    return out


def _either(a: Tensor, b: Tensor, names: Iterator[str]) -> Tensor:
    """The type of a value that has one of two types: sizes that differ are new."""
    if a.dtype is not b.dtype or a.rank != b.rank:
        raise InferError(f"the blocks give {a} and {b}")
    dims = (x if x == y else _next(names) for x, y in zip(a.shape, b.shape, strict=True))
    return Tensor(a.dtype, tuple(dims))


def _branch_reference(
    condition: Any, *values: Any, then: Any, otherwise: Any, sizes: tuple[str, ...]
) -> list[np.ndarray]:
    results: list[np.ndarray] = (then if bool(condition) else otherwise)(*values)
    return results


# ---- loop


def _loop(
    condition: Any, *values: Any, body: Graph, trips: int | Expr | None, counter: str, state: int,
    conditional: bool, sizes: tuple[str, ...],
) -> tuple[Tensor, ...]:  # fmt: skip
    if condition is not None:
        _condition(condition)
        if not conditional:
            raise InferError("a condition to enter needs one to go on")
    if trips is None and not conditional:
        raise InferError("a loop without end")
    results = _types(body)
    if conditional:
        _condition(results.pop(0))
    inner = [v.tensor for v in body.inputs[:state]]
    _same_inputs(body, values[state:], state)
    names, own = iter(sizes), {counter}
    types = []
    for before, inside, after in zip(values, inner, results[:state], strict=False):
        types.append(_carried(tensor(before), inside, after, names))
        own |= _own(tensor(before), inside)
    for row in results[state:]:
        if any(s.name in own for d in row.shape for s in symbols(d)):
            raise InferError(f"rows of {row}, which may differ")
        fixed = trips is not None and not conditional
        types.append(row.with_shape(trips if fixed else _next(names), *row.shape))  # type: ignore[arg-type]
    _all_used(names)
    return tuple(types)


def _carried(before: Tensor, inside: Tensor, after: Tensor, names: Iterator[str]) -> Tensor:
    """The type of a carried value after the loop; a size that changes has a symbol of its own."""
    kinds = {(t.dtype, t.rank) for t in (before, inside, after)}
    if len(kinds) > 1:
        raise InferError(f"a value is carried as {before}, {inside} and {after}")
    dims = []
    for a, b, c in zip(before.shape, inside.shape, after.shape, strict=True):
        if a == b and b != c:
            raise Unequal(b, c)
        if a != b and not (isinstance(b, Expr) and str(b).isidentifier()):
            raise InferError(f"a value of the size {a} enters as {b}")
        dims.append(a if a == b else _next(names))
    return Tensor(before.dtype, tuple(dims))


def _own(before: Tensor, inside: Tensor) -> set[str]:
    return {str(b) for a, b in zip(before.shape, inside.shape, strict=True) if a != b}


def _loop_reference(
    condition: Any, *values: Any, body: Any, trips: int | None, counter: str, state: int,
    conditional: bool, sizes: tuple[str, ...],
) -> list[np.ndarray]:  # fmt: skip
    carried, others = list(values[:state]), values[state:]
    going, turn = condition is None or bool(condition), 0
    rows: list[list[np.ndarray]] = [[] for _ in range(body.count - state - conditional)]
    while going and (trips is None or turn < trips):
        results = list(body(*carried, *others, **{counter: turn}))
        going = not conditional or bool(results.pop(0))
        carried = results[:state]
        for column, row in zip(rows, results[state:], strict=True):
            column.append(row)
        turn += 1
    first = state + conditional
    return carried + [np.stack(c) if c else body.none(first + i) for i, c in enumerate(rows)]


# ---- shared


def _condition(x: Any) -> None:
    if tensor(x) != Tensor(DType.bool, ()):
        raise InferError(f"a condition is {x}, bool[()] expected")


def _same_inputs(graph: Graph, values: Sequence[Any], skipped: int = 0) -> None:
    wanted = [v.type for v in graph.inputs[skipped:]]
    if wanted != list(values):
        found = ", ".join(map(str, values))
        raise InferError(f"a block reads ({', '.join(map(str, wanted))}), it is given ({found})")


def _types(graph: Graph) -> list[Tensor]:
    return [v.tensor for v in graph.outputs]


def _next(names: Iterator[str]) -> Expr:
    name = next(names, None)
    if name is None:
        raise InferError("a size that depends on data has no name")
    return data_size(name)


def _all_used(names: Iterator[str]) -> None:
    left = list(names)
    if left:
        raise InferError(f"no result has the size {left[0]}")


# ---- sizes


def _read_size(x: Any, *, size: str) -> Integer:
    if not tensor(x).dtype.is_integer or tensor(x).rank:
        raise InferError(f"a size is read from {x}, an integer of rank 0 expected")
    return Integer(data_size(size))


def _read_size_reference(x: Any, *, size: str) -> Any:
    if x < 0:
        raise ValueError(f"the size {size} is {x}")
    return x


def _block(node: Any, *trees: Tree) -> Tree:
    return Block(node.op)


_SIZES = Attr("names", ())

ROWS = [
    Op(
        "branch", "condition *values", _branch, _block, _branch_reference,
        {"then": Attr("graph"), "otherwise": Attr("graph"), "sizes": _SIZES}, several=True,
        binds="sizes",
        doc="One of two blocks, by a condition that is data: waits for it.",
    ),
    Op(
        "loop", "condition? *values", _loop, _block, _loop_reference,
        {
            "body": Attr("graph"), "trips": Attr("dim", None), "counter": Attr("str", "i"),
            "state": Attr("int", 0), "conditional": Attr("bool", False), "sizes": _SIZES,
        },
        several=True, binds="sizes",
        doc="A block in turns. The first `state` values are carried from turn to turn; the rest is "
        "the same in each. The block gives the condition to go on (if `conditional`; it is waited "
        "for), the carried values, and rows, which are stacked. `counter` names the turn.",
    ),
    Op(
        "read_size", "x", _read_size,
        lambda node, x: call("runtime.read_size", x),
        _read_size_reference, {"size": Attr("str")}, binds="size",
        doc="A number of the data as the size of that name, no negative one: waits for it.",
    ),
]  # fmt: skip
