"""C++ helpers that index, move, sort, resize and transform arrays, beside the Python ones.

One program holds all cases. A case is an expression of C++ and a function of Python over the same
inputs; cases with float inputs run in float32 and in bfloat16.
"""

import itertools
import math
import re
from dataclasses import dataclass

import cpp_program
import mlx.core as mx
import numpy as np
import pytest
from torch_reference import helper, runtime

RNG = np.random.default_rng(0)
PY = {
    name: helper(name)
    for name in runtime.helper_names()
    if not name[0].isupper() and name not in ("check_multiple", "check_shape", "check_size")
}


class _Helpers:
    """`h.sort(x)` is the Python helper."""

    def __getattr__(self, name):
        return PY[name]


h = _Helpers()


@dataclass(frozen=True)
class Case:
    label: str
    cpp: str
    python: object
    inputs: dict

    @property
    def dtypes(self):
        floating = any(v.dtype == mx.float32 for v in self.inputs.values())
        return ["float32", "bfloat16"] if floating else ["float32"]

    def in_dtype(self, dtype):
        """The inputs with floats in that dtype."""
        kind = getattr(mx, dtype)
        return {k: v.astype(kind) if v.dtype == mx.float32 else v for k, v in self.inputs.items()}


def f(*shape, low=-3.0, high=3.0):
    return mx.array(RNG.uniform(low, high, shape).astype(np.float32))


def i(*shape, low=0, high=3, dtype=np.int32):
    return mx.array(RNG.integers(low, high, shape).astype(dtype))


def distinct(rows, columns, axis):
    """Index arrays without a repeated place along an axis."""
    return mx.array(np.argsort(RNG.random((rows, columns)), axis).astype(np.int64))


def ints(*values, dtype=mx.int32):
    return mx.array(list(values), dtype)


def cpp_int(value):
    return "std::nullopt" if value is None else str(value)


# ---- the cases: (C++, Python, inputs)

X = f(4, 5)
CUBE = f(3, 4, 5)
MIXED = mx.array([0.0, -0.0, 1.5, -2.5, math.inf, -math.inf, math.nan, 3.0])


def slices():
    bounds = [None, 0, 2, -2, 9, -9]
    for start, stop, step in itertools.product(bounds, bounds, [1, 2, -1, -3]):
        rows = list(range(5)[slice(start, stop, step)])
        text = f"nn::slice(x, -1, {cpp_int(start)}, {cpp_int(stop)}, {step})"
        if rows:
            yield text, lambda x, rows=rows: x[:, mx.array(rows)], {"x": X}
        else:  # safetensors hold no empty array
            yield f"mx::sum({text}, 1)", lambda x: mx.zeros(4, x.dtype), {"x": X}


SUBSCRIPTS = [
    *slices(),
    ("nn::slice(x, 0, 1, 3)", lambda x: x[1:3], {"x": X}),
    ("mx::take(x, -2, 1)", lambda x: x[:, -2], {"x": CUBE}),
    ("mx::take(x, i, 0)", lambda x, i: x[i], {"x": CUBE, "i": ints(2, -1, 0)}),
    ("mx::expand_dims(x, {1, 3})", lambda x: x[:, None, :, None], {"x": X}),
    ("nn::index(x, {i})", lambda x, i: x[i], {"x": CUBE, "i": i(2, 2)}),
    (
        "nn::index(x, {i, j})",
        lambda x, i, j: x[i, j],
        {"x": CUBE, "i": i(2, 1, low=-3), "j": i(4, low=-4)},
    ),
    (
        "nn::index(x, {i, std::nullopt, j})",
        lambda x, i, j: x[i, :, j],
        {"x": CUBE, "i": i(2, 3), "j": i(3, dtype=np.int64)},
    ),
    (
        "nn::index(x, {std::nullopt, i, j})",
        lambda x, i, j: x[:, i, j],
        {"x": CUBE, "i": i(2, 3), "j": i(3)},
    ),
    (
        "nn::index(x, {std::nullopt, i})",
        lambda x, i: x[:, i],
        {"x": f(2, 3, 4, 5), "i": i(2, 3)},
    ),
    (
        "nn::index(x, {std::nullopt, i, std::nullopt, j})",
        lambda x, i, j: x[:, i, :, j],
        {"x": f(2, 3, 4, 5), "i": i(2, 1), "j": i(3)},
    ),
    ("nn::split<5>(x, -1)", lambda x: mx.split(x, 5, axis=-1), {"x": X}),
    ("nn::split<3>(x, {1, 3}, 0)", lambda x: mx.split(x, [1, 3], axis=0), {"x": X}),
    ("nn::split<2>(x, {3}, -1)", lambda x: mx.split(x, [3], axis=-1), {"x": X}),
    ("nn::unstack<4>(x, 0)", lambda x: list(x), {"x": X}),
]

