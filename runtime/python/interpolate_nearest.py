import mlx.core as mx


def interpolate_nearest(
    x: mx.array,
    size: tuple[int, ...],
    scale: tuple[float | None, ...] | None = None,
    exact: bool = False,
) -> mx.array:
    """torch's interpolate, "nearest" or "nearest-exact", of x [N, *spatial, C].

    scale: the scale_factor where torch was given one; it decides which element is read.
    """
    for axis, out_size in zip(range(-len(size) - 1, -1), size):
        factor = scale[axis + 1] if scale else None
        n = x.shape[axis]
        i = mx.arange(out_size) + (0.5 if exact else 0.0)
        i = mx.floor(i * (1 / factor if factor else n / out_size)).astype(mx.int32)
        x = mx.take(x, mx.minimum(i, n - 1), axis)
    return x
