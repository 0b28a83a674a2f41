"""Sorting, order statistics and searching beside torch's."""

import mlx.core as mx
import pytest
import torch
from torch_reference import check, helper, to_mx

SHAPES = [(4, 7), (3, 2, 6), (5, 1), (8,)]
AXES = [0, -1]


def values(shape, dtype=torch.float32):
    """With ties, so that stability shows."""
    torch.manual_seed(0)
    return torch.randint(0, 5, shape).to(dtype)


def distinct(shape):
    torch.manual_seed(0)
    return torch.randn(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.uint8, torch.bfloat16])
def test_sort(shape, axis, descending, dtype):
    x = values(shape, dtype)
    expected = torch.sort(x, dim=axis, descending=descending, stable=True)
    check(helper("sort")(to_mx(x), axis, descending), tuple(expected))


@pytest.mark.parametrize("descending", [False, True])
def test_sort_of_what_is_not_finite(descending):
    nan, inf = float("nan"), float("inf")
    x = torch.tensor([[1, nan, -inf, 2, nan, inf, 0]])
    expected = torch.sort(x, descending=descending, stable=True)
    check(helper("sort")(to_mx(x), -1, descending), tuple(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("largest", [False, True])
def test_topk(shape, axis, largest):
    x = distinct(shape)
    for k in {1, min(3, shape[axis]), shape[axis]}:
        expected = torch.topk(x, k, axis, largest)
        check(helper("topk")(to_mx(x), k, axis, largest), tuple(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_kthvalue_and_median(shape, axis, keepdims):
    x = distinct(shape)
    for k in {1, shape[axis]}:
        expected = torch.kthvalue(x, k, axis, keepdims)
        check(helper("kthvalue")(to_mx(x), k, axis, keepdims), tuple(expected))
    expected = torch.median(x, axis, keepdims)
    check(helper("median")(to_mx(x), axis, keepdims), tuple(expected))


def test_median_of_nan():
    x = distinct((3, 6))
    x[1, 2] = x[1, 4] = float("nan")
    check(helper("median")(to_mx(x), 1), tuple(torch.median(x, 1)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extremes(shape, axis, name):
    for x in (values(shape), values(shape, torch.int64), distinct(shape)):
        check(helper(name)(to_mx(x), axis), tuple(getattr(torch, name)(x, axis)))


@pytest.mark.parametrize("name", ["cummax", "cummin"])
def test_running_extremes_of_nan(name):
    x = torch.tensor([1.0, 3, float("nan"), 2, float("nan"), 9])
    check(helper(name)(to_mx(x), 0), tuple(getattr(torch, name)(x, 0)))


@pytest.mark.parametrize(
    ("rows", "n", "m"), [((), 1, 5), ((3,), 6, 4), ((2, 3), 8, 9), ((2,), 7, 1)]
)
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(rows, n, m, right):
    torch.manual_seed(0)
    sequence = torch.randint(0, 9, (*rows, n)).sort(-1).values
    x = torch.randint(-2, 12, (*rows, m))
    out = helper("searchsorted")(to_mx(sequence), to_mx(x), right)
    check(out, torch.searchsorted(sequence, x, right=right))
    out = helper("searchsorted")(to_mx(sequence.float()), to_mx(x.float()), right)
    check(out, torch.searchsorted(sequence.float(), x.float(), right=right))


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("boundaries", [[1.0, 3, 5], [2.0]])
def test_mlx_has_bucketize(right, boundaries):
    boundaries, x = torch.tensor(boundaries), torch.tensor([[0.0, 1, 2], [3, 5, 6]])
    expected = torch.bucketize(x, boundaries, right=right)
    side = "right" if right else "left"
    out = mx.searchsorted(to_mx(boundaries), to_mx(x), side=side).astype(mx.int64)
    check(out, expected)


@pytest.mark.parametrize("bounds", [(0, 0), (-1, 1), (0, 3)])
@pytest.mark.parametrize("bins", [1, 4, 10])
def test_histc(bounds, bins):
    for x in (distinct((50,)), values((6, 8))):
        check(helper("histc")(to_mx(x), bins, *bounds), torch.histc(x, bins, *bounds))
