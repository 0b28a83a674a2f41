"""Elementwise functions and reductions beside torch's."""

import math

import mlx.core as mx
import pytest
import torch
from torch_reference import check, helper, to_mx

NAN, INF = float("nan"), float("inf")
EDGES = torch.tensor([0.0, -0.0, 1, -1, 0.5, -2.5, 1e-4, 1e-30, 1e30, INF, -INF, NAN])
LOW = [torch.float16, torch.bfloat16]


def numbers(*shape, scale=4.0):
    torch.manual_seed(0)
    return torch.randn(*shape) * scale


def pairs():
    """All pairs of the edges, and random numbers."""
    a, b = torch.cartesian_prod(EDGES, EDGES).T
    x, y = numbers(2, 200)
    return torch.cat([a, x]), torch.cat([b, y])


@pytest.mark.parametrize("name", ["hypot", "copysign", "xlogy"])
def test_floats_in_pairs(name):
    a, b = pairs()
    check(helper(name)(to_mx(a), to_mx(b)), getattr(torch, name)(a, b))


def test_fmod():
    a, b = pairs()
    exact = ~((a / b).abs() > 1e30)  # beyond, torch's vectorized loop gives NaN
    a, b = a[exact], b[exact]
    check(helper("fmod")(to_mx(a), to_mx(b)), torch.fmod(a, b))


@pytest.mark.parametrize("name", ["fmod", "floor_divide"])
@pytest.mark.parametrize("b", [0.1, -0.3, 2.0])
def test_float_and_number(name, b):
    a = numbers(100)
    check(helper(name)(to_mx(a), b), getattr(torch, name)(a, b))


def test_floor_divide():
    a, b = pairs()
    check(helper("floor_divide")(to_mx(a), to_mx(b)), torch.floor_divide(a, b))
    tenths = torch.arange(1, 50) / 10
    out = helper("floor_divide")(to_mx(tenths), to_mx(torch.tensor(0.1)))
    check(out, torch.floor_divide(tenths, 0.1))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.int8, torch.float32])
def test_trunc_divide(dtype):
    a = torch.arange(-20, 20).repeat_interleave(8).to(dtype)
    b = torch.tensor([-7, -3, -2, -1, 1, 2, 3, 7]).repeat(40).to(dtype)
    out = helper("trunc_divide")(to_mx(a), to_mx(b))
    check(out, torch.div(a, b, rounding_mode="trunc"))
    for n in (3, -3):
        out = helper("trunc_divide")(to_mx(a), n)
        check(out, torch.div(a, n, rounding_mode="trunc"))
    small = a.abs().to(torch.uint8)
    check(helper("trunc_divide")(to_mx(small), 3), torch.div(small, 3, rounding_mode="trunc"))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_fmod_and_power_of_integers(dtype):
    a = torch.arange(-10, 11).repeat_interleave(8).to(dtype)
    b = torch.tensor([-7, -3, -2, -1, 1, 2, 3, 5]).repeat(21).to(dtype)
    check(helper("fmod")(to_mx(a), to_mx(b)), torch.fmod(a, b))
    check(helper("int_power")(to_mx(a), to_mx(b)), torch.pow(a, b))


def test_erfc():
    x = torch.cat([torch.linspace(-5, 9, 2000), EDGES])
    check(helper("erfc")(to_mx(x)), torch.erfc(x), rtol=2e-5, atol=1e-37)


def test_lgamma():
    x = torch.cat([torch.linspace(1e-3, 12, 3000), torch.logspace(1, 30, 100)])
    check(helper("lgamma")(to_mx(x)), torch.lgamma(x), rtol=1e-5, atol=1e-6)
    x = torch.cat([-torch.rand(200) * 6, torch.arange(-6.0, 1), EDGES])
    check(helper("lgamma")(to_mx(x)), torch.lgamma(x), rtol=1e-5, atol=1e-4)


def test_digamma():
    x = torch.cat([torch.linspace(1e-3, 12, 3000), torch.logspace(1, 30, 100)])
    check(helper("digamma")(to_mx(x)), torch.digamma(x), rtol=1e-5, atol=2e-6)
    x = torch.cat([torch.arange(-6.0, 0) + 0.3, torch.arange(-6.0, 1), EDGES])
    check(helper("digamma")(to_mx(x)), torch.digamma(x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, *LOW])
def test_frexp(dtype):
    x = torch.cat([EDGES[:-3], EDGES[-3:], numbers(50), torch.tensor([1e-40, -3e-45, 2.0**-126])])
    x = x.to(dtype)
    check(helper("frexp")(to_mx(x)), tuple(torch.frexp(x)))


def test_ldexp_is_a_product():
    e = torch.arange(-140, 120)
    x = numbers(260)
    check(to_mx(x) * mx.power(2.0, to_mx(e)), torch.ldexp(x, e))


def test_complex_numbers():
    x, y = pairs()
    check(helper("angle")(to_mx(x)), torch.angle(x))
    x, y = numbers(2, 3, 4)
    z = torch.complex(x, y)
    check(helper("angle")(to_mx(z)), torch.angle(z))
    check(helper("polar")(to_mx(x.abs()), to_mx(y)), torch.polar(x.abs(), y))
    check(helper("view_as_real")(to_mx(z)), torch.view_as_real(z))
    parts = torch.stack([x, y], -1)
    check(helper("view_as_complex")(to_mx(parts)), torch.view_as_complex(parts))
    strided = to_mx(parts.transpose(0, 1).contiguous()).swapaxes(0, 1)
    check(helper("view_as_complex")(strided), torch.view_as_complex(parts))


