import mlx.core as mx

from .adaptive_windows import adaptive_windows


def adaptive_avg_pool(x: mx.array, output_size: tuple[int | None, ...]) -> mx.array:
    """torch's adaptive_avg_pool1d/2d/3d over x [N, *spatial, C]; None keeps a size."""
    out = x.astype(mx.float32)
    for axis, size in zip(range(-len(output_size) - 1, -1), output_size):
        if size is not None:
            out = mx.moveaxis(_average_rows(mx.moveaxis(out, axis, 0), size), 0, axis)
    return out.astype(x.dtype)


def _average_rows(x, out_size):
    size, *rest = x.shape
    if size % out_size == 0:
        return mx.mean(x.reshape(out_size, -1, *rest), axis=1)
    index, valid = adaptive_windows(size, out_size)
    valid = valid.reshape(*index.shape, *[1] * len(rest))
    return mx.sum(mx.where(valid, x[index], 0), axis=1) / mx.sum(valid, axis=1)
