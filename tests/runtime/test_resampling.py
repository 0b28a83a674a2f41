"""Interpolation, sampling at a grid and rearranged pixels beside torch's."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch_reference import channels_last, check, helper, to_mx

SHAPES = [(2, 3, 7), (1, 2, 1), (2, 3, 5, 7), (1, 2, 6, 1), (1, 2, 4, 3, 5)]
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
# The target size of each axis by the size it has, or a scale factor.
TARGETS = [
    lambda n: 2 * n,
    lambda n: n + 3,
    lambda n: max(1, n // 2),
    lambda n: 1,
    2.0,
    1.7,
    0.6,
    1.2,
]


def request(shape, target):
    """Arguments for torch, and the output size and the scale for the helper."""
    sizes = shape[2:]
    if callable(target):
        size = tuple(target(n) for n in sizes)
        return {"size": size}, size, None
    size = tuple(math.floor(n * target) for n in sizes)
    return {"scale_factor": target}, size, (target,) * len(size)


def images(shape):
    torch.manual_seed(0)
    return torch.randn(shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("exact", [False, True])
def test_nearest(shape, target, exact):
    x, (options, size, scale) = images(shape), request(shape, target)
    if 0 in size or (scale and size == shape[2:]):
        pytest.skip("nothing left, or a copy")
    expected = F.interpolate(x, mode="nearest-exact" if exact else "nearest", **options)
    y = helper("interpolate_nearest")(to_mx(channels_last(x)), size, scale, exact)
    check(y, channels_last(expected))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("align_corners", [False, True])
def test_linear_and_cubic(shape, target, align_corners):
    x, (options, size, scale) = images(shape), request(shape, target)
    if 0 in size:
        pytest.skip("nothing left")
    rank = len(size)
    expected = F.interpolate(x, mode=LINEAR[rank], align_corners=align_corners, **options)
    y = helper("interpolate_linear")(to_mx(channels_last(x)), size, align_corners, scale)
    check(y, channels_last(expected), atol=2e-6)
    if rank == 2:
        expected = F.interpolate(x, mode="bicubic", align_corners=align_corners, **options)
        y = helper("interpolate_cubic")(to_mx(channels_last(x)), size, align_corners, scale)
        check(y, channels_last(expected), atol=3e-6)


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 2, 16, 9), (1, 2, 1, 6)])
@pytest.mark.parametrize("target", TARGETS[:-1])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_antialias(shape, target, align_corners, mode):
    # Not at width 1: there torch reads the image as one row, whatever its height.
    x, (options, size, scale) = images(shape), request(shape, target)
    if 0 in size:
        pytest.skip("nothing left")
    expected = F.interpolate(x, mode=mode, align_corners=align_corners, antialias=True, **options)
    y = helper("interpolate_antialias")(to_mx(channels_last(x)), size, mode, align_corners, scale)
    check(y, channels_last(expected), atol=3e-6)


def test_axes_scale_apart():
    x = images((1, 2, 6, 5))
    options = {"scale_factor": (1.5, 0.7)}
    size = (9, 3)
    y = to_mx(channels_last(x))
    check(
        helper("interpolate_nearest")(y, size, (1.5, 0.7)),
        channels_last(F.interpolate(x, **options)),
    )
    expected = channels_last(F.interpolate(x, mode="bilinear", **options))
    check(helper("interpolate_linear")(y, size, False, (1.5, 0.7)), expected)
    expected = channels_last(F.interpolate(x, size=(9, 5), mode="bilinear"))
    check(helper("interpolate_linear")(y, (9, 5), False, (None, 1.2)), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_interpolates_in_float32(dtype):
    x, eps = images((1, 3, 6, 6)).to(dtype), torch.finfo(dtype).eps
    expected = channels_last(F.interpolate(x, size=(9, 4), mode="bilinear"))
    check(
        helper("interpolate_linear")(to_mx(channels_last(x)), (9, 4)), expected, rtol=eps, atol=eps
    )


@pytest.mark.parametrize(
    ("shape", "out"), [((2, 3, 5, 6), (4, 7)), ((1, 2, 1, 4), (3, 3)), ((1, 2, 3, 4, 5), (2, 3, 4))]
)
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_sample(shape, out, mode, padding, align_corners):
    rank = len(shape) - 2
    if mode == "bicubic" and rank == 3:
        pytest.skip("torch has it for images only")
    x = images(shape)
    grid = torch.rand(shape[0], *out, rank) * 5 - 2.5
    expected = F.grid_sample(x, grid, mode, padding, align_corners)
    y = helper("grid_sample")(to_mx(channels_last(x)), to_mx(grid), mode, padding, align_corners)
    check(y, channels_last(expected), atol=5e-6)


@pytest.mark.parametrize("shape", [(2, 18, 3, 5), (18, 1, 2), (1, 2, 9, 4, 3)])
def test_pixel_shuffle(shape):
    x = images(shape)

    def last(t):
        return t.movedim(-3, -1)

    y = helper("pixel_shuffle")(to_mx(last(x)), 3)
    check(y, last(F.pixel_shuffle(x, 3)))
    check(helper("pixel_unshuffle")(y, 3), last(x))


@pytest.mark.parametrize("shape", [(7,), (3, 8), (2, 5, 6)])
@pytest.mark.parametrize(("size", "step"), [(1, 1), (3, 1), (2, 3), (5, 2)])
def test_unfold(shape, size, step):
    x = images(shape)
    for axis in {0, -1} if shape[0] >= size else {-1}:
        check(helper("unfold")(to_mx(x), axis, size, step), x.unfold(axis, size, step))


@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (1, 5, 9)])
@pytest.mark.parametrize(
    "window",
    [
        ((2, 3), (1, 1), (0, 0), (1, 1)),
        ((3, 2), (1, 2), (1, 0), (2, 1)),
        ((1, 1), (1, 1), (0, 2), (3, 2)),
    ],
)
def test_patches(shape, window):
    x = images(shape)
    kernel, dilation, padding, stride = window
    patches = F.unfold(x, kernel, dilation, padding, stride)
    check(helper("im2col")(to_mx(x), kernel, dilation, padding, stride), patches)
    expected = F.fold(patches, shape[-2:], kernel, dilation, padding, stride)
    check(helper("col2im")(to_mx(patches), shape[-2:], kernel, dilation, padding, stride), expected)
