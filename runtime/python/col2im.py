from itertools import product

import mlx.core as mx

from .patch_slices import patch_slices


def col2im(
    x: mx.array,
    output_size: tuple[int, int],
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    stride: tuple[int, int] = (1, 1),
) -> mx.array:
    """torch.nn.functional.fold: [..., C * kH * kW, patches] to [..., C, H, W]."""
    (H, W), (pad_h, pad_w) = output_size, padding
    *lead, channels, _ = x.shape
    C = channels // (kernel[0] * kernel[1])
    rows, cols = map(patch_slices, output_size, kernel, dilation, padding, stride)
    patches = x.reshape(*lead, C, kernel[0] * kernel[1], -1)
    out = mx.zeros((*lead, C, H + 2 * pad_h, W + 2 * pad_w), x.dtype)
    for k, (r, c) in enumerate(product(rows, cols)):
        patch = patches[..., k, :].reshape(out[..., r, c].shape)
        out = out.at[..., r, c].add(patch)
    return out[..., pad_h : pad_h + H, pad_w : pad_w + W]
