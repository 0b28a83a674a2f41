import mlx.core as mx

from .vector_norm import vector_norm


def cdist(a: mx.array, b: mx.array, p: float = 2, exact: bool = False) -> mx.array:
    """torch.cdist of a [..., P, M] and b [..., R, M]: [..., P, R].

    Euclidean distances of more than 25 rows go by a product, as in torch, unless exact.
    """
    if p == 2 and not exact and max(a.shape[-2], b.shape[-2]) > 25:
        squares = (
            mx.sum(a * a, axis=-1)[..., None] + mx.sum(b * b, axis=-1)[..., None, :]
        )
        return mx.sqrt(mx.maximum(squares - 2 * a @ b.swapaxes(-1, -2), 0))
    return vector_norm(a[..., None, :] - b[..., None, :, :], p, axis=-1)
