import mlx.core as mx


def patch_rows(
    size: int, kernel: int, dilation: int, padding: int, stride: int
) -> mx.array:
    """What torch's unfold reads of one padded axis: [kernel, number of patches]."""
    count = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return mx.arange(kernel)[:, None] * dilation + mx.arange(count) * stride
