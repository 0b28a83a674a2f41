import math

import mlx.core as mx


def unfold(x: mx.array, axis: int, size: int, step: int) -> mx.array:
    """torch.Tensor.unfold: the windows along an axis, elements on a new last axis."""
    x = mx.moveaxis(x, axis, -1)
    *lead, length = x.shape
    shape = (math.prod(lead), (length - size) // step + 1, size)
    windows = mx.as_strided(x, shape, strides=(length, step, 1))
    return mx.moveaxis(windows.reshape(*lead, *shape[1:]), -2, axis % x.ndim)
