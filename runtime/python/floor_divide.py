import mlx.core as mx

from .fmod import fmod


def floor_divide(a: mx.array | float, b: mx.array | float) -> mx.array:
    """torch.floor_divide of floats, which is Python's: 1.0 // 0.1 is 9.

    mx.floor_divide rounds the quotient down after it was rounded to a float.
    """
    rest = fmod(a, b)
    below = (rest != 0) & ((rest < 0) != (b < 0))
    return mx.where(b == 0, a / b, mx.round((a - rest) / b - below))
