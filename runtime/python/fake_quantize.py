import mlx.core as mx


def fake_quantize(
    x: mx.array,
    scale: float,
    zero: float = 0.0,
    low: float = 0.0,
    high: float = 255.0,
) -> mx.array:
    """The nearest of the steps (low - zero) * scale ... (high - zero) * scale.

    What is left of x when it is quantized and comes back.
    """
    steps = mx.clip(mx.round(x / scale) + zero, low, high)
    return (steps - zero) * scale
