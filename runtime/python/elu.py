import mlx.core as mx


def elu(
    x: mx.array, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0
) -> mx.array:
    """torch's elu by expm1, exact near 0, where nn.elu's exp(x) - 1 is not."""
    return mx.where(x > 0, scale * x, scale * alpha * mx.expm1(x * input_scale))
