import mlx.core as mx


def embedding_bag(
    weight: mx.array,
    indices: mx.array,
    offsets: mx.array | None = None,
    mode: str = "mean",
    per_sample_weights: mx.array | None = None,
    padding_idx: int | None = None,
    include_last_offset: bool = False,
) -> mx.array:
    """torch's embedding_bag by "sum", "mean" or "max"; an empty bag gives zeros.

    indices: [bags, length], or all of them in a row with the offsets where bags start.
    """
    if offsets is None:
        bags, length = indices.shape
        bag = mx.repeat(mx.arange(bags), length)
    else:
        bags = offsets.size - include_last_offset
        places = mx.arange(indices.size).astype(offsets.dtype)
        bag = mx.searchsorted(offsets[:bags], places, side="right").astype(mx.int32) - 1
    indices = indices.flatten()
    if padding_idx is not None:
        bag = mx.where(indices == padding_idx, bags, bag)  # an extra bag, dropped below

    rows = mx.take(weight, indices, axis=0).astype(mx.float32)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1, 1)
    counts = mx.zeros((bags + 1, 1)).at[bag].add(1)
    if mode == "max":
        out = mx.full((bags + 1, rows.shape[1]), -mx.inf).at[bag].maximum(rows)
        out = mx.where(counts > 0, out, 0)
    else:
        out = mx.zeros((bags + 1, rows.shape[1])).at[bag].add(rows)
        if mode == "mean":
            out = out / mx.maximum(counts, 1)
    return out[:bags].astype(weight.dtype)
