import mlx.core as mx

from .argmax_windows import argmax_windows
from .window_count import window_count


def max_pool_with_indices(
    x: mx.array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> tuple[mx.array, mx.array]:
    """torch's max_pool with return_indices over x [N, *spatial, C].

    The int64 indices point into the flattened spatial axes.
    """
    sizes = x.shape[-len(kernel) - 1 : -1]
    options = zip(sizes, kernel, stride, padding, dilation or (1,) * len(kernel))
    return argmax_windows(x, [_window_elements(*o, ceil_mode) for o in options])


def _window_elements(size, kernel, stride, padding, dilation, ceil_mode):
    # An element in the padding is replaced by the nearest of its window in the input.
    windows = []
    for i in range(window_count(size, kernel, stride, padding, dilation, ceil_mode)):
        start = i * stride - padding
        places = range(start, start + dilation * kernel, dilation)
        inside = [p for p in places if 0 <= p < size]
        windows.append([min(max(p, inside[0]), inside[-1]) for p in places])
    return mx.array(windows).T
