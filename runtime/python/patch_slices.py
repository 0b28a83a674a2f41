def patch_slices(
    size: int, kernel: int, dilation: int, padding: int, stride: int
) -> list[slice]:
    """For each row of a kernel, the rows of a padded axis that it meets."""
    last = size + 2 * padding - dilation * (kernel - 1)
    return [slice(i * dilation, i * dilation + last, stride) for i in range(kernel)]
