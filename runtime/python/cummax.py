import mlx.core as mx


def cummax(x: mx.array, axis: int) -> tuple[mx.array, mx.array]:
    """torch.cummax: the values and the int64 index of each, the last among equals."""
    values = mx.cummax(x, axis)
    steps = mx.arange(x.shape[axis]).reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    new = (x == values) | mx.isnan(x)
    return values, mx.cummax(mx.where(new, steps, 0), axis).astype(mx.int64)
