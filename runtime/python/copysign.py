import mlx.core as mx


def copysign(a: mx.array, b: mx.array) -> mx.array:
    """torch.copysign: the magnitude of a with the sign of b, also of -0.0."""
    negative = (b < 0) | (1 / b < 0)
    return mx.where(negative, -mx.abs(a), mx.abs(a))
