import mlx.core as mx


def fmod(a: mx.array, b: mx.array | float) -> mx.array:
    """torch.fmod: the remainder with the sign of the dividend, exact as in C."""
    size = mx.abs(b) if isinstance(b, mx.array) else abs(b)
    rest = mx.remainder(mx.abs(a), size)
    return mx.where(a < 0, -rest, rest)
