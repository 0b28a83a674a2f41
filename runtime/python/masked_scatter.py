import mlx.core as mx


def masked_scatter(x: mx.array, mask: mx.array, src: mx.array) -> mx.array:
    """torch.masked_scatter: x where the mask is off, else the next element of src."""
    mask, out = mx.broadcast_arrays(mask, x)
    order = mx.cumsum(mask.flatten().astype(mx.int32)).reshape(mask.shape) - 1
    return mx.where(mask, mx.take(src.flatten(), mx.maximum(order, 0)), out)
