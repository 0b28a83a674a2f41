"""Pooling over channels-last arrays beside torch's."""

import mlx.nn as nn
import pytest
import torch
import torch.nn.functional as F
from torch_reference import channels_last, check, helper, to_mx

SIZES = {1: [(2, 3, 11), (1, 2, 16)], 2: [(2, 3, 9, 7), (1, 2, 8, 13)], 3: [(1, 2, 7, 6, 8)]}
CASES = [(rank, shape) for rank, shapes in SIZES.items() for shape in shapes]
# kernel, stride, padding, by rank where they differ from axis to axis
WINDOWS = [
    {1: (2, 2, 0), 2: (2, 2, 0), 3: (2, 2, 0)},
    {1: (3, 2, 1), 2: ((3, 2), (2, 1), (1, 0)), 3: (3, 2, 1)},
    {1: (4, 3, 2), 2: ((5, 3), (3, 2), (2, 1)), 3: ((2, 3, 3), (1, 2, 3), (0, 1, 1))},
]


def each(value, rank):
    return (value,) * rank if isinstance(value, int) else value


def pooled(name, rank, x, *args, **kwargs):
    """torch's result with its channels moved last, of one value or a pair."""
    out = getattr(F, f"{name}{rank}d")(x, *args, **kwargs)
    return tuple(map(channels_last, out)) if isinstance(out, tuple) else channels_last(out)


@pytest.mark.parametrize(("rank", "shape"), CASES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_max_pool(rank, shape, window, dilation, ceil_mode):
    torch.manual_seed(0)
    x = torch.randint(-9, 9, shape).float()  # with ties
    kernel, stride, padding = (each(v, rank) for v in window[rank])
    values, indices = pooled(
        "max_pool", rank, x, kernel, stride, padding, dilation, ceil_mode, return_indices=True
    )
    args = (to_mx(channels_last(x)), kernel, stride, padding, each(dilation, rank), ceil_mode)
    check(helper("max_pool")(*args), values)
    check(helper("max_pool_with_indices")(*args), (values, indices))


@pytest.mark.parametrize("fill", [float("nan"), -float("inf")])
def test_max_pool_of_what_is_not_finite(fill):
    x = torch.full((1, 1, 5, 6), fill)
    x[0, 0, 1, 2] = 3
    expected = pooled("max_pool", 2, x, 3, 2, 1, return_indices=True)
    args = (to_mx(channels_last(x)), (3, 3), (2, 2), (1, 1))
    check(helper("max_pool")(*args), expected[0])
    check(helper("max_pool_with_indices")(*args), expected)


def test_max_pool_of_other_dtypes():
    x = torch.randint(-9, 9, (1, 2, 6, 6))
    for dtype in (torch.int64, torch.int32, torch.uint8, torch.float16, torch.bfloat16):
        y = x.abs().to(dtype) if dtype == torch.uint8 else x.to(dtype)
        expected = pooled("max_pool", 2, y, 3, 2, 1)
        check(helper("max_pool")(to_mx(channels_last(y)), (3, 3), (2, 2), (1, 1)), expected)


@pytest.mark.parametrize(("rank", "shape"), CASES)
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("include_pad", [False, True])
def test_avg_pool(rank, shape, window, ceil_mode, include_pad):
    torch.manual_seed(0)
    x = torch.randn(shape)
    kernel, stride, padding = (each(v, rank) for v in window[rank])
    divisors = [None] if rank == 1 else [None, 5]
    for divisor in divisors:
        options = [ceil_mode, include_pad] + ([] if rank == 1 else [divisor])
        expected = pooled("avg_pool", rank, x, kernel, stride, padding, *options)
        y = to_mx(channels_last(x))
        check(
            helper("avg_pool")(y, kernel, stride, padding, ceil_mode, include_pad, divisor),
            expected,
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_averages_accumulate_in_float32(dtype):
    x = (torch.rand(1, 2, 32, 32) * 2000 + 2000).to(dtype)
    y = to_mx(channels_last(x))
    expected = pooled("avg_pool", 2, x, 16, 16)
    check(helper("avg_pool")(y, (16, 16), (16, 16), (0, 0)), expected)
    check(helper("adaptive_avg_pool")(y, (2, 2)), expected)
    check(helper("adaptive_avg_pool")(y, (3, 3)), pooled("adaptive_avg_pool", 2, x, 3))


@pytest.mark.parametrize(("rank", "shape"), CASES)
@pytest.mark.parametrize("output", [(1, 1, 1), (3, 2, 4), (5, None, 3), (7, 9, 8)])
def test_adaptive_pools(rank, shape, output):
    torch.manual_seed(0)
    x = torch.randint(-50, 50, shape).float()
    output = output[:rank]
    y = to_mx(channels_last(x))
    check(helper("adaptive_avg_pool")(y, output), pooled("adaptive_avg_pool", rank, x, output))
    values, indices = pooled("adaptive_max_pool", rank, x, output, return_indices=True)
    check(helper("adaptive_max_pool")(y, output), values)
    check(helper("adaptive_max_pool_with_indices")(y, output), (values, indices))


@pytest.mark.parametrize(("rank", "shape"), CASES)
def test_max_unpool(rank, shape):
    x = torch.randn(shape)
    values, indices = getattr(F, f"max_pool{rank}d")(x, 2, return_indices=True)
    expected = pooled("max_unpool", rank, values, indices, 2, output_size=shape[2:])
    y, i = to_mx(channels_last(values)), to_mx(channels_last(indices))
    check(helper("max_unpool")(y, i, shape[2:]), expected)


def test_plain_layers_of_mlx_agree():
    """What the emitter uses instead of these helpers wherever no option needs them."""
    x = torch.randn(2, 3, 9, 7)
    y = to_mx(channels_last(x))
    check(y.mean(axis=(1, 2), keepdims=True), pooled("adaptive_avg_pool", 2, x, 1))
    check(nn.MaxPool2d(3, 2, 1)(y), pooled("max_pool", 2, x, 3, 2, 1))
    check(nn.AvgPool2d(3, 2, 1)(y), pooled("avg_pool", 2, x, 3, 2, 1))