CREATION = [
    ("mx::arange(5)", lambda: mx.arange(5), {}),
    ("mx::arange(2, 5)", lambda: mx.arange(2, 5), {}),
    ("mx::arange(9, -2, -3)", lambda: mx.arange(9, -2, -3), {}),
    ("mx::arange(5, mx::int64)", lambda: mx.arange(5, dtype=mx.int64), {}),
    ("mx::arange(1, 5, mx::float32)", lambda: mx.arange(1, 5, dtype=mx.float32), {}),
    ("mx::arange(1, 9, 2, mx::int64)", lambda: mx.arange(1, 9, 2, dtype=mx.int64), {}),
    ("mx::arange(0.5, 2.0, 0.1)", lambda: mx.arange(0.5, 2.0, 0.1), {}),
    ("mx::arange(3.0)", lambda: mx.arange(3.0), {}),
    ("mx::full({2, 3}, 0.5f, mx::bfloat16)", lambda: mx.full((2, 3), 0.5, dtype=mx.bfloat16), {}),
    ("mx::full({2}, 7, mx::int64)", lambda: mx.full((2,), 7, dtype=mx.int64), {}),
    ("mx::full({2}, true, mx::bool_)", lambda: mx.full((2,), True), {}),
    ("mx::zeros({2, 3})", lambda: mx.zeros((2, 3)), {}),
    ("mx::ones({2}, mx::int32)", lambda: mx.ones((2,), dtype=mx.int32), {}),
    ("mx::zeros({}, mx::float16)", lambda: mx.zeros((), dtype=mx.float16), {}),
    ("mx::array({1, 2, 3}, mx::int64)", lambda: mx.array([1, 2, 3], dtype=mx.int64), {}),
    ("mx::array({1, 2, 3}, mx::float16)", lambda: mx.array([1, 2, 3], dtype=mx.float16), {}),
    ("mx::array({4}, mx::int64)", lambda: mx.array([4], dtype=mx.int64), {}),
    ("mx::array({0.5f, 2.0f})", lambda: mx.array([0.5, 2.0]), {}),
    ("mx::array({0.5f})", lambda: mx.array([0.5]), {}),
    ("mx::array({true, false}, mx::bool_)", lambda: mx.array([True, False]), {}),
    ("mx::array(3, mx::int64)", lambda: mx.array(3, dtype=mx.int64), {}),
    ("mx::eye(3)", lambda: mx.eye(3), {}),
    ("mx::eye(3, mx::int32)", lambda: mx.eye(3, dtype=mx.int32), {}),
    ("mx::eye(2, 3, 0, mx::float16)", lambda: mx.eye(2, 3, dtype=mx.float16), {}),
    ("mx::linspace(0.0, 1.0, 7)", lambda: mx.linspace(0.0, 1.0, 7), {}),
    ("mx::linspace(0.0, 9.0, 4, mx::int32)", lambda: mx.linspace(0, 9, 4, dtype=mx.int32), {}),
]

SHAPES = [
    ("mx::transpose(x, {2, 0, 1})", lambda x: x.transpose(2, 0, 1), {"x": CUBE}),
    ("mx::transpose(x)", lambda x: x.T, {"x": X}),
    ("mx::reshape(x, {2, -1, 5})", lambda x: x.reshape(2, -1, 5), {"x": CUBE}),
    ("mx::squeeze(x, {0, 2})", lambda x: x.squeeze((0, 2)), {"x": f(1, 3, 1)}),
    ("mx::broadcast_to(x, {2, 4, 5})", lambda x: mx.broadcast_to(x, (2, 4, 5)), {"x": X}),
    ("mx::concatenate({x, x}, -1)", lambda x: mx.concatenate([x, x], axis=-1), {"x": X}),
    ("mx::stack({x, x}, 1)", lambda x: mx.stack([x, x], axis=1), {"x": X}),
    ("mx::flip(x, {0, 1})", lambda x: mx.flip(x, (0, 1)), {"x": X}),
    ("mx::flip(x, {1})", lambda x: mx.flip(x, (1,)), {"x": X}),
    ("mx::roll(x, {1, -2}, {0, 1})", lambda x: mx.roll(x, (1, -2), axis=(0, 1)), {"x": X}),
    ("mx::roll(x, {2}, {1})", lambda x: mx.roll(x, (2,), axis=(1,)), {"x": X}),
    ("mx::tile(x, {2, 1})", lambda x: mx.tile(x, (2, 1)), {"x": X}),
    ("mx::repeat(x, 2, -1)", lambda x: mx.repeat(x, 2, axis=-1), {"x": X}),
    (
        "mx::diagonal(x, 1, 0, -1)",
        lambda x: mx.diagonal(x, offset=1, axis1=0, axis2=-1),
        {"x": CUBE},
    ),
    ("nn::pad(x, {{1, 0}, {0, 2}})", lambda x: mx.pad(x, [(1, 0), (0, 2)]), {"x": X}),
    (
        'nn::pad(x, {{1, 0}, {0, 2}}, "constant", nn::Scalar(0.1f))',
        lambda x: mx.pad(x, [(1, 0), (0, 2)], constant_values=0.1),
        {"x": X},
    ),
    ('nn::pad(x, {{2, 1}}, "reflect")', lambda x: mx.pad(x, [(2, 1)], mode="reflect"), {"x": f(5)}),
    ('nn::pad(x, {{2, 1}}, "edge")', lambda x: mx.pad(x, [(2, 1)], mode="edge"), {"x": i(5)}),
    (
        "nn::pad_circular(x, {{-1, 2}, {3, 1}})",
        lambda x: h.pad_circular(x, [(-1, 2), (3, 1)]),
        {"x": X},
    ),
    ("nn::crop(x, {{-1, 2}, {0, -3}})", lambda x: h.crop(x, [(-1, 2), (0, -3)]), {"x": X}),
    (
        'nn::pad_or_crop(x, {{-1, 2}, {0, -3}}, "constant", 0.3f)',
        lambda x: h.pad_or_crop(x, [(-1, 2), (0, -3)], "constant", 0.3),
        {"x": X},
    ),
    (
        'nn::pad_or_crop(x, {{-1, 2}, {1, -3}}, "edge")',
        lambda x: h.pad_or_crop(x, [(-1, 2), (1, -3)], "edge"),
        {"x": X},
    ),
    ("nn::unfold(x, 1, 3, 1)", lambda x: h.unfold(x, 1, 3, 1), {"x": CUBE}),
    ("nn::unfold(x, -1, 2, 2)", lambda x: h.unfold(x, -1, 2, 2), {"x": CUBE}),
    ("nn::unfold(x, 0, 2, 3)", lambda x: h.unfold(x, 0, 2, 3), {"x": f(7)}),
    (
        "nn::repeat_interleave(x, r, 1, 7)",
        lambda x, r: h.repeat_interleave(x, r, 1, 7),
        {"x": X, "r": ints(1, 0, 3, 2, 1, dtype=mx.int64)},
    ),
    ("nn::pixel_shuffle(x, 2)", lambda x: h.pixel_shuffle(x, 2), {"x": f(2, 3, 4, 8)}),
    ("nn::pixel_shuffle(x, 3)", lambda x: h.pixel_shuffle(x, 3), {"x": f(2, 2, 9)}),
    ("nn::pixel_unshuffle(x, 2)", lambda x: h.pixel_unshuffle(x, 2), {"x": f(2, 4, 6, 3)}),
    ("nn::im2col(x, {2, 3})", lambda x: h.im2col(x, (2, 3)), {"x": f(2, 3, 5, 6)}),
    (
        "nn::im2col(x, {2, 3}, {1, 2}, {1, 2}, {2, 1})",
        lambda x: h.im2col(x, (2, 3), (1, 2), (1, 2), (2, 1)),
        {"x": f(3, 5, 6)},
    ),
    (
        "nn::col2im(x, {4, 5}, {2, 2})",
        lambda x: h.col2im(x, (4, 5), (2, 2)),
        {"x": f(2, 12, 12)},
    ),
    (
        "nn::col2im(x, {5, 6}, {2, 3}, {1, 2}, {1, 2}, {2, 1})",
        lambda x: h.col2im(x, (5, 6), (2, 3), (1, 2), (1, 2), (2, 1)),
        {"x": f(18, 18)},
    ),
]

