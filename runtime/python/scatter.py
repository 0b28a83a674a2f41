import mlx.core as mx

from .axis_index import axis_index


def scatter(x: mx.array, axis: int, index: mx.array, src: mx.array | float) -> mx.array:
    """torch.scatter: src may be a number, or larger than the index."""
    if isinstance(src, mx.array) and src.ndim:
        src = src[tuple(slice(n) for n in index.shape)]
    out = mx.array(x)
    out[axis_index(index, axis)] = src
    return out
