"""Reads and writes by index beside torch's."""

import mlx.core as mx
import pytest
import torch
from torch_reference import check, helper, to_mx

REDUCTIONS = ["sum", "prod", "mean", "amax", "amin"]
SIZES = [(5, 4), (3, 6, 2), (1, 7), (4,)]


def index_for(shape, axis, extra=0, distinct=False):
    """An index that is shorter than x on other axes, and of any length on its own."""
    size = [max(1, n - 1) for n in shape]
    size[axis] = shape[axis] + extra
    if distinct:
        return torch.rand(size).argsort(axis) % shape[axis]
    return torch.randint(0, shape[axis], size)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("extra", [-0, 3])
def test_gather(shape, axis, extra):
    x, index = torch.randn(shape), index_for(shape, axis, extra)
    check(helper("gather")(to_mx(x), axis, to_mx(index)), torch.gather(x, axis, index))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("axis", [0, -1])
def test_scatter(shape, axis):
    x, src, index = torch.randn(shape), torch.randn(shape), index_for(shape, axis, distinct=True)
    y = to_mx(x)
    check(helper("scatter")(y, axis, to_mx(index), to_mx(src)), x.scatter(axis, index, src))
    check(helper("scatter")(y, axis, to_mx(index), 2.5), x.scatter(axis, index, 2.5))
    check(y, x)  # the argument stays as it was


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_scatter_add(shape, axis, dtype):
    x, src = (
        torch.randint(-9, 9, (*shape[: axis % len(shape)], n, *shape[axis % len(shape) + 1 :])).to(
            dtype
        )
        for n in (shape[axis], shape[axis] + 4)
    )
    index = index_for(shape, axis, extra=3)
    out = helper("scatter_add")(to_mx(x), axis, to_mx(index), to_mx(src))
    check(out, x.scatter_add(axis, index, src))


@pytest.mark.parametrize("shape", SIZES[:3])
@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_scatter_reduce(shape, axis, reduce, include_self, dtype):
    torch.manual_seed(0)
    x, src = torch.randint(-5, 5, shape).to(dtype), torch.randint(-5, 5, shape).to(dtype)
    index = index_for(shape, axis)
    out = helper("scatter_reduce")(to_mx(x), axis, to_mx(index), to_mx(src), reduce, include_self)
    check(out, x.scatter_reduce(axis, index, src, reduce, include_self=include_self))


ints = torch.tensor
PLACES = {
    "first": (ints([0, 2]),),
    "second": (None, ints([1, -1])),
    "both": (ints([0, 3, 1]), ints([1, 1, 2])),
    "apart": (ints([0, 2]), None, ints([1, 4])),
    "outer": (ints([[0], [2]]), ints([[1, 3]])),
    "scalar": (ints(2), ints(3)),
    "last": (None, None, ints([0, 3])),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("accumulate", [True, False])
def test_index_put(place, accumulate):
    torch.manual_seed(0)
    x, indices = torch.randn(4, 4, 5), PLACES[place]
    values = torch.randn_like(x[tuple(slice(None) if i is None else i for i in indices)])
    for v in (values, torch.tensor(7.0)):
        out = helper("index_put")(to_mx(x), to_mx(indices), to_mx(v), accumulate)
        check(out, torch.ops.aten.index_put(x, indices, v, accumulate))


def test_index_put_adds_duplicates():
    x, index, values = torch.zeros(3, 2), ints([1, 1, 2]), torch.randn(3, 2)
    out = helper("index_put")(to_mx(x), (to_mx(index),), to_mx(values), True)
    check(out, x.index_put((index,), values, True))


@pytest.mark.parametrize("accumulate", [True, False])
def test_index_put_by_mask(accumulate):
    torch.manual_seed(0)
    x = torch.randn(4, 5)
    for mask in (x > 0, torch.tensor([True, False, True, True])):
        for values in (torch.tensor(2.0), torch.randn_like(x[mask])):
            out = helper("index_put")(to_mx(x), (to_mx(mask),), to_mx(values), accumulate)
            check(out, x.index_put((mask,), values, accumulate))


@pytest.mark.parametrize("shape", [(5, 4), (3, 6, 2)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_index_add_copy_fill(shape, axis):
    index = ints([0, 1])
    x = torch.randn(shape)
    src = torch.randn_like(x.index_select(axis, index))
    for i in (index, ints([1, 1])):
        out = helper("index_add")(to_mx(x), axis, to_mx(i), to_mx(src), alpha=2)
        check(out, x.index_add(axis, i, src, alpha=2))
    out = helper("index_copy")(to_mx(x), axis, to_mx(index), to_mx(src))
    check(out, x.index_copy(axis, index, src))
    out = helper("index_copy")(to_mx(x), axis, to_mx(index), 3.0)
    check(out, x.index_fill(axis, index, 3.0))


@pytest.mark.parametrize("mask_shape", [(3, 4), (4,), (3, 1)])
def test_masked_scatter(mask_shape):
    torch.manual_seed(0)
    x, mask, src = torch.randn(3, 4), torch.rand(mask_shape) > 0.4, torch.randn(14)
    out = helper("masked_scatter")(to_mx(x), to_mx(mask), to_mx(src))
    check(out, x.masked_scatter(mask, src))
    none = torch.zeros(mask_shape, dtype=torch.bool)
    check(helper("masked_scatter")(to_mx(x), to_mx(none), to_mx(src)), x)


@pytest.mark.parametrize("shape", [(5, 4), (3, 6, 2)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_select_and_slice_scatter(shape, axis):
    x = torch.randn(shape)
    for index in (0, 1, -1):
        src = torch.randn_like(x.select(axis, index))
        out = helper("select_scatter")(to_mx(x), to_mx(src), axis, index)
        check(out, torch.select_scatter(x, src, axis, index))
    last = 2**63 - 1
    for start, stop, step in [(None, None, 1), (1, last, 1), (0, -1, 1), (-2, 99, 2), (0, last, 2)]:
        place = [slice(None)] * x.ndim
        place[axis] = slice(start, stop, step)
        src = torch.randn_like(x[tuple(place)])
        out = helper("slice_scatter")(to_mx(x), to_mx(src), axis, start, stop, step)
        check(out, torch.slice_scatter(x, src, axis, start, stop, step))


@pytest.mark.parametrize(
    ("shape", "axes"), [((4, 5), (0, 1)), ((3, 2, 4), (0, 2)), ((3, 2, 4), (-1, 0))]
)
@pytest.mark.parametrize("offset", [0, 1, -2])
def test_diagonals(shape, axes, offset):
    x = torch.randn(shape)
    src = torch.randn_like(torch.diagonal(x, offset, *axes))
    out = helper("diagonal_scatter")(to_mx(x), to_mx(src), offset, *axes)
    check(out, torch.diagonal_scatter(x, src, offset, *axes))
    check(helper("diag_embed")(to_mx(x), offset, *axes), torch.diag_embed(x, offset, *axes))
    check(helper("diag_embed")(to_mx(x), offset), torch.diag_embed(x, offset))


@pytest.mark.parametrize("shape", [(4, 3), (3, 5, 2)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_repeat_interleave(shape, axis):
    x = torch.randn(shape)
    repeats = torch.randint(0, 4, (shape[axis],))
    out = helper("repeat_interleave")(to_mx(x), to_mx(repeats), axis, int(repeats.sum()))
    check(out, torch.repeat_interleave(x, repeats, axis))
    check(mx.repeat(to_mx(x), 3, axis), torch.repeat_interleave(x, 3, axis))