SMALL = f(3, 4)
PLACES = distinct(3, 4, 0)
MANY = i(4, 3, high=3)
SCATTER = [
    ("nn::gather(x, 0, i)", lambda x, i: h.gather(x, 0, i), {"x": X, "i": i(6, 3, high=4)}),
    ("nn::gather(x, -1, i)", lambda x, i: h.gather(x, -1, i), {"x": X, "i": i(2, 7, high=5)}),
    (
        "nn::scatter(x, 0, i, s)",
        lambda x, i, s: h.scatter(x, 0, i, s),
        {"x": X, "i": PLACES, "s": f(5, 6)},
    ),
    (
        "nn::scatter(x, -1, i, nn::Scalar(2.3f))",
        lambda x, i: h.scatter(x, -1, i, 2.3),
        {"x": X, "i": MANY},
    ),
    (
        "nn::scatter(x, 0, i, nn::Scalar(2))",
        lambda x, i: h.scatter(x, 0, i, 2),
        {"x": i(4, 3), "i": MANY},
    ),
    (
        "nn::scatter_add(x, 0, i, s)",
        lambda x, i, s: h.scatter_add(x, 0, i, s),
        {"x": X, "i": MANY, "s": f(4, 5)},
    ),
    *(
        (
            f'nn::scatter_reduce(x, {axis}, i, s, "{reduce}", {str(include).lower()})',
            lambda x, i, s, args=(axis, reduce, include): h.scatter_reduce(
                x, args[0], i, s, args[1], args[2]
            ),
            {"x": make(4, 4), "i": MANY, "s": make(4, 4)},
        )
        for axis, reduce, include, make in itertools.product(
            [0, -1], ["sum", "prod", "mean", "amax", "amin"], [True, False], [f, i]
        )
    ),
    (
        'nn::scatter_reduce(x, 0, i, s, "amin", false)',
        lambda x, i, s: h.scatter_reduce(x, 0, i, s, "amin", False),
        {"x": i(4, 4, dtype=np.int64), "i": MANY, "s": i(4, 4, dtype=np.int64)},
    ),
    (
        "nn::index_add(x, 1, i, s)",
        lambda x, i, s: h.index_add(x, 1, i, s),
        {"x": X, "i": ints(0, 2, 0), "s": f(4, 3)},
    ),
    (
        "nn::index_add(x, -1, i, s, 0.7f)",
        lambda x, i, s: h.index_add(x, -1, i, s, 0.7),
        {"x": X, "i": ints(0, 2, -1), "s": f(4, 3)},
    ),
    (
        "nn::index_copy(x, 0, i, s)",
        lambda x, i, s: h.index_copy(x, 0, i, s),
        {"x": X, "i": ints(3, 1), "s": f(2, 5)},
    ),
    (
        "nn::index_copy(x, -1, i, nn::Scalar(0.1f))",
        lambda x, i: h.index_copy(x, -1, i, 0.1),
        {"x": CUBE, "i": ints(3, 1)},
    ),
    (
        "nn::index_put(x, {i}, v)",
        lambda x, i, v: h.index_put(x, (i,), v),
        {"x": X, "i": ints(3, 1), "v": f(2, 5)},
    ),
    (
        "nn::index_put(x, {i, j}, v)",
        lambda x, i, j, v: h.index_put(x, (i, j), v),
        {"x": X, "i": ints(3, 1), "j": ints(0, 4), "v": f(2)},
    ),
    (
        "nn::index_put(x, {i, std::nullopt, j}, v, true)",
        lambda x, i, j, v: h.index_put(x, (i, None, j), v, accumulate=True),
        {"x": CUBE, "i": ints(0, 2, 0), "j": ints(1, 1, 1), "v": f(3, 4)},
    ),
    (
        "nn::index_put(x, {std::nullopt, i, j}, v)",
        lambda x, i, j, v: h.index_put(x, (None, i, j), v),
        {"x": CUBE, "i": ints(3, 1), "j": ints(0, 4), "v": f(3, 2)},
    ),
    (
        "nn::index_put(x, {i}, nn::Scalar(0.3f), true)",
        lambda x, i: h.index_put(x, (i,), 0.3, True),
        {"x": X, "i": ints(1, 1)},
    ),
    (
        "nn::index_put(x, {m}, nn::Scalar(0.3f))",
        lambda x, m: h.index_put(x, (m,), 0.3),
        {"x": X, "m": X > 0},
    ),
    (
        "nn::index_put(x, {m}, nn::Scalar(1.5f), true)",
        lambda x, m: h.index_put(x, (m,), 1.5, True),
        {"x": X, "m": mx.array([True, False, True, False])},
    ),
    (
        "nn::index_put(x, {m}, v)",
        lambda x, m, v: h.index_put(x, (m,), v),
        {"x": X, "m": X > 0, "v": f(int(mx.sum(X > 0)))},
    ),
    (
        "nn::index_put(x, {m}, v, true)",
        lambda x, m, v: h.index_put(x, (m,), v, True),
        {"x": X, "m": mx.array([True, False, True, False]), "v": f(2, 5)},
    ),
    (
        "nn::index_put(x, {m}, v)",
        lambda x, m, v: h.index_put(x, (m,), v),
        {"x": X, "m": mx.array([True, False, True, False]), "v": f(5)},
    ),
    (
        "nn::index_put(x, {m}, v)",
        lambda x, m, v: h.index_put(x, (m,), v),
        {"x": X, "m": mx.array([True, False, True, False]), "v": f(2, 1)},
    ),
    (
        "nn::masked_scatter(x, m, s)",
        lambda x, m, s: h.masked_scatter(x, m, s),
        {"x": X, "m": mx.array([True, False, True, False, True]), "s": f(4, 5)},
    ),
    (
        "nn::select_scatter(x, s, 1, -2)",
        lambda x, s: h.select_scatter(x, s, 1, -2),
        {"x": CUBE, "s": f(3, 5)},
    ),
    (
        "nn::slice_scatter(x, s, 1, 1, std::nullopt, 2)",
        lambda x, s: h.slice_scatter(x, s, 1, 1, None, 2),
        {"x": CUBE, "s": f(3, 2, 5)},
    ),
    (
        "nn::slice_scatter(x, s, -1, -3, 20)",
        lambda x, s: h.slice_scatter(x, s, -1, -3, 20),
        {"x": CUBE, "s": f(3, 4, 3)},
    ),
    *(
        (
            f"nn::diag_embed(x, {offset}, {a}, {b})",
            lambda x, at=(offset, a, b): h.diag_embed(x, *at),
            {"x": SMALL},
        )
        for offset, a, b in [(0, -2, -1), (2, 0, 1), (-1, -1, 0)]
    ),
    *(
        (
            f"nn::diagonal_scatter(x, s, {offset}, {a}, {b})",
            lambda x, s, at=(offset, a, b): h.diagonal_scatter(x, s, *at),
            {"x": CUBE, "s": f(*size)},
        )
        for offset, a, b, size in [(0, 0, 1, (5, 3)), (1, 1, 2, (3, 4)), (-1, 2, 0, (4, 3))]
    ),
]

