import mlx.core as mx


def match_mask(mask: mx.array, queries: mx.array) -> mx.array:
    """An additive mask in the dtype of the queries, clamped to its range."""
    if mask.dtype == queries.dtype:
        return mask
    lowest = mx.finfo(queries.dtype).min
    return mx.maximum(mask, lowest).astype(queries.dtype)
