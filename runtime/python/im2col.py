import mlx.core as mx

from .patch_rows import patch_rows


def im2col(
    x: mx.array,
    kernel: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    stride: tuple[int, int] = (1, 1),
) -> mx.array:
    """torch.nn.functional.unfold: [..., C, H, W] to [..., C * kH * kW, patches]."""
    *lead, C, H, W = x.shape
    rows, cols = map(patch_rows, (H, W), kernel, dilation, padding, stride)
    x = mx.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
    x = mx.take(mx.take(x, rows, axis=-2), cols, axis=-1)
    return x.swapaxes(-3, -2).reshape(*lead, C * rows.shape[0] * cols.shape[0], -1)
