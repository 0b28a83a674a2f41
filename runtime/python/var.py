import mlx.core as mx


def var(
    x: mx.array,
    axis: int | tuple[int, ...] | None = None,
    correction: float = 1,
    keepdims: bool = False,
) -> mx.array:
    """torch.var, in float32; its std is the square root.

    mx.var accumulates in x's dtype and takes a whole ddof.
    """
    y = x.astype(mx.float32)
    squares = mx.square(y - mx.mean(y, axis=axis, keepdims=True))
    total = mx.sum(squares, axis=axis, keepdims=keepdims)
    count = x.size // max(total.size, 1)
    return (total / max(count - correction, 0)).astype(x.dtype)
