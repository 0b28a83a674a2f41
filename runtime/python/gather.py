import mlx.core as mx


def gather(x: mx.array, axis: int, index: mx.array) -> mx.array:
    """torch.gather: other axes are cut to the index's, not broadcast as MLX does."""
    keep = [slice(n) for n in index.shape]
    keep[axis] = slice(None)
    return mx.take_along_axis(x[tuple(keep)], index, axis)
