import mlx.core as mx


def instance_norm(
    x: mx.array,
    weight: mx.array | None = None,
    bias: mx.array | None = None,
    eps: float = 1e-5,
) -> mx.array:
    """torch's instance_norm over x [N, *spatial, C] with use_input_stats, in float32.

    Without use_input_stats torch computes a batch_norm.
    """
    y, axes = x.astype(mx.float32), tuple(range(1, x.ndim - 1))
    mean, var = (f(y, axis=axes, keepdims=True) for f in (mx.mean, mx.var))
    y = (y - mean) * mx.rsqrt(var + eps)
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.astype(x.dtype)
