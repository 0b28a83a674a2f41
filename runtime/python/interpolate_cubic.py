import mlx.core as mx

from .cubic_weights import cubic_weights
from .resize_positions import resize_positions
from .weighted_rows import weighted_rows


def interpolate_cubic(
    x: mx.array,
    size: tuple[int, ...],
    align_corners: bool = False,
    scale: tuple[float | None, ...] | None = None,
) -> mx.array:
    """torch's interpolate, "bicubic", of x [N, H, W, C] to a size.

    scale: the scale_factor where torch was given one; it decides where x is read.
    """
    out = x.astype(mx.float32)
    for axis, out_size in zip(range(-len(size) - 1, -1), size):
        n = x.shape[axis]
        factor = scale[axis + 1] if scale else None
        at = resize_positions(n, out_size, align_corners, factor)
        low = mx.floor(at)
        index = [mx.clip(low.astype(mx.int32) + k, 0, n - 1) for k in (-1, 0, 1, 2)]
        out = weighted_rows(out, axis, index, cubic_weights(at - low))
    return out.astype(x.dtype)
