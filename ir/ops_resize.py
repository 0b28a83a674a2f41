"""Resizing and sampling of images and sequences, channels last: [N, *spatial, C]."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from .op import Attr, InferError, Op, equal, tensor
from .tree import Tree, call
from .types import Tensor


def _infer_interpolate(x: Any, size: tuple[Any, ...], **attrs: Any) -> Tensor:
    if len(size) != tensor(x).rank - 2:
        raise InferError(f"interpolate to {size} got {x}")
    return x.with_shape(x.shape[0], *size, x.shape[-1])


def _interpolate_tree(node: Any, x: Tree) -> Tree:
    mode = node["mode"]
    options: dict[str, Any] = {}
    if node["align_corners"]:
        options["align_corners"] = True
    if any(node["scales"]):
        options["scale"] = tuple(s or None for s in node["scales"])
    if mode == "nearest-exact":
        options["exact"] = True
    if node["antialias"]:
        kind = {} if mode == "linear" else {"mode": "bicubic"}
        return call("runtime.interpolate_antialias", x, node["size"], **kind, **options)
    name = {"nearest-exact": "nearest"}.get(mode, mode)
    return call(f"runtime.interpolate_{name}", x, node["size"], **options)


def _positions(n: int, out: int, align_corners: bool, scale: float) -> np.ndarray:
    i = np.arange(out, dtype=np.float64)
    if align_corners:
        return i * ((n - 1) / (out - 1) if out > 1 else 0)
    return (i + 0.5) * (1 / scale if scale else n / out) - 0.5


def _axis_weights(n: int, out: int, mode: str, align_corners: bool, scale: float) -> np.ndarray:
    """The matrix [out, n] that resizes one axis."""
    matrix = np.zeros((out, n))
    rows = np.arange(out)
    if mode.startswith("nearest"):
        ratio = 1 / scale if scale else n / out
        places = np.floor((rows + (0.5 if mode == "nearest-exact" else 0)) * np.float32(ratio))
        matrix[rows, np.minimum(places.astype(int), n - 1)] = 1
        return matrix
    at = _positions(n, out, align_corners, scale)
    if mode == "linear":
        at = np.clip(at, 0, None)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        taps = [(low, 1 - (at - low)), (np.minimum(low + 1, n - 1), at - low)]
    else:
        low, t = np.floor(at).astype(int), at - np.floor(at)
        taps = [(np.clip(low + k, 0, n - 1), cubic_kernel(t - k)) for k in (-1, 0, 1, 2)]
    for places, weights in taps:
        np.add.at(matrix, (rows, places), weights)
    return matrix


def _antialias_weights(
    n: int, out: int, mode: str, align_corners: bool, scale: float
) -> np.ndarray:
    """Rows of a kernel stretched to the shrinking factor, normalised; as in Pillow."""
    ratio = 1 / scale if scale else n / out
    if align_corners:
        ratio = (n - 1) / (out - 1) if out > 1 else 0.0
    stretch = max(ratio, 1.0)
    reach = (1 if mode == "linear" else 2) * stretch
    matrix = np.zeros((out, n))
    for i in range(out):
        centre = (i + 0.5) * ratio
        start, stop = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n)
        d = (np.arange(start, stop) - centre + 0.5) / stretch
        row = np.clip(1 - np.abs(d), 0, None) if mode == "linear" else cubic_kernel(d, -0.5)
        matrix[i, start:stop] = row / row.sum()
    return matrix


def cubic_kernel(d: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Cubic convolution kernel. Keys, 1981."""
    d = np.abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _interpolate(
    x: np.ndarray, size: Any, mode: str, align_corners: bool, scales: Any, antialias: bool
) -> np.ndarray:
    weights = _antialias_weights if antialias else _axis_weights
    out = x.astype(np.float64)
    for axis, (n, scale) in enumerate(zip(size, scales, strict=True), 1):
        matrix = weights(out.shape[axis], n, mode, align_corners, scale)
        out = np.moveaxis(np.tensordot(matrix, out, (1, axis)), 0, axis)
    return out.astype(x.dtype)


