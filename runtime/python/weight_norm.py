import mlx.core as mx


def weight_norm(v: mx.array, g: mx.array, axis: int | None = 0) -> mx.array:
    """torch._weight_norm: v scaled to the norm g, along all axes but one or all."""
    axes = [a for a in range(v.ndim) if axis is None or a != axis % v.ndim]
    return v * (g / mx.sqrt(mx.sum(v * v, axis=axes, keepdims=True)))
