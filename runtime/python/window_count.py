import math


def window_count(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows torch's pooling has along an axis.

    With ceil_mode the last may end outside, if it does not start in the end padding.
    """
    steps = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride
    count = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count
