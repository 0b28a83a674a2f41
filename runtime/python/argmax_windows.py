import math

import mlx.core as mx


def argmax_windows(x: mx.array, windows: list[mx.array]) -> tuple[mx.array, mx.array]:
    """The first maximum of each window and its flat int64 index over the spatial axes.

    x: [N, *spatial, C]; windows[d]: [kernel, count], what windows along axis d hold.
    """
    sizes = x.shape[-len(windows) - 1 : -1]
    index = mx.arange(math.prod(sizes)).reshape(*sizes, 1)
    index = mx.broadcast_to(index, x.shape)
    for axis, elements in zip(range(-2, -2 - len(windows), -1), reversed(windows)):
        values = [mx.take(x, e, axis) for e in elements]
        indices = [mx.take(index, e, axis) for e in elements]
        x, index = values[0], indices[0]
        for value, where in zip(values[1:], indices[1:]):
            larger = (value > x) | mx.isnan(value)
            x = mx.where(larger, value, x)
            index = mx.where(larger, where, index)
    return x, index.astype(mx.int64)
