import mlx.core as mx


def slice_scatter(
    x: mx.array,
    src: mx.array,
    axis: int = 0,
    start: int | None = None,
    stop: int | None = None,
    step: int = 1,
) -> mx.array:
    """torch.slice_scatter: x with src in place of x[start:stop:step] along an axis."""
    rows = slice(*slice(start, stop, step).indices(x.shape[axis]))
    out = mx.array(x)
    out[(slice(None),) * (axis % x.ndim) + (rows,)] = src
    return out
