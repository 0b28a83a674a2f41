import mlx.core as mx


def resize_positions(
    size: int, out_size: int, align_corners: bool, scale: float | None
) -> mx.array:
    """Where torch's interpolate reads one axis, in float32 as there.

    `scale` is the scale_factor that torch was given, None if it was given a size.
    """
    i = mx.arange(out_size)
    if align_corners:
        return i * ((size - 1) / max(out_size - 1, 1))
    return (i + 0.5) * (1 / scale if scale else size / out_size) - 0.5
