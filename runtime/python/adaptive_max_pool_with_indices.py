import mlx.core as mx

from .adaptive_windows import adaptive_windows
from .argmax_windows import argmax_windows


def adaptive_max_pool_with_indices(
    x: mx.array, output_size: tuple[int | None, ...]
) -> tuple[mx.array, mx.array]:
    """torch's adaptive_max_pool with return_indices over x [N, *spatial, C].

    The int64 indices point into the flattened spatial axes.
    """
    sizes = x.shape[-len(output_size) - 1 : -1]
    pairs = [(n, out or n) for n, out in zip(sizes, output_size)]
    return argmax_windows(x, [adaptive_windows(n, out)[0].T for n, out in pairs])
