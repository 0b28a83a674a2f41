import math

import mlx.core as mx


def max_unpool(
    x: mx.array, indices: mx.array, output_size: tuple[int, ...]
) -> mx.array:
    """torch's max_unpool1d/2d/3d over x [N, *spatial, C], from max_pool's indices."""
    N, C = x.shape[0], x.shape[-1]
    out = mx.zeros((N, math.prod(output_size), C), x.dtype)
    out = mx.put_along_axis(out, indices.reshape(N, -1, C), x.reshape(N, -1, C), axis=1)
    return out.reshape(N, *output_size, C)
