import mlx.core as mx

from .sort import sort


def topk(
    x: mx.array, k: int, axis: int = -1, largest: bool = True
) -> tuple[mx.array, mx.array]:
    """torch.topk, always sorted: the values and their int64 indices, ties in order."""
    values, indices = sort(x, axis, descending=largest)
    first = (slice(None),) * (axis % x.ndim) + (slice(k),)
    return values[first], indices[first]
