import mlx.core as mx


def vector_norm(
    x: mx.array,
    ord: float = 2,
    axis: int | tuple[int, ...] | None = None,
    keepdims: bool = False,
) -> mx.array:
    """torch.linalg.vector_norm over any axes, in float32.

    mx.linalg.norm takes a matrix norm of two axes and has no order 0 for several.
    """
    size = mx.abs(x).astype(mx.float32)
    if ord == 0:
        out = mx.sum(size != 0, axis, keepdims)
    elif ord in (mx.inf, -mx.inf):
        out = (mx.max if ord > 0 else mx.min)(size, axis, keepdims)
    elif ord == 1:
        out = mx.sum(size, axis, keepdims)
    elif ord == 2:
        out = mx.sqrt(mx.sum(size * size, axis, keepdims))
    else:
        out = mx.sum(size**ord, axis, keepdims) ** (1 / ord)
    return out.astype(mx.float32 if x.dtype == mx.complex64 else x.dtype)
