import mlx.core as mx


def group_norm(
    x: mx.array,
    groups: int,
    weight: mx.array | None = None,
    bias: mx.array | None = None,
    eps: float = 1e-5,
) -> mx.array:
    """torch's group_norm over x [N, *spatial, C].

    nn.GroupNorm(..., pytorch_compatible=True) is the same with its own parameters.
    """
    N, C = x.shape[0], x.shape[-1]
    y = x.reshape(N, -1, groups, C // groups).swapaxes(1, 2)
    y = mx.fast.layer_norm(y.reshape(N, groups, -1), None, None, eps)
    y = y.reshape(N, groups, -1, C // groups).swapaxes(1, 2).reshape(x.shape)
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y.astype(x.dtype)
