from collections.abc import Callable

import mlx.core as mx


def grouped_conv(
    conv: Callable[..., mx.array],
    x: mx.array,
    weight: mx.array,
    groups: int,
    **options: int | tuple[int, ...],
) -> mx.array:
    """`conv` by groups of channels: mx.conv3d and mx.conv_transpose3d have none."""
    parts = zip(mx.split(x, groups, axis=-1), mx.split(weight, groups, axis=0))
    return mx.concatenate([conv(a, b, **options) for a, b in parts], axis=-1)
