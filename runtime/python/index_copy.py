import mlx.core as mx


def index_copy(
    x: mx.array, axis: int, index: mx.array, src: mx.array | float
) -> mx.array:
    """torch.index_copy, and torch.index_fill where src is a number."""
    out = mx.array(x)
    out[(slice(None),) * (axis % x.ndim) + (index,)] = src
    return out
