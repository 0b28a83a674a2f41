import mlx.core as mx

from .resize_positions import resize_positions
from .weighted_rows import weighted_rows


def interpolate_linear(
    x: mx.array,
    size: tuple[int, ...],
    align_corners: bool = False,
    scale: tuple[float | None, ...] | None = None,
) -> mx.array:
    """torch's interpolate, "linear" to "trilinear", of x [N, *spatial, C] to a size.

    scale: the scale_factor where torch was given one; it decides where x is read.
    """
    out = x.astype(mx.float32)
    for axis, out_size in zip(range(-len(size) - 1, -1), size):
        n = x.shape[axis]
        if n == out_size:
            continue
        factor = scale[axis + 1] if scale else None
        at = mx.maximum(resize_positions(n, out_size, align_corners, factor), 0)
        low = mx.minimum(at.astype(mx.int32), n - 1)
        t = mx.clip(at - low, 0, 1)
        out = weighted_rows(out, axis, [low, mx.minimum(low + 1, n - 1)], [1 - t, t])
    return out.astype(x.dtype)
