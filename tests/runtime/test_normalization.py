"""Norms over channels-last arrays beside torch's."""

import mlx.nn as nn
import pytest
import torch
import torch.nn.functional as F
from torch_reference import channels_last, check, helper, to_mx

SHAPES = [(2, 6, 5, 4), (3, 6, 9), (1, 6, 1, 3), (2, 6, 3, 2, 4)]


def affine(affine, size=6):
    return (torch.randn(size), torch.randn(size)) if affine else (None, None)


@pytest.mark.parametrize("shape", [*SHAPES, (4, 6)])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("running", [True, False])
def test_batch_norm(shape, scaled, running):
    torch.manual_seed(0)
    x, (w, b) = torch.randn(shape) * 3 + 1, affine(scaled)
    stats = (torch.randn(6), torch.rand(6) + 0.5) if running else (None, None)
    expected = F.batch_norm(x, *stats, w, b, training=not running, eps=1e-3)
    y = helper("batch_norm")(to_mx(channels_last(x)), *to_mx((*stats, w, b)), eps=1e-3)
    check(y, channels_last(expected), atol=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("scaled", [True, False])
def test_group_norm(shape, groups, scaled):
    torch.manual_seed(0)
    x, (w, b) = torch.randn(shape) * 3 + 1, affine(scaled)
    y = helper("group_norm")(to_mx(channels_last(x)), groups, *to_mx((w, b)), eps=1e-6)
    check(y, channels_last(F.group_norm(x, groups, w, b, eps=1e-6)), atol=5e-6)


def test_group_norm_is_the_layer_of_mlx():
    x = torch.randn(2, 6, 5, 4)
    y = nn.GroupNorm(3, 6, pytorch_compatible=True)(to_mx(channels_last(x)))
    check(y, channels_last(F.group_norm(x, 3)), atol=3e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scaled", [True, False])
def test_instance_norm(shape, scaled):
    torch.manual_seed(0)
    x, (w, b) = torch.randn(shape) * 3 + 1, affine(scaled)
    expected = F.instance_norm(x, weight=w, bias=b, use_input_stats=True)
    y = helper("instance_norm")(to_mx(channels_last(x)), *to_mx((w, b)))
    check(y, channels_last(expected), atol=5e-6)


@pytest.mark.parametrize("shape", [(2, 3, 8), (4, 5, 2, 3)])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("scaled", [True, False])
def test_layer_norm(shape, rank, scaled):
    torch.manual_seed(0)
    x, (w, b) = torch.randn(shape), affine(scaled, shape[-rank:])
    y = helper("layer_norm")(to_mx(x), rank, *to_mx((w, b)))
    check(y, F.layer_norm(x, shape[-rank:], w, b), atol=3e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_keeps_its_dtype(dtype):
    """Statistics are float32 in torch too: the results differ by one rounding at most."""
    torch.manual_seed(0)
    x, w, b = torch.randn(2, 6, 16, 16).to(dtype) + 4, torch.randn(6), torch.randn(6)
    y, eps = to_mx(channels_last(x)), torch.finfo(dtype).eps
    mean, var = torch.randn(6), torch.rand(6) + 0.5
    near = {"rtol": eps, "atol": eps}

    out = helper("batch_norm")(y, *to_mx((mean, var, w, b)))
    check(out, channels_last(F.batch_norm(x, mean, var, w, b)), **near)
    out = helper("instance_norm")(y, *to_mx((w, b)))
    check(out, channels_last(F.instance_norm(x.float(), weight=w, bias=b)).to(dtype), **near)
    out = helper("group_norm")(y, 2, *to_mx((w.to(dtype), b.to(dtype))))
    check(
        out, channels_last(F.group_norm(x, 2, w.to(dtype), b.to(dtype))), rtol=4 * eps, atol=4 * eps
    )
    out = helper("layer_norm")(to_mx(x), 2)
    check(out, F.layer_norm(x, (16, 16)), **near)


@pytest.mark.parametrize("shape", [(4, 3), (5, 2, 3)])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_weight_norm(shape, axis):
    v = torch.randn(shape)
    g = torch.norm_except_dim(v, 2, -1 if axis is None else axis % len(shape)) * 1.5
    expected = v * 1.5
    check(helper("weight_norm")(to_mx(v), to_mx(g), axis), expected)
