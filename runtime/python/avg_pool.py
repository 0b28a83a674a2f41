from functools import reduce

import mlx.core as mx

from .window_slices import window_slices


def avg_pool(
    x: mx.array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> mx.array:
    """torch's avg_pool1d/2d/3d over x [N, *spatial, C].

    nn.AvgPool2d and its like are the same less the last three options.
    """
    out = x.astype(mx.float32)
    for axis, k, s, p in zip(range(-len(kernel) - 1, -1), kernel, stride, padding):
        size, pad = x.shape[axis], p if count_include_pad else 0
        out = reduce(mx.add, window_slices(out, axis, k, s, p, 1, ceil_mode, fill=0))
        if divisor_override is None:
            starts = mx.arange(out.shape[axis]) * s - p
            counts = mx.minimum(starts + k, size + pad) - mx.maximum(starts, -pad)
            out = out / counts.reshape(-1, *[1] * (-1 - axis))
    if divisor_override is not None:
        out = out / divisor_override
    return out.astype(x.dtype)
