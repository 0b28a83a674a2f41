import mlx.core as mx

from .window_count import window_count


def window_slices(
    x: mx.array,
    axis: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    ceil_mode: bool,
    fill: float,
) -> list[mx.array]:
    """For each place in a pooling window, what all windows along an axis have there."""
    size = x.shape[axis]
    count = window_count(size, kernel, stride, padding, dilation, ceil_mode)
    stop = (count - 1) * stride + 1
    last = stop + dilation * (kernel - 1)

    widths = [(0, 0)] * x.ndim
    widths[axis] = (padding, max(0, last - padding - size))
    x = mx.pad(x, widths, constant_values=fill)
    index = [slice(None)] * x.ndim
    slices = []
    for start in range(0, dilation * kernel, dilation):
        index[axis] = slice(start, start + stop, stride)
        slices.append(x[tuple(index)])
    return slices
