import mlx.core as mx


def pixel_unshuffle(x: mx.array, factor: int) -> mx.array:
    """torch's pixel_unshuffle: [..., H * f, W * f, C] to [..., H, W, C * factor**2]."""
    *lead, H, W, C = x.shape
    x = x.reshape(-1, H // factor, factor, W // factor, factor, C)
    x = x.transpose(0, 1, 3, 5, 2, 4)
    return x.reshape(*lead, H // factor, W // factor, -1)
