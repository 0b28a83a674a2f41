import mlx.core as mx


def batch_norm(
    x: mx.array,
    mean: mx.array | None = None,
    var: mx.array | None = None,
    weight: mx.array | None = None,
    bias: mx.array | None = None,
    eps: float = 1e-5,
) -> mx.array:
    """torch's batch_norm over x [..., C] at inference, in float32.

    Without mean and var it normalizes by the statistics of the batch.
    """
    if mean is None or var is None:
        y, axes = x.astype(mx.float32), tuple(range(x.ndim - 1))
        mean, var = mx.mean(y, axis=axes), mx.var(y, axis=axes)
    scale = mx.rsqrt(var.astype(mx.float32) + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    return (x * scale + shift).astype(x.dtype)
