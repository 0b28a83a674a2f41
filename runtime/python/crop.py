import mlx.core as mx


def crop(x: mx.array, pad_width: list[tuple[int, int]]) -> mx.array:
    """Cut x by the negative entries of a pad_width, which torch's pads do first."""
    sides = zip(pad_width, x.shape)
    return x[tuple(slice(max(0, -a), n + min(0, b)) for (a, b), n in sides)]
