import mlx.core as mx


def pixel_shuffle(x: mx.array, factor: int) -> mx.array:
    """torch's pixel_shuffle: [..., H, W, C * factor**2] to [..., H * f, W * f, C]."""
    *lead, H, W, C = x.shape
    x = x.reshape(-1, H, W, C // factor**2, factor, factor).transpose(0, 1, 4, 2, 5, 3)
    return x.reshape(*lead, H * factor, W * factor, -1)
