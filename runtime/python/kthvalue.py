import mlx.core as mx

from .sort import sort


def kthvalue(
    x: mx.array, k: int, axis: int = -1, keepdims: bool = False
) -> tuple[mx.array, mx.array]:
    """torch.kthvalue: the k-th smallest value, counted from 1, and its int64 index."""
    at = slice(k - 1, k) if keepdims else k - 1
    place = (slice(None),) * (axis % x.ndim) + (at,)
    values, indices = sort(x, axis)
    return values[place], indices[place]