AXES = [None, 0, -1, (0, 2)]


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 6)])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("correction", [0, 1, 0.5])
def test_variance(shape, axis, keepdims, correction):
    x = numbers(*shape)
    for name in ("var", "std"):
        expected = getattr(torch, name)(x, axis, correction=correction, keepdim=keepdims)
        check(helper(name)(to_mx(x), axis, correction, keepdims), expected)


@pytest.mark.parametrize("dtype", LOW)
def test_variance_accumulates_in_float32(dtype):
    x = (numbers(4, 64, scale=1) + 500).to(dtype)
    eps = torch.finfo(dtype).eps
    for name in ("var", "std"):
        expected = getattr(torch, name)(x.float(), 1).to(dtype)
        check(helper(name)(to_mx(x), 1), expected, rtol=eps)
    check(helper("vector_norm")(to_mx(x), 2, 1), torch.linalg.vector_norm(x, 2, 1), rtol=eps)


def test_variance_of_too_few():
    x = numbers(3, 1)
    check(helper("var")(to_mx(x), 1), torch.var(x, 1))


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 1, 6)])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("order", [2, 1, 0, 3, 0.5, INF, -INF, -1])
def test_vector_norm(shape, axis, keepdims, order):
    x = torch.randint(-3, 4, shape).float()
    expected = torch.linalg.vector_norm(x, order, axis, keepdims)
    check(helper("vector_norm")(to_mx(x), order, axis, keepdims), expected)
    z = torch.complex(x, x + 1)
    check(helper("vector_norm")(to_mx(z), order, axis), torch.linalg.vector_norm(z, order, axis))


@pytest.mark.parametrize("shapes", [((4, 3), (5, 3)), ((2, 6, 2), (1, 1, 2)), ((30, 3), (7, 3))])
@pytest.mark.parametrize("p", [0, 1, 2, 2.5, INF])
def test_distances(shapes, p):
    a, b = (numbers(*s) for s in shapes)
    b = b + 1
    check(helper("cdist")(to_mx(a), to_mx(b), p), torch.cdist(a, b, p), atol=1e-5)
    exact = torch.cdist(a, b, p, compute_mode="donot_use_mm_for_euclid_dist")
    check(helper("cdist")(to_mx(a), to_mx(b), p, exact=True), exact)
    if a.ndim == 2:
        check(helper("pdist")(to_mx(a), p), torch.pdist(a, p))


OFFSETS = [[0, 3, 3, 5], [0], [0, 2, 7]]


@pytest.mark.parametrize("offsets", OFFSETS)
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 2])
@pytest.mark.parametrize("last", [False, True])
def test_embedding_bag(offsets, mode, padding_idx, last):
    weight, indices = numbers(10, 4), torch.randint(0, 4, (7,))
    offsets = torch.tensor([*offsets, 7] if last else offsets)
    options = {"mode": mode, "padding_idx": padding_idx, "include_last_offset": last}
    expected = torch.nn.functional.embedding_bag(indices, weight, offsets, **options)
    out = helper("embedding_bag")(to_mx(weight), to_mx(indices), to_mx(offsets), **options)
    check(out, expected)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag_of_rows(mode):
    weight, indices = numbers(10, 4), torch.randint(0, 10, (3, 5))
    expected = torch.nn.functional.embedding_bag(indices, weight, mode=mode)
    check(helper("embedding_bag")(to_mx(weight), to_mx(indices), mode=mode), expected)
    if mode == "sum":
        scale = torch.rand(3, 5)
        expected = torch.nn.functional.embedding_bag(
            indices, weight, mode=mode, per_sample_weights=scale
        )
        out = helper("embedding_bag")(
            to_mx(weight), to_mx(indices), mode=mode, per_sample_weights=to_mx(scale)
        )
        check(out, expected)


def test_mlx_has_these():
    """Functions that need no helper."""
    x, y = numbers(2, 40)
    check(mx.logaddexp(to_mx(x), to_mx(y)), torch.logaddexp(x, y))
    check(mx.remainder(to_mx(x), to_mx(y)), torch.remainder(x, y))
    check(mx.nan_to_num(to_mx(EDGES)), torch.nan_to_num(EDGES))
    check(mx.diff(to_mx(x), n=2), torch.diff(x, n=2))
    check(mx.logcumsumexp(to_mx(x), axis=0), torch.logcumsumexp(x, 0))
    small = torch.randint(1, 4, (5, 20))
    check(mx.cumprod(to_mx(small), axis=1), torch.cumprod(small, 1))
    check(mx.count_nonzero(to_mx(x > 0)).astype(mx.int64), torch.count_nonzero(x > 0))
    square = numbers(2, 3, 4, 5)
    for k in (-1, 0, 2):
        check(mx.tril(to_mx(square), k), torch.tril(square, k))
        check(mx.triu(to_mx(square), k), torch.triu(square, k))
    assert math.isclose(mx.logaddexp(mx.array(-INF), mx.array(-INF)).item(), -INF)
