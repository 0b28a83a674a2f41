import mlx.core as mx


def frexp(x: mx.array) -> tuple[mx.array, mx.array]:
    """torch.frexp: mantissas of magnitude [0.5, 1) and int32 exponents of x."""
    y = x.astype(mx.float32)
    subnormal = mx.abs(y) < 2.0**-126
    bits = mx.where(subnormal, y * 2.0**24, y).view(mx.int32)
    exponent = ((bits >> 23) & 0xFF) - mx.where(subnormal, 126 + 24, 126)
    mantissa = ((bits & ~(0xFF << 23)) | (126 << 23)).view(mx.float32)
    regular = (y != 0) & mx.isfinite(y)
    mantissa = mx.where(regular, mantissa, y).astype(x.dtype)
    return mantissa, mx.where(regular, exponent, 0)
