import mlx.core as mx


def layer_norm(
    x: mx.array,
    rank: int,
    weight: mx.array | None = None,
    bias: mx.array | None = None,
    eps: float = 1e-5,
) -> mx.array:
    """torch's layer_norm over the last `rank` axes of x; nn.LayerNorm takes one."""
    weight, bias = (p if p is None else p.flatten() for p in (weight, bias))
    y = mx.fast.layer_norm(x.flatten(start_axis=-rank), weight, bias, eps)
    return y.reshape(x.shape).astype(x.dtype)