TIES = mx.array([[2.0, 1.0, 2.0, math.nan, 1.0], [0.0, 3.0, 0.0, 3.0, -1.0]])
ORDER = [
    *(
        (
            f"nn::{name}({call})",
            lambda x, name=name, args=args: PY[name](x, *args),
            {"x": x},
        )
        for x in (TIES, i(3, 5))
        for name, call, args in [
            ("sort", "x", ()),
            ("sort", "x, 0, true", (0, True)),
            ("sort", "x, -1, true", (-1, True)),
            ("topk", "x, 2", (2,)),
            ("topk", "x, 2, 0, false", (2, 0, False)),
            ("kthvalue", "x, 2", (2,)),
            ("kthvalue", "x, 1, 0, true", (1, 0, True)),
            ("median", "x", ()),
            ("median", "x, 0, true", (0, True)),
            ("cummax", "x, 1", (1,)),
            ("cummin", "x, -2", (-2,)),
        ]
    ),
    *(
        (
            f"nn::searchsorted(e, x, {str(right).lower()})",
            lambda e, x, right=right: h.searchsorted(e, x, right),
            {"e": mx.sort(mx.round(f(2, 7)), axis=-1), "x": mx.round(f(2, 9))},
        )
        for right in (False, True)
    ),
    ("nn::histc(x, 5)", lambda x: h.histc(x, 5), {"x": f(40)}),
    ("nn::histc(x, 4, -1.5f, 2.0f)", lambda x: h.histc(x, 4, -1.5, 2.0), {"x": f(40)}),
    ("mx::argsort(x, -1)", lambda x: mx.argsort(x, axis=-1), {"x": X}),
    ("mx::argmax(x, 0, true)", lambda x: mx.argmax(x, axis=0, keepdims=True), {"x": X}),
    ("mx::sum(x, {0, 2})", lambda x: mx.sum(x, axis=(0, 2)), {"x": CUBE}),
    ("mx::max(x, {1, 2}, true)", lambda x: mx.max(x, axis=(1, 2), keepdims=True), {"x": CUBE}),
    ("mx::mean(x, true)", lambda x: mx.mean(x, keepdims=True), {"x": X}),
    ("mx::var(x, -1, false, 1)", lambda x: mx.var(x, axis=-1, ddof=1), {"x": X}),
    ("mx::var(x, false, 1)", lambda x: mx.var(x, ddof=1), {"x": X}),
    ("mx::cumsum(x, -1)", lambda x: mx.cumsum(x, axis=-1), {"x": X}),
    ("mx::logcumsumexp(x, 0)", lambda x: mx.logcumsumexp(x, axis=0), {"x": X}),
    ("mx::softmax(x, -1, true)", lambda x: mx.softmax(x, axis=-1, precise=True), {"x": X}),
    (
        'mx::searchsorted(e, x, "right")',
        lambda e, x: mx.searchsorted(e, x, side="right"),
        {"e": mx.sort(f(7)), "x": X},
    ),
    (
        "mx::linalg::norm(x, -1, true)",
        lambda x: mx.linalg.norm(x, axis=-1, keepdims=True),
        {"x": X},
    ),
    (
        "mx::linalg::norm(x, std::vector<int>{0, 1}, true)",
        lambda x: mx.linalg.norm(x, axis=(0, 1), keepdims=True),
        {"x": CUBE},
    ),
    ("mx::linalg::norm(x)", lambda x: mx.linalg.norm(x), {"x": X}),
    ('mx::einsum("ij,kj->ik", {x, x})', lambda x: mx.einsum("ij,kj->ik", x, x), {"x": X}),
    (
        "mx::gather_mm(mx::astype(x, mx::float32), mx::ones({3, 5, 2}), std::nullopt, i)",
        lambda x, i: mx.gather_mm(x.astype(mx.float32), mx.ones((3, 5, 2)), rhs_indices=i),
        {"x": f(4, 1, 5), "i": i(4, dtype=np.uint32)},
    ),
]

