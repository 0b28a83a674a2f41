import math

import mlx.core as mx


def angle(x: mx.array) -> mx.array:
    """torch.angle: the argument of complex numbers; 0 or pi for real ones."""
    if x.dtype == mx.complex64:
        return mx.arctan2(mx.imag(x), mx.real(x))
    return mx.where(mx.isnan(x), x, mx.where(x < 0, math.pi, 0)).astype(x.dtype)
