import mlx.core as mx


def axis_index(index: mx.array, axis: int) -> tuple[mx.array, ...]:
    """What to index with so that `index` acts along one axis, as in torch.gather."""
    ranges = [
        mx.arange(n).reshape(-1, *[1] * (index.ndim - 1 - d))
        for d, n in enumerate(index.shape)
    ]
    ranges[axis] = index
    return tuple(ranges)
