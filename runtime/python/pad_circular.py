import mlx.core as mx

from .crop import crop


def pad_circular(x: mx.array, pad_width: list[tuple[int, int]]) -> mx.array:
    """torch's pad in mode "circular", with a pad_width as mx.pad has it."""
    x = crop(x, pad_width)
    for axis, (before, after) in enumerate(pad_width):
        if before > 0 or after > 0:
            n = x.shape[axis]
            index = mx.arange(-max(0, before), n + max(0, after)) % n
            x = mx.take(x, index, axis)
    return x
