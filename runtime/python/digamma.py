import math

import mlx.core as mx


def digamma(x: mx.array) -> mx.array:
    """torch.digamma in float32: an asymptotic series, and reflection below 0."""
    y = x.astype(mx.float32)
    reflected = mx.where(y < 0, 1 - y, y)
    z = reflected + 6
    r = 1 / (z * z)
    out = mx.log(z) - 0.5 / z - r * (1 / 12 - r * (1 / 120 - r / 252))
    out = out - sum((1 / (reflected + i) for i in range(1, 6)), start=1 / reflected)
    fraction = y - mx.round(y)
    mirrored = out - math.pi / mx.tan(math.pi * fraction)
    out = mx.where(y < 0, mx.where(fraction == 0, mx.nan, mirrored), out)
    return out.astype(x.dtype)
