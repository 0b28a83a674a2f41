import mlx.core as mx


def hypot(a: mx.array, b: mx.array) -> mx.array:
    """torch.hypot: sqrt(a**2 + b**2) without overflow on the way."""
    a, b = mx.abs(a), mx.abs(b)
    large = mx.maximum(a, b)
    ratio = mx.where(large == 0, 0, mx.minimum(a, b) / large)
    out = large * mx.sqrt(1 + ratio * ratio)
    return mx.where(mx.isinf(a) | mx.isinf(b), mx.inf, out)
