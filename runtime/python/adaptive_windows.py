import mlx.core as mx


def adaptive_windows(size: int, out_size: int) -> tuple[mx.array, mx.array]:
    """The elements of torch's adaptive pooling windows along one axis: [out, width].

    Short windows repeat their last element; the second array marks the others.
    """
    i = mx.arange(out_size)[:, None]
    index = i * size // out_size + mx.arange(-(-size // out_size) + 1)
    stops = ((i + 1) * size + out_size - 1) // out_size
    return mx.minimum(index, stops - 1), index < stops
