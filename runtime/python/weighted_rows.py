from collections.abc import Iterable
from functools import reduce

import mlx.core as mx


def weighted_rows(
    x: mx.array, axis: int, index: Iterable[mx.array], weights: Iterable[mx.array]
) -> mx.array:
    """The sum of weights[k] * x[index[k]] over k; the axis counts from the end."""
    shape = (-1, *[1] * (-1 - axis))
    rows = (mx.take(x, i, axis) * w.reshape(shape) for i, w in zip(index, weights))
    return reduce(mx.add, rows)
