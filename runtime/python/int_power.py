import mlx.core as mx


def int_power(base: mx.array, exponent: mx.array) -> mx.array:
    """torch.pow of integers: a negative exponent gives 0, or +-1 for a base of +-1."""
    power = mx.power(base, mx.abs(exponent))
    return mx.where((exponent < 0) & (mx.abs(base) != 1), 0, power)
