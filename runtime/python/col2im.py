import mlx.core as mx

from .patch_rows import patch_rows


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
    rows, cols = map(patch_rows, output_size, kernel, dilation, padding, stride)
    *lead, channels, _ = x.shape
    C = channels // (kernel[0] * kernel[1])
    x = x.reshape(*lead, C, *kernel, rows.shape[1], cols.shape[1]).swapaxes(-3, -2)
    out = mx.zeros((*lead, C, H + 2 * pad_h, W + 2 * pad_w), x.dtype)
    out = out.at[..., rows[:, :, None, None], cols].add(x)
    return out[..., pad_h : pad_h + H, pad_w : pad_w + W]
