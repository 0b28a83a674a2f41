import mlx.core as mx


def histc(x: mx.array, bins: int = 100, min: float = 0, max: float = 0) -> mx.array:
    """torch.histc: counts in equal bins from min to max, else from x's own range."""
    x = x.flatten()
    if min == max:
        min, max = mx.min(x), mx.max(x)
    edges = min + (max - min) * (mx.arange(bins + 1) / bins)
    index = mx.searchsorted(edges, x, side="right").astype(mx.int32) - 1
    inside = (x >= min) & (x <= max)
    index = mx.clip(index, 0, bins - 1)
    return mx.zeros(bins, x.dtype).at[index].add(inside.astype(x.dtype))
