import mlx.core as mx

from .sort import sort


def median(
    x: mx.array, axis: int = -1, keepdims: bool = False
) -> tuple[mx.array, mx.array]:
    """torch.median along an axis: the lower middle value or NaN, and its index."""
    size = x.shape[axis]
    nans = mx.sum(mx.isnan(x), axis=axis, keepdims=True)
    at = mx.where(nans > 0, size - nans, (size - 1) // 2)
    values, indices = (mx.take_along_axis(a, at, axis) for a in sort(x, axis))
    if keepdims:
        return values, indices
    return values.squeeze(axis), indices.squeeze(axis)
