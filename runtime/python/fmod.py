import mlx.core as mx


def fmod(a: mx.array | float, b: mx.array | float) -> mx.array:
    """torch.fmod: the remainder with the sign of the dividend, exact as in C."""
    rest = mx.remainder(abs(a), abs(b))
    return mx.where(a < 0, -rest, rest)
