import mlx.core as mx

from .adaptive_windows import adaptive_windows


def adaptive_max_pool(x: mx.array, output_size: tuple[int | None, ...]) -> mx.array:
    """torch's adaptive_max_pool1d/2d/3d over x [N, *spatial, C]; None keeps a size."""
    for axis, size in zip(range(-len(output_size) - 1, -1), output_size):
        if size is not None:
            index, _ = adaptive_windows(x.shape[axis], size)
            windows = mx.moveaxis(x, axis, 0)[index]
            x = mx.moveaxis(mx.max(windows, axis=1), 0, axis)
    return x
