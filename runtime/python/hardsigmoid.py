import mlx.core as mx


def hardsigmoid(x: mx.array) -> mx.array:
    """torch's hardsigmoid."""
    return mx.clip(x + 3, 0, 6) / 6
