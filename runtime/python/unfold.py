import mlx.core as mx


def unfold(x: mx.array, axis: int, size: int, step: int) -> mx.array:
    """torch.Tensor.unfold: the windows along an axis, elements on a new last axis."""
    axis %= x.ndim
    starts = mx.arange(0, x.shape[axis] - size + 1, step)
    windows = mx.take(x, starts[:, None] + mx.arange(size), axis)
    return mx.moveaxis(windows, axis + 1, -1)
