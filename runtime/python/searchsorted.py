import mlx.core as mx


def searchsorted(
    sorted_sequence: mx.array, values: mx.array, right: bool = False
) -> mx.array:
    """torch.searchsorted of values [..., M] in sequences [..., N] beside them.

    In one sequence, and for torch.bucketize, mx.searchsorted searches.
    """
    size = sorted_sequence.shape[-1]
    low = mx.zeros(values.shape, mx.int64)
    high = low + size
    for _ in range(size.bit_length()):
        middle = (low + high) // 2
        at = mx.minimum(middle, size - 1)
        pivot = mx.take_along_axis(sorted_sequence, at, axis=-1)
        above = (low < high) & ((pivot <= values) if right else (pivot < values))
        low, high = mx.where(above, middle + 1, low), mx.where(above, high, middle)
    return low
