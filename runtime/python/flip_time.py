import mlx.core as mx


def flip_time(x: mx.array, lengths: mx.array | None = None) -> mx.array:
    """x [L, N, D] backwards; each row within its length, where there are lengths."""
    if lengths is None:
        return x[::-1]
    steps = mx.arange(x.shape[0], dtype=lengths.dtype)[:, None]
    index = mx.where(steps < lengths, lengths - 1 - steps, steps)
    return mx.take_along_axis(x, index[..., None], axis=0)