NUMBERS = [
    *(
        (
            f"nn::{name}({text})",
            lambda x, name=name, order=order: getattr(mx, name)(*order(x)),
            {"x": x},
        )
        for x, number in ((X, 0.3), (i(4, 5, low=-3), 2), (i(4, 5), 1.5))
        for name in ("maximum", "minimum", "arctan2", "logaddexp", "power", "remainder")
        for text, order in (
            (f"x, nn::Scalar({number})", lambda x, n=number: (x, n)),
            (f"nn::Scalar({number}), x", lambda x, n=number: (n, x)),
        )
        if not (name == "power" and number == 2)
        and not (name == "power" and number == 0.3 and text.startswith("x"))
    ),
    ("nn::where(x > 0, x, nn::Scalar(0.3f))", lambda x: mx.where(x > 0, x, 0.3), {"x": X}),
    ("nn::where(x > 0, nn::Scalar(1), x)", lambda x: mx.where(x > 0, 1, x), {"x": X}),
    (
        "nn::where(x > 0, nn::Scalar(0.0f), nn::Scalar(-2.5f))",
        lambda x: mx.where(x > 0, 0.0, -2.5),
        {"x": X},
    ),
    (
        "nn::where(x > 0, nn::Scalar(1), nn::Scalar(0))",
        lambda x: mx.where(x > 0, 1, 0),
        {"x": i(4, 4, low=-2)},
    ),
    ("nn::clip(x, nn::Scalar(-1), std::nullopt)", lambda x: mx.clip(x, -1, None), {"x": X}),
    (
        "nn::clip(x, nn::Scalar(-0.7f), nn::Scalar(0.3f))",
        lambda x: mx.clip(x, -0.7, 0.3),
        {"x": X},
    ),
    ("nn::clip(x, y, nn::Scalar(1))", lambda x, y: mx.clip(x, y, 1), {"x": X, "y": f(4, 5)}),
    ("nn::clip(x, std::nullopt, y)", lambda x, y: mx.clip(x, None, y), {"x": X, "y": f(4, 5)}),
]

