import mlx.core as mx

from .vector_norm import vector_norm


def pdist(x: mx.array, p: float = 2) -> mx.array:
    """torch.pdist: distances of all pairs of rows i < j, in the order of i, then j."""
    rows = range(x.shape[0] - 1)
    return mx.concatenate([vector_norm(x[i] - x[i + 1 :], p, axis=-1) for i in rows])
