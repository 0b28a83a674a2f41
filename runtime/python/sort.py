import mlx.core as mx


def sort(
    x: mx.array, axis: int = -1, descending: bool = False
) -> tuple[mx.array, mx.array]:
    """torch.sort, always stable: the values and their int64 indices; NaN is largest."""
    if descending:
        last = x.shape[axis] - 1
        indices = mx.argsort(mx.flip(x, axis), axis).astype(mx.int64)
        indices = last - mx.flip(indices, axis)
    else:
        indices = mx.argsort(x, axis).astype(mx.int64)
    return mx.take_along_axis(x, indices, axis), indices
