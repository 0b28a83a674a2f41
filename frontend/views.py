"""Which ATen ops return views, and how a write through each reaches the tensor it views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..ir import Builder, Value
from ..ir.dims import Expr, data_decides
from ..ir.ops_shape import slice_range
from .ranges import counted

# (builder, the viewed tensor, the new content of the view, the op's arguments, which of the
# results) -> the tensor anew
WriteBack = Callable[[Builder, Value, Value, Mapping[str, Any], int], Value]


_OPEN = 2**62  # torch writes the end of an open slice as the largest integer


def _axis(args: Mapping[str, Any], name: str, rank: int) -> int:
    axis = args[name]
    return axis % rank if rank else 0


def _reshaped(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    return b.op("reshape", new, shape=base.tensor.shape)


def _unchanged(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    return new


def _transposed(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    rank = base.tensor.rank
    axes = list(range(rank))
    first, second = (args.get(n, args.get(a)) for n, a in (("dim0", "axis0"), ("dim1", "axis1")))
    if rank:
        first, second = int(first) % rank, int(second) % rank
        axes[first], axes[second] = axes[second], axes[first]
    return b.op("transpose", new, axes=tuple(axes))


def _reversed(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    return b.op("transpose", new, axes=tuple(reversed(range(base.tensor.rank))))


def _last_two(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    rank = base.tensor.rank
    return b.op("transpose", new, axes=(*range(rank - 2), rank - 1, rank - 2))


def _permuted(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    axes = [d % base.tensor.rank for d in args["dims"]]
    return b.op("transpose", new, axes=tuple(axes.index(i) for i in range(len(axes))))


def _moved(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    rank = base.tensor.rank
    source, target = args["source"], args["destination"]
    source = [s % rank for s in (source if isinstance(source, list | tuple) else [source])]
    target = [t % rank for t in (target if isinstance(target, list | tuple) else [target])]
    rest = iter(i for i in range(rank) if i not in source)
    order = [source[target.index(i)] if i in target else next(rest) for i in range(rank)]
    return b.op("transpose", new, axes=tuple(order.index(i) for i in range(rank)))


def _part(
    b: Builder, base: Value, new: Value, axis: int, start: Any, stop: Any, step: int = 1
) -> Value:
    """`base` with `base[start:stop:step]` along an axis replaced."""
    if step == 1 and counted(b, start, stop, base.tensor.shape[axis]) == 1:
        return b.op(
            "select_update", base, b.op("squeeze", new, axes=(axis,)), axis=axis, index=start
        )
    first, end, _ = slice_range(base.tensor.shape[axis], start, stop, step)
    if first == 0 and end == base.tensor.shape[axis] and step == 1:
        return new
    return b.op("slice_update", base, new, axis=axis, start=first, stop=end, step=step)


def _sliced(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    axis, end = _axis(args, "dim", base.tensor.rank), args["end"]
    end = None if isinstance(end, int) and end >= _OPEN else end
    return _part(b, base, new, axis, args["start"], end, args["step"])


def _selected(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    axis = _axis(args, "dim", base.tensor.rank)
    at = args["index"]
    if isinstance(at, Value):
        return b.op("index_put", base, new, at, axes=(axis,))
    if data_decides(base.tensor.shape[axis], at):
        return b.op("select_update", base, new, axis=axis, index=at)
    at = at + base.tensor.shape[axis] if isinstance(at, int) and at < 0 else at
    wide = b.op("expand_dims", new, axes=(axis,))
    return _part(b, base, wide, axis, at, at + 1)


def _narrowed(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    axis = _axis(args, "dim", base.tensor.rank)
    start = args["start"]
    return _part(b, base, new, axis, start, start + args["length"])


def _piece(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    """One of the parts that split or chunk gave: the parts before it tell where it starts."""
    axis = _axis(args, "dim", base.tensor.rank)
    start = _piece_start(base.tensor.shape[axis], args, index)
    return _part(b, base, new, axis, start, start + new.tensor.shape[axis])


def _piece_start(size: Any, args: Mapping[str, Any], index: int) -> Any:
    if "chunks" in args:
        return -((-size) // args["chunks"]) * index
    sizes = args.get("split_sizes", args.get("split_size"))
    if isinstance(sizes, int | Expr):
        return sizes * index
    return sum(sizes[1:index], start=sizes[0]) if index else 0


def _unbound(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    return _selected(b, base, new, {**args, "index": index}, index)


def _expanded(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    if base.tensor.shape != new.tensor.shape:
        from ..errors import TranspileError

        raise TranspileError(
            "a write through expand: several elements share one place",
            hint="write to a clone of it",
        )
    return new


def _diagonal(b: Builder, base: Value, new: Value, args: Mapping[str, Any], index: int) -> Value:
    """`base` with one diagonal of two of its axes replaced: chosen by comparing the two indices."""
    rank, offset = base.tensor.rank, args["offset"]
    one, two = args["dim1"] % rank, args["dim2"] % rank
    rows, columns = base.tensor.shape[one], base.tensor.shape[two]
    from ..ir import DType

    row = b.op("expand_dims", b.op("arange", stop=rows, dtype=DType.i64), axes=(1,))
    column = b.op("expand_dims", b.op("arange", stop=columns, dtype=DType.i64), axes=(0,))
    on = b.op("equal", b.op("add", row, offset), column)
    # The diagonal is the last axis of `new`; put it on the rows' axis (offset 0) and stretch it
    # over the columns.
    if offset or rows != new.tensor.shape[-1]:
        low, high = (max(-offset, 0), rows - new.tensor.shape[-1] - max(-offset, 0))
        none = (0,) * (rank - 2)
        new = b.op("pad", new, low=(*none, low), high=(*none, high))
    wide = b.op("expand_dims", new, axes=(rank - 1,))
    order = [i for i in range(rank) if i not in (one, two)] + [one, two]
    wide = b.op("transpose", wide, axes=tuple(order.index(i) for i in range(rank)))
    if one > two:
        on = b.op("transpose", on, axes=(1, 0))
    shape = tuple(base.tensor.shape[i] if i in (one, two) else 1 for i in range(rank))
    return b.op("where", b.op("reshape", on, shape=shape), wide, base)


# Ops that always return a view. None: the view can be read only.
VIEWS: dict[str, WriteBack | None] = {
    "alias": _unchanged, "detach": _unchanged, "lift_fresh": _unchanged, "positive": _unchanged,
    "view": _reshaped, "_unsafe_view": _reshaped, "unflatten": _reshaped, "squeeze": _reshaped,
    "unsqueeze": _reshaped, "view_as": _reshaped, "_reshape_alias": _reshaped,
    "transpose": _transposed, "swapaxes": _transposed, "swapdims": _transposed,
    "t": _reversed, "numpy_T": _reversed, "T": _reversed, "mT": _last_two, "adjoint": _last_two,
    "permute": _permuted, "movedim": _moved, "moveaxis": _moved,
    "select": _selected, "slice": _sliced, "narrow": _narrowed,
    "split": _piece, "split_with_sizes": _piece, "unsafe_split": _piece,
    "chunk": _piece, "unsafe_chunk": _piece,
    "tensor_split": None, "unbind": _unbound, "expand": _expanded, "expand_as": _expanded,
    "broadcast_to": _expanded, "diagonal": _diagonal, "unfold": None,
    "view_as_real": None, "view_as_complex": None, "imag": None,
}  # fmt: skip
