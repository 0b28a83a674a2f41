import mlx.core as mx

from .elu import elu


def celu(x: mx.array, alpha: float = 1.0) -> mx.array:
    """torch's celu by expm1, exact near 0."""
    return elu(x, alpha, input_scale=1 / alpha)
