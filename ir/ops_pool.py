"""Pooling over windows and over evenly divided axes, channels last: [N, *spatial, C]."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from .op import Attr, Op, tensor
from .ops_conv import plain, unless, window_count
from .tree import Layer, Tree, call, lift
from .types import I64, Tensor


def _infer_pool(
    x: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    dilation: Any = None,
    **attrs: Any,
) -> Tensor:
    holes = dilation or (1,) * len(kernel)
    sizes = [
        window_count(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(tensor(x).shape[1:-1], kernel, stride, padding, holes, strict=True)
    ]
    return x.with_shape(x.shape[0], *sizes, x.shape[-1])


def _infer_pool_places(x: Any, **attrs: Any) -> tuple[Tensor, Tensor]:
    out = _infer_pool(x, **attrs)
    return out, out.with_dtype(I64)


def _windows(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> list[list[int]]:
    """The places each window covers, those in the padding too."""
    count: Any = window_count(n, k, s, p, d, ceil_mode)
    return [[i * s - p + j * d for j in range(k)] for i in range(count)]


def _pooled(
    x: np.ndarray,
    windows: list[list[list[int]]],
    body: Callable[[np.ndarray, tuple[list[int], ...]], Any],
) -> np.ndarray:
    """`body(patch, places)` for each output place; the patch holds what lies inside the input."""
    sizes = x.shape[1:-1]
    rows = []
    for window in itertools.product(*windows):
        inside = tuple(
            [i for i in axis if 0 <= i < n] for axis, n in zip(window, sizes, strict=True)
        )
        patch = x[np.ix_(range(x.shape[0]), *inside, range(x.shape[-1]))]
        rows.append(body(patch, inside))
    shape = (*map(len, windows), x.shape[0], x.shape[-1])
    return np.moveaxis(np.stack(rows).reshape(shape), -2, 0)


def _plan(
    x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> list[list[list[int]]]:
    return [
        _windows(n, k, s, p, d, ceil_mode)
        for n, k, s, p, d in zip(x.shape[1:-1], kernel, stride, padding, dilation, strict=True)
    ]


def _spatial(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _max_pool(
    x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> np.ndarray:
    return _pooled(
        x,
        _plan(x, kernel, stride, padding, dilation, ceil_mode),
        lambda patch, _: patch.max(_spatial(patch)),
    )


def _flat_places(x: np.ndarray) -> Callable[[np.ndarray, tuple[list[int], ...]], np.ndarray]:
    """The place of each maximum in the flattened spatial axes."""
    sizes = x.shape[1:-1]

    def place(patch: np.ndarray, inside: tuple[list[int], ...]) -> np.ndarray:
        table = np.ravel_multi_index(np.meshgrid(*inside, indexing="ij"), sizes).ravel()
        return table[patch.reshape(patch.shape[0], -1, patch.shape[-1]).argmax(1)]

    return place


def _max_pool_with_indices(x: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    return _max_pool(x, **options), _pooled(x, _plan(x, **options), _flat_places(x)).astype(
        np.int64
    )


def _avg_pool(
    x: np.ndarray,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int,
) -> np.ndarray:
    plan = _plan(x, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    total = _pooled(x.astype(np.float64), plan, lambda patch, _: patch.sum(_spatial(patch)))
    for axis, (windows, n, p) in enumerate(zip(plan, x.shape[1:-1], padding, strict=True), 1):
        low, high = (-p, n + p) if count_include_pad else (0, n)
        counts = np.array([sum(low <= i < high for i in window) for window in windows])
        total = (
            total
            if divisor
            else total / counts.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        )
    return (total / divisor if divisor else total).astype(x.dtype)


def _pool_tree(node: Any, x: Tree) -> Tree:
    options: dict[str, Any] = {}
    if any(d != 1 for d in node.attrs.get("dilation", ())):
        options["dilation"] = node["dilation"]
    if node["ceil_mode"]:
        options["ceil_mode"] = True
    if not node.attrs.get("count_include_pad", True):
        options["count_include_pad"] = False
    if node.attrs.get("divisor"):
        options["divisor_override"] = node["divisor"]
    return call(f"runtime.{node.op}", x, node["kernel"], node["stride"], node["padding"], **options)


def _pool_layer(name: str) -> Callable[[Any], Layer | None]:
    def layer(node: Any) -> Layer | None:
        special = (
            node["ceil_mode"]
            or node.attrs.get("divisor")
            or not node.attrs.get("count_include_pad", True)
        )
        if special or any(d != 1 for d in node.attrs.get("dilation", ())):
            return None
        options = {} if node["stride"] == node["kernel"] else {"stride": plain(node["stride"])}
        options |= unless(0, padding=node["padding"])
        args = (lift(plain(node["kernel"])),)
        return Layer(
            f"nn.{name}{len(node['kernel'])}d",
            (),
            args,
            tuple((k, lift(v)) for k, v in options.items()),
        )

    return layer


_POOL = {"kernel": Attr("ints"), "stride": Attr("ints"), "padding": Attr("ints")}


_MAX_POOL = {**_POOL, "dilation": Attr("ints"), "ceil_mode": Attr("bool", False)}


def _infer_adaptive(x: Any, size: tuple[Any, ...]) -> Tensor:
    return tensor(x).with_shape(x.shape[0], *size, x.shape[-1])


def _adaptive_plan(x: np.ndarray, size: tuple[int, ...]) -> list[list[list[int]]]:
    return [
        [list(range(i * n // out, -(-(i + 1) * n // out))) for i in range(out)]
        for n, out in zip(x.shape[1:-1], size, strict=True)
    ]


def _adaptive_avg_pool(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return _pooled(
        x.astype(np.float64), _adaptive_plan(x, size), lambda patch, _: patch.mean(_spatial(patch))
    ).astype(x.dtype)


def _adaptive_max_pool(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return _pooled(x, _adaptive_plan(x, size), lambda patch, _: patch.max(_spatial(patch)))


def _adaptive_max_pool_with_indices(
    x: np.ndarray, size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    places = _pooled(x, _adaptive_plan(x, size), _flat_places(x)).astype(np.int64)
    return _adaptive_max_pool(x, size), places


ROWS = [
    Op(
        "max_pool",
        "x",
        _infer_pool,
        _pool_tree,
        _max_pool,
        _MAX_POOL,
        layer=_pool_layer("MaxPool"),
        doc="Largest of each window, channels last.",
    ),
    Op(
        "max_pool_with_indices",
        "x",
        _infer_pool_places,
        _pool_tree,
        _max_pool_with_indices,
        _MAX_POOL,
        several=True,
        doc="max_pool, and the places of the maxima in the flattened spatial axes.",
    ),
    Op(
        "avg_pool",
        "x",
        _infer_pool,
        _pool_tree,
        _avg_pool,
        {
            **_POOL,
            "ceil_mode": Attr("bool", False),
            "count_include_pad": Attr("bool", True),
            "divisor": Attr("int", 0),
        },
        layer=_pool_layer("AvgPool"),
        doc="Mean of each window, channels last; `divisor` takes the count's place.",
    ),
    Op(
        "adaptive_avg_pool",
        "x",
        _infer_adaptive,
        lambda n, x: call("runtime.adaptive_avg_pool", x, n["size"]),
        _adaptive_avg_pool,
        {"size": Attr("dims")},
        doc="Means over windows that divide each axis evenly.",
    ),
    Op(
        "adaptive_max_pool",
        "x",
        _infer_adaptive,
        lambda n, x: call("runtime.adaptive_max_pool", x, n["size"]),
        _adaptive_max_pool,
        {"size": Attr("dims")},
        doc="Maxima over windows that divide each axis evenly.",
    ),
    Op(
        "adaptive_max_pool_with_indices",
        "x",
        lambda x, size: (_infer_adaptive(x, size), _infer_adaptive(x, size).with_dtype(I64)),
        lambda n, x: call("runtime.adaptive_max_pool_with_indices", x, n["size"]),
        _adaptive_max_pool_with_indices,
        {"size": Attr("dims")},
        several=True,
        doc="adaptive_max_pool, and the places of the maxima.",
    ),
]
