from itertools import product

import mlx.core as mx

from .patch_slices import patch_slices


def im2col(
    x: mx.array,
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    stride: tuple[int, int] = (1, 1),
) -> mx.array:
    """torch.nn.functional.unfold: [..., C, H, W] to [..., C * kH * kW, patches]."""
    *lead, C, H, W = x.shape
    x = mx.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
    rows, cols = map(patch_slices, (H, W), kernel, dilation, padding, stride)
    patches = mx.stack([x[..., r, c] for r, c in product(rows, cols)], axis=-3)
    return patches.reshape(*lead, C * len(rows) * len(cols), -1)
