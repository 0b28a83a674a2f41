import mlx.core as mx


def histc(x: mx.array, bins: int = 100, min: float = 0, max: float = 0) -> mx.array:
    """torch.histc: counts in equal bins from min to max, else from x's own range."""
    x = x.flatten()
    low, high = (mx.min(x), mx.max(x)) if min == max else (min, max)
    edges = low + (high - low) * (mx.arange(bins + 1) / bins)
    index = mx.searchsorted(edges, x, side="right").astype(mx.int32) - 1
    inside = (x >= low) & (x <= high)
    index = mx.clip(index, 0, bins - 1)
    return mx.zeros(bins, x.dtype).at[index].add(inside.astype(x.dtype))
