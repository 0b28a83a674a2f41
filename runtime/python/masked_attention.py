import mlx.core as mx


def masked_attention(
    queries: mx.array,
    keys: mx.array,
    values: mx.array,
    mask: mx.array,
    scale: float,
) -> mx.array:
    """torch's attention with a boolean mask: a query that may see no key gives zero."""
    out = mx.fast.scaled_dot_product_attention(
        queries, keys, values, scale=scale, mask=mask
    )
    return mx.where(mx.any(mask, axis=-1, keepdims=True), out, 0)
