import mlx.core as mx


def round_to_bytes(x: mx.array) -> mx.array:
    """The nearest of 256 steps from the least to the largest element; one of them is 0.

    What ONNX's DynamicQuantizeLinear keeps of x.
    """
    low, high = mx.minimum(mx.min(x), 0), mx.maximum(mx.max(x), 0)
    step = (high - low) / 255
    step = mx.where(step == 0, 1, step).astype(x.dtype)
    zero = mx.round(-low / step)
    return (mx.clip(mx.round(x / step) + zero, 0, 255) - zero) * step
