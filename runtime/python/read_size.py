import mlx.core as mx


def read_size(x: mx.array) -> int:
    """The number in an array as a size: waits for the device. ValueError below 0."""
    size = x.item()
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"a size that the data gives is {size}")
    return size
