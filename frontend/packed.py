"""Packed sequences, as the padded batches that they were packed from.

`pack_padded_sequence` leaves out what lies past the ends of the rows, so its result has a size
that depends on data. Here it is such a value, too, but one of which the padded batch is known: a
recurrent layer takes that with the lengths, and so does `pad_packed_sequence`. What is done to the
packed rows in between is done to the padded batch. The packed values themselves are dead then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Node, Param, Unequal, Value
from ..ir.casts import whole
from ..ir.dims import Expr, data_decides, minimum, provably_le, symbol, symbols
from ..ir.recipe import Constant
from .aten_common import expand_dims, reshaped, sliced, swapped
from .promotion import cast

Dim = int | Expr
_HINT = (
    "pack with pack_padded_sequence or pack_sequence inside of the model; what is done to the "
    "rows of a packed sequence must do the same to each"
)


@dataclass(frozen=True)
class Packed:
    """A batch [N, T, ...] or [T, N, ...], and the length of each of its rows: None where it is T.

    The packed rows are those of the batch in this `order`, where there is one. `zeros` says that
    what lies past the lengths is 0.
    """

    padded: Value
    batch_first: bool
    lengths: Value | None
    order: Value | None = None
    zeros: bool = False

    @property
    def rows(self) -> Dim:
        return self.padded.tensor.shape[0 if self.batch_first else 1]

    @property
    def time(self) -> Dim:
        return self.padded.tensor.shape[1 if self.batch_first else 0]


# ---- from a padded batch


def pack(b: Builder, input: Value, lengths: Value, batch_first: bool) -> tuple[Value, Value]:
    """The packed rows, and how many of them each step has."""
    rows = input.tensor.shape[0 if batch_first else 1]
    if lengths.tensor.shape != (rows,):
        raise Unequal(lengths.tensor.shape[0], rows)
    packed = _unsorted(Packed(input, batch_first, cast(b, lengths, DType.i64)))
    _check_counts(packed.lengths, packed.time)
    if packed.lengths is not None and uniform(packed.lengths) == packed.time:
        packed = replace(packed, lengths=None)
    return packed_rows(b, packed), _batch_sizes(b, packed)


def _check_counts(lengths: Value | None, steps: Dim) -> None:
    """Unequal where lengths are counted along a mask that may have more steps than the batch.

    Two free sizes are tied; a fixed one bounds the free one.
    """
    node = lengths.node if lengths is not None else None
    while node is not None and node.op == "cast":
        node = node.values[0].node
    if node is None or node.op != "sum" or len(node["axes"]) != 1:
        return
    size = node.type(0).shape[node["axes"][0]]
    if minimum(size, steps) == size or data_decides(size, steps):
        return
    if isinstance(size, Expr) and isinstance(steps, Expr):
        raise Unequal(size, steps)
    raise Unequal(minimum(size, steps), size)


def _unsorted(packed: Packed) -> Packed:
    """The batch as it was before its rows were sorted by their lengths."""
    axis = 0 if packed.batch_first else 1
    taken, lengths = packed.padded.node, packed.lengths
    if taken is None or taken.op != "take" or taken["axis"] != axis or lengths is None:
        return packed
    order = whole(taken.operands[1])
    by = order.node if isinstance(order, Value) else None
    if by is None or by.op != "sort" or order is not by.results[1] or order.tensor.rank != 1:
        return packed
    own = lengths.node
    if own is by and lengths is by.results[0]:
        return replace(packed, padded=taken.values[0], lengths=by.values[0], order=order)
    if own is not None and own.op == "take" and whole(own.operands[1]) is order:
        return replace(packed, padded=taken.values[0], lengths=own.values[0], order=order)
    return packed


_SAME_ELEMENTS = ("cast", "broadcast_to", "reshape", "expand_dims", "sort", "take")


def uniform(lengths: Any) -> Dim | None:
    """The number that all elements are, where the graph says so."""
    if isinstance(lengths, Param):
        known = _constant(lengths)
        return int(known[0]) if known is not None and len({*known.tolist()}) == 1 else None
    node = lengths.node if isinstance(lengths, Value) else None
    if node is None or lengths is not node.results[0]:
        return None
    if node.op == "full" and isinstance(node["value"], int | Expr):
        value: Dim = node["value"]
        return value
    if node.op in ("stack", "concatenate"):
        found = {uniform(v) for v in node.values}
        return found.pop() if len(found) == 1 else None
    return uniform(node.operands[0]) if node.op in _SAME_ELEMENTS else None


def _constant(x: Any) -> Any:
    """The elements of a constant of the source, as a flat array."""
    if isinstance(x, Param) and isinstance(x.recipe, Constant):
        return np.asarray(x.recipe.data).reshape(-1)
    return None


def longest(b: Builder, packed: Packed) -> Dim:
    """The number of steps of the longest row; the emitted code reads what only the data decides."""
    if packed.lengths is None:
        return packed.time
    source, same = whole(packed.lengths), uniform(packed.lengths)
    known = _constant(source)
    if same is None:
        same = int(known.max()) if known is not None else _read(b, packed.lengths)
    return minimum(packed.time, same)


def _read(b: Builder, lengths: Value) -> Dim:
    most: Value = b.found.once(("longest", lengths), lambda: b.op("max", lengths, axes=(0,)))
    found: Dim = b.size(most)
    return found


def _batch_sizes(b: Builder, packed: Packed) -> Value:
    if packed.lengths is None:
        found: Value = b.op("full", shape=(packed.time,), value=packed.rows, dtype=DType.i64)
        return found
    valid = b.op("cast", valid_steps(b, packed, batch_first=False), dtype=DType.i64)
    return sliced(b, b.op("sum", valid, axes=(1,)), 0, 0, longest(b, packed))


def valid_steps(b: Builder, packed: Packed, batch_first: bool) -> Value:
    """Which steps of which rows are within the lengths, [N, T] or [T, N]."""
    steps = b.op("arange", stop=packed.time, dtype=DType.i64)
    along = 1 if batch_first else 0
    assert packed.lengths is not None
    rows = expand_dims(b, packed.lengths, along)
    found: Value = b.op("less", expand_dims(b, steps, 1 - along), rows)
    return found


def packed_rows(b: Builder, packed: Packed) -> Value:
    """The packed rows as a value of their own, which is known to be those of the batch."""
    ordered = in_order(b, packed)
    x = swapped(b, ordered.padded, 0, 1) if ordered.batch_first else ordered.padded
    flat = reshaped(b, x, (ordered.time * ordered.rows, *x.tensor.shape[2:]))
    if ordered.lengths is not None:
        flat = b.op("take", flat, _places(b, ordered), axis=0)
    b.found.once(("packed", flat), lambda: packed)
    return flat


def _places(b: Builder, packed: Packed) -> Value:
    """The indices of the packed rows in the batch, whose steps are put one behind the other."""

    def find() -> Value:
        valid = valid_steps(b, packed, batch_first=False)
        flat = reshaped(b, valid, (packed.time * packed.rows,))
        found: Value = b.op("nonzero", flat, size=b.found.fresh("P"))
        return b.op("select", found, axis=0, index=0)

    places: Value = b.found.once(("packed rows", packed.lengths, packed.time), find)
    return places


def in_order(b: Builder, packed: Packed) -> Packed:
    """The same with the rows of the batch in the order in which they are packed."""
    if packed.order is None:
        return packed
    axis = 0 if packed.batch_first else 1
    order, lengths = packed.order, packed.lengths
    padded = b.op("take", packed.padded, order, axis=axis)
    if lengths is not None:
        lengths = b.found.once(
            ("in order", lengths, order), lambda: b.op("take", lengths, order, axis=0)
        )
    return replace(packed, padded=padded, lengths=lengths, order=None)


# ---- to a padded batch


def pad(
    b: Builder, data: Value, batch_sizes: Value, batch_first: bool, value: float, total: Any
) -> tuple[Value, Value]:
    """The padded batch of so many steps, and the lengths of its rows."""
    packed = unpacked(b, data)
    if packed.lengths is not None and (not packed.zeros or value != 0):
        valid = valid_steps(b, packed, packed.batch_first)
        shown = expand_dims(b, valid, *range(2, packed.padded.tensor.rank))
        packed = replace(packed, padded=b.op("where", shown, packed.padded, value))
    padded = swapped(b, packed.padded, 0, 1) if packed.batch_first != batch_first else packed.padded
    packed = replace(packed, padded=padded, batch_first=batch_first)
    lengths = packed.lengths
    if lengths is None:
        lengths = b.op("full", shape=(packed.rows,), value=packed.time, dtype=DType.i64)
    packed = replace(packed, padded=_resized(b, packed, total, value), lengths=lengths)
    ordered = in_order(b, packed)
    assert ordered.lengths is not None
    return ordered.padded, ordered.lengths


def _resized(b: Builder, packed: Packed, total: Any, value: float) -> Value:
    """The batch cut or padded to that many steps: no valid step is cut."""
    x, time, at = packed.padded, packed.time, 1 if packed.batch_first else 0
    if isinstance(total, int) and total <= 0:
        total = longest(b, packed)
    if not provably_le(total, time):
        if not provably_le(time, total):
            raise Unequal(minimum(time, total), time)
        none = (0,) * x.tensor.rank
        high = (*none[:at], total - time, *none[at + 1 :])
        return b.op("pad", x, low=none, high=high, value=value)
    return sliced(b, x, at, 0, _shortest_text(total, time))


def _shortest_text(total: Dim, time: Dim) -> Dim:
    """`x[:N]` is as long as `x[:min(L, N)]`."""
    for sym in symbols(total) if isinstance(total, Expr) else ():
        own = symbol(sym.name, sym.low, sym.high)
        if data_decides(own) and minimum(time, own) == total:
            return own
    return total


# ---- through a recurrent layer


def initial_states(
    b: Builder, packed: Packed, states: Sequence[Value | None]
) -> tuple[Packed, Sequence[Value | None]]:
    """The batch and the states, in one order of the rows."""
    own = [None if s is None else _before(s, packed.order) for s in states]
    if all((s is None) == (o is None) for s, o in zip(states, own, strict=True)):
        return packed, own
    return in_order(b, packed), states


def _before(state: Value, order: Value | None) -> Value | None:
    """The state that was put into this order."""
    node = state.node
    if order is None:
        return state
    taken = node is not None and node.op == "take" and node["axis"] == 1
    return node.values[0] if node and taken and whole(node.operands[1]) is order else None


def last_state(b: Builder, packed: Packed, state: Value) -> Value:
    """The state in the order of the packed rows."""
    if packed.order is None:
        return state
    found: Value = b.op("take", state, packed.order, axis=1)
    return found


def outputs(b: Builder, packed: Packed, out: Value) -> Value:
    """The packed rows of what a recurrent layer gives."""
    return packed_rows(b, replace(packed, padded=out, zeros=packed.lengths is not None))


# ---- what packed rows are


def unpacked(b: Builder, data: Value) -> Packed:
    """The padded batch of packed rows; TranspileError where the rows are not known to be packed."""
    found = _known(b, data)
    if found is None:
        raise TranspileError(
            f"packed rows of the type {data.tensor} of which the model does not say what they are",
            hint=_HINT,
        )
    return found


def _known(b: Builder, data: Any) -> Packed | None:
    """What was packed, or is done row by row to what was."""
    if not isinstance(data, Value) or isinstance(data, Param):
        return None
    found: Packed | None = b.found.once(("packed", data), lambda: _redone(b, data))
    return found


def _redone(b: Builder, data: Value) -> Packed | None:
    """The op that made the rows, done to the padded batch."""
    node = data.node
    if node is None:
        return None
    of = [_known(b, o) for o in node.operands]
    packed = [p for p in of if p is not None]
    if not packed or any(not _alike(p, packed[0]) for p in packed) or not _by_row(node, of):
        return None
    operands = [o if p is None else p.padded for o, p in zip(node.operands, of, strict=True)]
    attrs = {k: v + 1 if k == "axis" else v for k, v in node.attrs.items()}
    with _at(b, node):
        result = b.op(node.op, *operands, **attrs)
    out = result if isinstance(result, Value) else result[data.index]
    return replace(packed[0], padded=out, zeros=_stays_zero(node, of))


def _alike(p: Packed, other: Packed) -> bool:
    return (p.lengths, p.order, p.batch_first) == (other.lengths, other.order, other.batch_first)


@contextmanager
def _at(b: Builder, node: Node) -> Iterator[None]:
    """Nodes that are made inside stand where that one does."""
    before = b.scope, b.source, b.hint
    b.scope, b.source, b.hint = node.scope, node.source, ""
    try:
        yield
    finally:
        b.scope, b.source, b.hint = before


_INSIDE = ("concatenate", "split", "slice", "select", "softmax", "log_softmax")  # along `axis`
_LAST_AXIS = ("linear", "layer_norm", "rms_norm")
_OF_INDICES = ("embedding",)


def _by_row(node: Node, of: Sequence[Packed | None]) -> bool:
    """Whether the op does the same to every packed row."""
    others = [o for o, p in zip(node.operands, of, strict=True) if p is None]
    rank = node.results[0].tensor.rank
    if node.row.elementwise or node.op == "cast":
        values = [o for o in others if isinstance(o, Value)]
        return all(v.tensor.rank < rank for v in values)
    if node.op in _INSIDE:
        return not others and node["axis"] > 0
    first = 1 if node.op in _OF_INDICES else 0
    return node.op in (*_LAST_AXIS, *_OF_INDICES) and [i for i, p in enumerate(of) if p] == [first]


def _stays_zero(node: Node, of: Sequence[Packed | None]) -> bool:
    """Whether the op gives 0 where its operands are the zeros past the lengths."""
    if node.op in _INSIDE:
        return all(p is not None and p.zeros for p in of) and "softmax" not in node.op
    plain = node.op == "cast" or node.row.elementwise
    numbers = [o for o, p in zip(node.operands, of, strict=True) if p is None]
    if not plain or any(p is not None and not p.zeros for p in of):
        return False
    if any(not isinstance(o, int | float) for o in numbers):
        return node.op == "multiply"
    zero = [np.zeros(()) if p else o for o, p in zip(node.operands, of, strict=True)]
    with np.errstate(all="ignore"):
        return node.op == "cast" or bool(node.row.reference(*zero, **node.attrs) == 0)
