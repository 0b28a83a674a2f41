"""`as_strided`: views of a tensor's memory, which is row-major where the tensor was just made."""

from __future__ import annotations

from ..ir import Builder, DType, Value
from ..ir.dims import Expr, minimum, product, provably_le
from ..ir.op import equal
from .aten_common import Dims, expand_dims, need, reshaped, sliced

# What may give a tensor whose memory is in another order, or shared.
_REORDERED = {"transpose", "broadcast_to", "slice", "select", "split", "diagonal"}
_SAME_ORDER = {"reshape", "expand_dims", "squeeze", "cast", "add", "subtract", "multiply", "divide"}


def as_strided(
    b: Builder, self: Value, size: Dims, stride: Dims, storage_offset: int | Expr | None = None
) -> Value:
    """Elements at `storage_offset + sum(index * stride)` of the flattened tensor."""
    need(
        _row_major(self),
        "as_strided of a tensor whose order in memory is not known",
        "write it with slices, unfold or expand",
    )
    size, stride, offset = tuple(size), tuple(stride), storage_offset or 0
    shape = self.tensor.shape
    kept = _kept_axes(shape, size, stride, offset)
    flat = reshaped(b, self, (*shape[:kept], product(shape[kept:])))
    inner, steps = size[kept:], stride[kept:]
    if _alike(inner, steps, row_major(inner)):
        return reshaped(b, sliced(b, flat, kept, offset, offset + product(inner)), size)
    if len(inner) == 2 and steps[1] == 1:
        rest = sliced(b, flat, kept, offset, None) if offset != 0 else flat
        length = rest.tensor.shape[kept]
        equal(minimum(inner[1], length), inner[1])  # at least one frame
        frames = b.op("windows", rest, axis=kept, size=inner[1], step=steps[0])
        return sliced(b, frames, kept, 0, inner[0])
    return b.op("take", flat, _places(b, inner, steps, offset), axis=kept)


def row_major(shape: Dims) -> tuple[int | Expr, ...]:
    """The strides of a tensor whose last axis varies fastest."""
    return tuple(product(shape[i + 1 :]) for i in range(len(shape)))


def _alike(size: Dims, stride: Dims, expected: Dims) -> bool:
    return all(s == e or n == 1 for n, s, e in zip(size, stride, expected, strict=True))


def _row_major(value: Value) -> bool:
    """Whether the tensor was made as it is, so that its memory is in the order of its axes."""
    node = value.node
    while node is not None and node.op in _SAME_ORDER and isinstance(node.operands[0], Value):
        node = node.operands[0].node
    return node is None or node.op not in _REORDERED


def _kept_axes(shape: Dims, size: Dims, stride: Dims, offset: int | Expr) -> int:
    """How many leading axes stay as they are, with all that is read inside of the others."""
    expected = row_major(shape)
    kept = 0
    while (
        kept < min(len(shape), len(size)) - 1
        and shape[kept] == size[kept]
        and stride[kept] == expected[kept]
    ):
        kept += 1
    while kept:
        inner = zip(size[kept:], stride[kept:], strict=True)
        end = sum(((n - 1) * s for n, s in inner), offset + 1)
        if provably_le(end, product(shape[kept:])):
            break
        kept -= 1
    return kept


def _places(b: Builder, size: Dims, stride: Dims, offset: int | Expr) -> Value:
    """The place in the flat tensor of each element of the view."""
    total: Value | None = None
    for i, (n, step) in enumerate(zip(size, stride, strict=True)):
        line = b.op("arange", stop=n, dtype=DType.i64)
        scaled = line if step == 1 else b.op("multiply", line, step)
        scaled = expand_dims(b, scaled, *range(1, len(size) - i))
        total = scaled if total is None else b.op("add", total, scaled)
    need(total is not None, "as_strided without axes")
    assert total is not None  # said above
    return total if offset == 0 else b.op("add", total, offset)
