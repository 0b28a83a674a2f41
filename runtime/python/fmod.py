import mlx.core as mx


def fmod(a: mx.array | float, b: mx.array | float) -> mx.array:
    """torch.fmod: the remainder with the sign of the dividend, exact as in C."""
    size = mx.abs(a) if isinstance(a, mx.array) else abs(a)
    divisor = mx.abs(b) if isinstance(b, mx.array) else abs(b)
    rest = mx.remainder(size, divisor)
    return mx.where(a < 0, -rest, rest)
