"""Activations beside torch's: the helpers, and the ones of mlx.nn that need none."""

import mlx.core as mx
import mlx.nn as nn
import pytest
import torch
import torch.nn.functional as F
from torch_reference import check, helper, to_mx

EDGES = torch.tensor(
    [0.0, 1e-7, -1e-7, 1e-4, -1e-4, 19.9, 20.1, -100, 100, float("inf"), -float("inf")]
)


def inputs(*shape):
    torch.manual_seed(0)
    return torch.cat([torch.randn(*shape).flatten() * 4, EDGES])


CASES = {
    "elu": [(), (1.5,), (0.7,)],
    "celu": [(), (1.3,), (0.5,)],
    "selu": [()],
    "softplus": [(), (0.5,), (2.0, 3.0)],
    "hardsigmoid": [()],
}


@pytest.mark.parametrize(("name", "args"), [(n, a) for n, rows in CASES.items() for a in rows])
@pytest.mark.parametrize("shape", [(50,), (4, 1, 9)])
def test_helpers(name, args, shape):
    x = inputs(*shape)
    check(helper(name)(to_mx(x), *args), getattr(F, name)(x, *args), atol=1e-37)


def test_elu_with_scales():
    x = inputs(60)
    expected = torch.ops.aten.elu(x, 1.5, 1.1, 0.9)
    check(helper("elu")(to_mx(x), 1.5, 1.1, 0.9), expected, atol=0)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision(name, dtype):
    """Each step rounds, where torch rounds once: a few units in the last place."""
    x, eps = inputs(60).clamp(-50, 50).to(dtype), torch.finfo(dtype).eps
    check(helper(name)(to_mx(x)), getattr(F, name)(x), rtol=3 * eps, atol=eps)


LAYERS = {
    "relu6": nn.relu6,
    "silu": nn.silu,
    "mish": nn.mish,
    "softplus": nn.softplus,
    "softsign": nn.softsign,
    "softshrink": nn.softshrink,
    "hardshrink": nn.hard_shrink,
    "hardswish": nn.hardswish,
    "hardtanh": nn.hard_tanh,
    "leaky_relu": nn.leaky_relu,
    "logsigmoid": nn.log_sigmoid,
    "gelu": nn.gelu,
}


@pytest.mark.parametrize("name", LAYERS)
def test_mlx_has_these(name):
    x = inputs(60)[:-2]
    check(LAYERS[name](to_mx(x)), getattr(F, name)(x), rtol=2e-6)


def test_mlx_has_these_of_several_inputs():
    x, weight = torch.randn(20, 6), torch.rand(6)
    check(nn.prelu(to_mx(x), to_mx(weight)), F.prelu(x, weight))
    check(nn.glu(to_mx(x), axis=-1), F.glu(x))
    check(nn.gelu_approx(to_mx(x)), F.gelu(x, approximate="tanh"))
    out = mx.where(to_mx(x) <= 0.1, 2.0, to_mx(x))
    check(out, F.threshold(x, 0.1, 2.0))
