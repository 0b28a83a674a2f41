import mlx.core as mx

from .axis_index import axis_index


def scatter_add(x: mx.array, axis: int, index: mx.array, src: mx.array) -> mx.array:
    """torch.scatter_add: src may be larger than the index."""
    src = src[tuple(slice(n) for n in index.shape)]
    return x.at[axis_index(index, axis)].add(src)