SIGNS = f(4, 5)
SPECIAL = [
    ("nn::angle(x)", lambda x: h.angle(x), {"x": MIXED}),
    ("nn::round_to_bytes(x)", lambda x: h.round_to_bytes(x), {"x": X}),
    ("nn::fake_quantize(x, 0.02f)", lambda x: h.fake_quantize(x, 0.02), {"x": X}),
    (
        "nn::fake_quantize(x, 0.02f, 3.0f, -8.0f, 7.0f)",
        lambda x: h.fake_quantize(x, 0.02, 3, -8, 7),
        {"x": X},
    ),
    ("nn::round_to_bytes(x)", lambda x: h.round_to_bytes(x), {"x": mx.zeros(3)}),
    ("nn::copysign(x, y)", lambda x, y: h.copysign(x, y), {"x": f(8), "y": MIXED}),
    ("nn::hypot(x, y)", lambda x, y: h.hypot(x, y), {"x": f(8), "y": MIXED}),
    ("nn::hypot(x, y)", lambda x, y: h.hypot(x, y), {"x": mx.zeros(3), "y": mx.zeros(3)}),
    ("nn::fmod(x, y)", lambda x, y: h.fmod(x, y), {"x": X, "y": SIGNS}),
    ("nn::fmod(x, nn::Scalar(-1.7f))", lambda x: h.fmod(x, -1.7), {"x": X}),
    ("nn::fmod(x, nn::Scalar(3))", lambda x: h.fmod(x, 3), {"x": i(9, low=-9, high=9)}),
    ("nn::trunc_divide(x, y)", lambda x, y: h.trunc_divide(x, y), {"x": X, "y": SIGNS}),
    ("nn::trunc_divide(x, nn::Scalar(0.7f))", lambda x: h.trunc_divide(x, 0.7), {"x": X}),
    (
        "nn::trunc_divide(x, nn::Scalar(-3))",
        lambda x: h.trunc_divide(x, -3),
        {"x": i(9, low=-9, high=9)},
    ),
    (
        "nn::int_power(x, y)",
        lambda x, y: h.int_power(x, y),
        {"x": i(20, low=-3), "y": i(20, low=-3, high=4)},
    ),
    (
        "nn::xlogy(x, y)",
        lambda x, y: h.xlogy(x, y),
        {"x": mx.array([0.0, 0.0, 2.0, 0.5]), "y": mx.array([0.0, math.nan, 3.0, 0.1])},
    ),
    ("nn::frexp(x)", lambda x: h.frexp(x), {"x": mx.concatenate([MIXED, f(9), mx.array([1e-40])])}),
    ("nn::erfc(x)", lambda x: h.erfc(x), {"x": f(30, low=-4, high=9)}),
    ("nn::digamma(x)", lambda x: h.digamma(x), {"x": f(30, low=-4, high=9)}),
    ("nn::digamma(x)", lambda x: h.digamma(x), {"x": mx.array([0.0, -1.0, -2.0, 1.0])}),
    ("nn::lgamma(x)", lambda x: h.lgamma(x), {"x": f(40, low=-4, high=20)}),
    ("nn::lgamma(x)", lambda x: h.lgamma(x), {"x": mx.array([math.inf, 1.0, 2.0, 1e4])}),
    ("nn::cdist(x, y)", lambda x, y: h.cdist(x, y), {"x": f(2, 4, 3), "y": f(2, 5, 3)}),
    ("nn::cdist(x, y)", lambda x, y: h.cdist(x, y), {"x": f(30, 3), "y": f(5, 3)}),
    (
        "nn::cdist(x, y, 2, true)",
        lambda x, y: h.cdist(x, y, 2, True),
        {"x": f(30, 3), "y": f(5, 3)},
    ),
    (
        "nn::cdist(x, y, 1.0f)",
        lambda x, y: h.cdist(x, y, 1.0),
        {"x": f(2, 4, 3), "y": f(2, 5, 3)},
    ),
    ("nn::pdist(x)", lambda x: h.pdist(x), {"x": f(5, 3)}),
    ("nn::pdist(x, 3.0f)", lambda x: h.pdist(x, 3.0), {"x": f(5, 3)}),
]

TABLE = f(6, 4)
BAGS = [
    (
        f"nn::embedding_bag(w, i, {offsets}, {call})",
        lambda w, i, o, args=args: h.embedding_bag(w, i, o, *args),
        {"w": TABLE, "i": i(9, high=6), "o": ints(0, 2, 2, 7, dtype=mx.int64)},
    )
    for offsets, call, args in [
        ("o", '"sum"', ("sum",)),
        ("o", '"mean"', ("mean",)),
        ("o", '"max"', ("max",)),
        ("o", '"mean", std::nullopt, 3', ("mean", None, 3)),
        ("o", '"sum", std::nullopt, std::nullopt, true', ("sum", None, None, True)),
    ]
]
BAGS += [
    (
        "nn::embedding_bag(w, i)",
        lambda w, i: h.embedding_bag(w, i),
        {"w": TABLE, "i": i(3, 4, high=6, dtype=np.int64)},
    ),
    (
        'nn::embedding_bag(w, i, o, "sum", p)',
        lambda w, i, o, p: h.embedding_bag(w, i, o, "sum", p),
        {"w": TABLE, "i": i(9, high=6), "o": ints(0, 2, 4), "p": f(9)},
    ),
]

IMAGE = f(2, 5, 7, 3)
LINE = f(2, 6, 3)
VOLUME = f(1, 3, 4, 2, 2)


