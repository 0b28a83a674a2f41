import mlx.core as mx


def index_add(
    x: mx.array, axis: int, index: mx.array, src: mx.array, alpha: float = 1
) -> mx.array:
    """torch.index_add: x with alpha * src added at the index along an axis."""
    place = (slice(None),) * (axis % x.ndim) + (index,)
    return x.at[place].add(src if alpha == 1 else alpha * src)
