import math

import mlx.core as mx

from .weighted_rows import weighted_rows


def interpolate_antialias(
    x: mx.array,
    size: tuple[int, ...],
    mode: str = "bilinear",
    align_corners: bool = False,
    scale: tuple[float | None, ...] | None = None,
) -> mx.array:
    """torch's interpolate, "bilinear" or "bicubic" with antialias, of x [N, H, W, C].

    scale: the scale_factor where torch was given one; it decides where x is read.
    """
    kernel, reach = (_triangle, 1) if mode == "bilinear" else (_cubic, 2)
    out = x.astype(mx.float32)
    for axis, out_size in zip(range(-len(size) - 1, -1), size):
        n = x.shape[axis]
        factor = scale[axis + 1] if scale else None
        if align_corners:
            ratio = (n - 1) / (out_size - 1) if out_size > 1 else 0
        else:
            ratio = 1 / factor if factor else n / out_size
        stretch = max(ratio, 1)
        centre = (mx.arange(out_size) + 0.5) * ratio
        start = mx.maximum((centre - reach * stretch + 0.5).astype(mx.int32), 0)
        stop = mx.minimum((centre + reach * stretch + 0.5).astype(mx.int32), n)
        index = [start + k for k in range(2 * math.ceil(reach * stretch) + 1)]
        weights = mx.stack(
            [kernel((i - centre + 0.5) / stretch) * (i < stop) for i in index]
        )
        weights = weights / mx.sum(weights, axis=0)
        out = weighted_rows(out, axis, [mx.minimum(i, n - 1) for i in index], weights)
    return out.astype(x.dtype)


def _triangle(d):
    return mx.maximum(1 - mx.abs(d), 0)


def _cubic(d):
    # Keys' cubic convolution with a = -0.5, unlike the -0.75 of torch's plain bicubic.
    d = mx.abs(d)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return mx.where(d < 1, near, mx.where(d < 2, far, 0))
