import mlx.core as mx


def xlogy(x: mx.array, y: mx.array) -> mx.array:
    """torch.xlogy: x * log(y), and 0 where x is 0 unless y is NaN."""
    return mx.where((x == 0) & ~mx.isnan(y), 0, x * mx.log(y))
