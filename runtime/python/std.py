import mlx.core as mx

from .var import var


def std(
    x: mx.array,
    axis: int | tuple[int, ...] | None = None,
    correction: float = 1,
    keepdims: bool = False,
) -> mx.array:
    """torch.std, in float32."""
    return mx.sqrt(var(x.astype(mx.float32), axis, correction, keepdims)).astype(
        x.dtype
    )
