from functools import reduce

import mlx.core as mx

from .window_slices import window_slices


def max_pool(
    x: mx.array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> mx.array:
    """torch's max_pool1d/2d/3d over x [N, *spatial, C].

    nn.MaxPool2d and its like are the same less dilation and ceil_mode.
    """
    rank = len(kernel)
    axes = range(-rank - 1, -1)
    fill = -mx.inf if mx.issubdtype(x.dtype, mx.floating) else mx.iinfo(x.dtype).min
    windows = zip(axes, kernel, stride, padding, dilation or (1,) * rank)
    for axis, k, s, p, d in windows:
        x = reduce(mx.maximum, window_slices(x, axis, k, s, p, d, ceil_mode, fill))
    return x