def resizes():
    sizes = [(LINE, (9,)), (IMAGE, (8, 3)), (IMAGE, (5, 14)), (VOLUME, (4, 2, 5))]
    for x, size in sizes:
        text = "{" + ", ".join(map(str, size)) + "}"
        yield f"nn::interpolate_nearest(x, {text})", "nearest", x, (size,), {}
        yield (
            f"nn::interpolate_nearest(x, {text}, std::nullopt, true)",
            *("nearest", x, (size,), {"exact": True}),
        )
        yield f"nn::interpolate_linear(x, {text})", "linear", x, (size,), {}
        yield f"nn::interpolate_linear(x, {text}, true)", "linear", x, (size, True), {}
    for corners, size in itertools.product([False, True], [(8, 3), (1, 14)]):
        text = "{" + ", ".join(map(str, size)) + "}, "
        flag = str(corners).lower()
        yield f"nn::interpolate_cubic(x, {text}{flag})", "cubic", IMAGE, (size, corners), {}
        for mode in ("bilinear", "bicubic"):
            yield (
                f'nn::interpolate_antialias(x, {text}"{mode}", {flag})',
                *("antialias", IMAGE, (size, mode, corners), {}),
            )
    for name in ("nearest", "linear", "cubic", "antialias"):
        gap = {"nearest": "", "antialias": '"bilinear", false, '}.get(name, "false, ")
        yield (
            f"nn::interpolate_{name}(x, {{6, 11}}, {gap}{{1.3, std::nullopt}})",
            *(name, IMAGE, ((6, 11),), {"scale": (1.3, None)}),
        )
    yield (
        "nn::interpolate_linear(x, {7}, false, {1.2})",
        *("linear", LINE, ((7,),), {"scale": (1.2,)}),
    )


RESIZING = [
    (
        text,
        lambda x, name=name, args=args, options=options: PY[f"interpolate_{name}"](
            x, *args, **options
        ),
        {"x": x},
    )
    for text, name, x, args, options in resizes()
]
RESIZING += [
    (
        f'nn::grid_sample(x, g, "{mode}", "{padding}", {str(corners).lower()})',
        lambda x, g, args=(mode, padding, corners): h.grid_sample(x, g, *args),
        {"x": IMAGE, "g": f(2, 4, 3, 2, low=-1.6, high=1.6)},
    )
    for mode, padding, corners in itertools.product(
        ["bilinear", "nearest", "bicubic"], ["zeros", "border", "reflection"], [False, True]
    )
]
RESIZING += [
    (
        "nn::grid_sample(x, g)",
        lambda x, g: h.grid_sample(x, g),
        {"x": VOLUME, "g": f(1, 2, 3, 2, 3, low=-1.3, high=1.3)},
    ),
]


def transforms():
    for name, call, options in [
        ("fft", "a", {}),
        ("fft", 'a, 6, 0, "ortho"', {"n": 6, "axis": 0, "norm": "ortho"}),
        ("ifft", 'a, std::nullopt, -1, "forward"', {"norm": "forward"}),
        ("rfft", "x, std::nullopt, 0", {"axis": 0}),
        ("rfft", "x", {}),
        ("irfft", "a, 7", {"n": 7}),
        ("fftn", "a, std::nullopt, std::vector<int>{0, 1}", {"axes": (0, 1)}),
        ("ifftn", "a", {}),
        ("rfftn", "x", {}),
        (
            "irfftn",
            'a, mx::Shape{4, 7}, std::vector<int>{0, 1}, "ortho"',
            {"s": (4, 7), "axes": (0, 1), "norm": "ortho"},
        ),
    ]:
        real = call.startswith("x")
        inputs = {"x": i(4, 7, low=-9, high=9)} if real else {"x": i(4, 5, 2, low=-9, high=9)}
        value = "mx::astype(x, mx::float32)"
        value = value if real else f"nn::view_as_complex({value})"
        call = value + call[1:]

        def run(x, name=name, real=real, options=options):
            x = x.astype(mx.float32)
            return getattr(mx.fft, name)(x if real else h.view_as_complex(x), **options)

        yield f"nn::{name}({call})", run, inputs


SIGNAL = mx.array(RNG.integers(-9, 9, 64).astype(np.int32))
WINDOW = mx.array(np.array([1, 2, 4, 5, 5, 4, 2, 1], np.int32))
_WAVE = "mx::astype(x, mx::float32)"
_SHAPE = "mx::astype(w, mx::float32)"
FOURIER = [
    *transforms(),
    (
        f"nn::stft({_WAVE}, 8)",
        lambda x: mx.fft.stft(x.astype(mx.float32), 8),
        {"x": SIGNAL},
    ),
    (
        f'nn::stft({_WAVE}, 8, 3, 8, {_SHAPE}, false, "reflect", "ortho", false)',
        lambda x, w: mx.fft.stft(
            x.astype(mx.float32),
            8,
            hop_length=3,
            win_length=8,
            window=w.astype(mx.float32),
            center=False,
            norm="ortho",
            onesided=False,
        ),
        {"x": SIGNAL, "w": WINDOW},
    ),
    (
        f"nn::istft(nn::stft({_WAVE}, 8, 2, std::nullopt, {_SHAPE}), 8, 2, std::nullopt, {_SHAPE})",
        lambda x, w: mx.fft.istft(
            mx.fft.stft(x.astype(mx.float32), 8, hop_length=2, window=w.astype(mx.float32)),
            8,
            hop_length=2,
            window=w.astype(mx.float32),
        ),
        {"x": SIGNAL, "w": WINDOW},
    ),
    (
        f"nn::view_as_real(nn::view_as_complex({_WAVE}))",
        lambda x: h.view_as_real(h.view_as_complex(x.astype(mx.float32))),
        {"x": i(3, 2)},
    ),
    (
        f"nn::polar({_WAVE}, {_SHAPE})",
        lambda x, w: h.polar(x.astype(mx.float32), w.astype(mx.float32)),
        {"x": i(8), "w": WINDOW},
    ),
    (
        f"nn::angle(nn::view_as_complex({_WAVE}))",
        lambda x: h.angle(h.view_as_complex(x.astype(mx.float32))),
        {"x": i(8, 2, low=-3)},
    ),
]

