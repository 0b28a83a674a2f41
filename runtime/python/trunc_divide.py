import mlx.core as mx


def trunc_divide(a: mx.array, b: mx.array | float) -> mx.array:
    """torch.div with rounding_mode "trunc"; integers stay integers."""
    if mx.issubdtype(a.dtype, mx.inexact):
        return mx.trunc(a / b)
    inexact = mx.remainder(a, b) != 0
    return mx.floor_divide(a, b) + (inexact & ((a < 0) != (b < 0)))
