from itertools import product

import mlx.core as mx

from .cubic_weights import cubic_weights


def grid_sample(
    x: mx.array,
    grid: mx.array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> mx.array:
    """torch's grid_sample of x [N, *spatial, C] at grid [N, *out, 2 or 3].

    The last axis of the grid goes x, y(, z), so against the axes of x.
    """
    N, *sizes, C = x.shape
    rows = x.reshape(N, -1, C)
    taps = []
    for d, n in enumerate(sizes):
        at = grid[..., -1 - d].astype(mx.float32)
        at = (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2
        taps.append(_axis_taps(at, n, mode, padding_mode, align_corners))

    out = mx.zeros((*grid.shape[:-1], C))
    for corner in product(*taps):
        inside, index, weight = mx.array(True), mx.array(0), mx.array(1.0)
        for (i, w), n in zip(corner, sizes):
            valid = (i >= 0) & (i < n)
            index = index * n + mx.where(valid, i, 0).astype(mx.int32)
            inside, weight = inside & valid, weight * w
        values = mx.take_along_axis(rows, index.reshape(N, -1, 1), axis=1)
        values = mx.where(inside[..., None], values.reshape(out.shape), 0)
        out = out + values * weight[..., None]
    return out.astype(x.dtype)


def _axis_taps(at, n, mode, padding_mode, align_corners):
    # The elements to read around each position of an axis, with their weights.
    if mode == "bicubic":
        low = mx.floor(at)
        index = [
            _pad_position(low + k, n, padding_mode, align_corners) for k in range(-1, 3)
        ]
        return list(zip(index, cubic_weights(at - low)))
    at = _pad_position(at, n, padding_mode, align_corners)
    if mode == "nearest":
        return [(mx.round(at), mx.ones_like(at))]
    low = mx.floor(at)
    return [(low, low + 1 - at), (low + 1, at - low)]


def _pad_position(at, n, padding_mode, align_corners):
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        first, span = (0, n - 1) if align_corners else (-0.5, n)
        if span == 0:
            return mx.zeros_like(at)
        at = mx.remainder(mx.abs(at - first), 2 * span)
        at = mx.minimum(at, 2 * span - at) + first
    return mx.clip(at, 0, n - 1)