def _infer_grid_sample(x: Any, grid: Any, **attrs: Any) -> Tensor:
    if tensor(grid).rank != tensor(x).rank or grid.shape[-1] != x.rank - 2:
        raise InferError(f"grid_sample of {x} got the grid {grid}")
    equal(x.shape[0], grid.shape[0])
    return x.with_shape(*grid.shape[:-1], x.shape[-1])


def _fold(at: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> np.ndarray:
    """Positions outside, as the padding mode moves them."""
    if padding_mode == "border":
        return np.clip(at, 0, n - 1)
    if padding_mode == "reflection":
        low, high = (0, n - 1) if align_corners else (-0.5, n - 0.5)
        span = high - low
        if span == 0:
            return np.zeros_like(at)
        folded = np.mod(at - low, 2 * span)
        return np.clip(np.where(folded > span, 2 * span - folded, folded) + low, 0, n - 1)
    return at


def _sample_taps(
    at: np.ndarray, n: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[np.ndarray, Any]]:
    if mode == "bicubic":
        low = np.floor(at)
        return [
            (_fold(low + k, n, padding_mode, align_corners), cubic_kernel(at - low - k))
            for k in (-1, 0, 1, 2)
        ]
    at = _fold(at, n, padding_mode, align_corners)
    low = np.floor(at)
    return (
        [(np.round(at), 1.0)] if mode == "nearest" else [(low, low + 1 - at), (low + 1, at - low)]
    )


def _grid_sample(
    x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    sizes = x.shape[1:-1]
    taps = []
    for d, n in enumerate(sizes):
        at = grid[..., -1 - d].astype(np.float64)
        at = (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2
        taps.append(_sample_taps(at, n, mode, padding_mode, align_corners))
    batch = np.arange(x.shape[0]).reshape(-1, *[1] * (grid.ndim - 2))
    out = np.zeros((*grid.shape[:-1], x.shape[-1]))
    for corner in itertools.product(*taps):
        inside = np.logical_and.reduce(
            [(i >= 0) & (i < n) for (i, _), n in zip(corner, sizes, strict=True)]
        )
        places = [np.where(inside, i, 0).astype(int) for i, _ in corner]
        weight = np.where(
            inside,
            np.prod(
                np.broadcast_arrays(*(np.asarray(w, float) + 0 * corner[0][0] for _, w in corner)),
                0,
            ),
            0,
        )
        out += x[(batch, *places)] * weight[..., None]
    return out.astype(x.dtype)


def _grid_tree(node: Any, x: Tree, grid: Tree) -> Tree:
    defaults = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    return call(
        "runtime.grid_sample", x, grid, **{k: node[k] for k, v in defaults.items() if node[k] != v}
    )


ROWS = [
    Op(
        "interpolate",
        "x",
        _infer_interpolate,
        _interpolate_tree,
        _interpolate,
        {
            "size": Attr("dims"),
            "mode": Attr("str"),
            "align_corners": Attr("bool", False),
            "scales": Attr("numbers"),
            "antialias": Attr("bool", False),
        },
        doc="Resizing of [N, *spatial, C]; `mode` is nearest, nearest-exact, linear or cubic; "
        "a scale that is not 0 decides where the axis is read.",
    ),
    Op(
        "grid_sample",
        "x grid",
        _infer_grid_sample,
        _grid_tree,
        _grid_sample,
        {
            "mode": Attr("str", "bilinear"),
            "padding_mode": Attr("str", "zeros"),
            "align_corners": Attr("bool", False),
        },
        doc="[N, *spatial, C] read at normalised places [N, *out, 2 or 3] that go x, y(, z). "
        "Jaderberg et al., 2015.",
    ),
]