GROUPS = {
    "subscript": SUBSCRIPTS,
    "create": CREATION,
    "shape": SHAPES,
    "scatter": SCATTER,
    "order": ORDER,
    "number": NUMBERS,
    "special": SPECIAL,
    "bag": BAGS,
    "resize": RESIZING,
    "fourier": FOURIER,
}
CASES = [
    Case(f"{group}{number}", *row)
    for group, rows in GROUPS.items()
    for number, row in enumerate(rows)
]

# What is refused, and the message.
REFUSALS = [
    (
        'nn::check_input("ids", mx::zeros({2, 3}), {2, 4}, mx::float32)',
        "ids has shape (2, 3), expected (2, 4)",
    ),
    (
        'nn::check_input("ids", mx::zeros({2, 3}), {-1, 3, 4}, mx::float32)',
        "ids has shape (2, 3), expected (any, 3, 4)",
    ),
    (
        'nn::check_input("ids", mx::zeros({2}), {-1}, mx::int64)',
        "ids has dtype float32, expected int64",
    ),
    (
        'nn::check_input("mask", mx::zeros({2}, mx::int32), {2}, mx::bool_)',
        "mask has dtype int32, expected bool",
    ),
    ('nn::check_input("x", mx::zeros({2}, mx::float16), {2}, mx::float32)', ""),
    ('nn::check_input("x", mx::zeros({2, 9}, mx::int32), {2, -1}, mx::int64)', ""),
    ('nn::check_size("length", 9, 1, 8)', "length is 9, it must be between 1 and 8"),
    ('nn::check_size("length", 0, 1, std::nullopt)', "length is 0, it must be at least 1"),
    ('nn::check_size("length", 8, 1, 8)', ""),
    (
        'nn::check_multiple("x", mx::zeros({2, 30}), 1, 4)',
        "x has shape (2, 30): axis 1 must be a multiple of 4",
    ),
    (
        'nn::check_multiple("x", mx::zeros({2, 30}), 1, 4, 1)',
        "x has shape (2, 30): axis 1 must be a multiple of 4 plus 1",
    ),
    ('nn::check_multiple("x", mx::zeros({2, 30}), 0, 2)', ""),
    ('nn::check_multiple("x", mx::zeros({2, 30}), 1, 4, 2)', ""),
    (
        'nn::check_range("ids", mx::array({3, -1}), 0, 5)',
        "ids holds -1, it must hold 0 to 4",
    ),
    (
        'nn::check_range("ids", mx::array({3, 5}, mx::int64), -5, 5)',
        "ids holds 5, it must hold -5 to 4",
    ),
    ('nn::check_range("ids", mx::array({0, 4}, mx::uint8), 0, 5)', ""),
    ('nn::check_range("ids", mx::zeros({0}, mx::int32), 0, 5)', ""),
    ("nn::slice(mx::zeros({2}), 0, 0, 1, 0)", "slice: the step must not be 0"),
    ("nn::split<3>(mx::zeros({4}), {1}, 0)", "expected 3 parts, got 2"),
    ('nn::rfft(mx::zeros({4}), 4, -1, "unit")', 'fft: unknown norm "unit"'),
]


def in_program(case):
    """The expression with the inputs as the program knows them: x[0], x[1] ..."""
    places = {name: f"x[{k}]" for k, name in enumerate(case.inputs)}
    return re.sub(r"\b(\w)\b", lambda word: places.get(word[0], word[0]), case.cpp)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """The results of each "case/dtype", or the message of what it threw."""
    if cpp_program.COMPILER is None:
        pytest.skip("there is no C++ compiler")
    cases = {case.label: in_program(case) for case in CASES}
    cases |= {f"refusal{k}": f"({text}, Arrays())" for k, (text, _) in enumerate(REFUSALS)}
    names = sorted(set(re.findall(r"nn::(\w+)", " ".join(cases.values()))))
    program, warnings = cpp_program.build(tmp_path_factory.mktemp("cpp"), cases, names)
    inputs = {
        f"{case.label}/{dtype}": list(case.in_dtype(dtype).values())
        for case in CASES
        for dtype in case.dtypes
    }
    inputs |= {f"refusal{k}/none": [] for k in range(len(REFUSALS))}
    return {"warnings": warnings, **cpp_program.run(program, inputs)}


def test_no_warnings(outputs):
    assert outputs["warnings"] == ""


@pytest.mark.parametrize(
    ("case", "dtype"),
    [(c, d) for c in CASES for d in c.dtypes],
    ids=lambda v: getattr(v, "label", v),
)
def test_same_as_python(case, dtype, outputs):
    expected = case.python(**case.in_dtype(dtype))
    expected = expected if isinstance(expected, (list, tuple)) else [expected]
    found = outputs[f"{case.label}/{dtype}"]
    assert isinstance(found, list), f"{case.cpp}: {found}"
    for got, value in zip(found, expected, strict=True):
        assert (got.dtype, got.shape) == (value.dtype, value.shape), case.cpp
        half = value.dtype in (mx.bfloat16, mx.float16)
        wide = [
            np.array(v if v.dtype == mx.complex64 else v.astype(mx.float32)) for v in (got, value)
        ]
        tolerance = {"rtol": 8e-3, "atol": 1e-3} if half else {"rtol": 1e-5, "atol": 1e-5}
        np.testing.assert_allclose(*wide, **tolerance, err_msg=case.cpp)


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_refusals(number, outputs):
    assert (outputs[f"refusal{number}/none"] or "") == REFUSALS[number][1]
