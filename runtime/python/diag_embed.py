import mlx.core as mx


def diag_embed(
    x: mx.array, offset: int = 0, axis1: int = -2, axis2: int = -1
) -> mx.array:
    """torch.diag_embed: matrices with x [..., n] on a diagonal."""
    size = x.shape[-1] + abs(offset)
    i = mx.arange(x.shape[-1])
    out = mx.zeros((*x.shape[:-1], size, size), x.dtype)
    out[..., i + max(-offset, 0), i + max(offset, 0)] = x
    last = [axis1 % out.ndim, axis2 % out.ndim]
    order = [a for a in range(out.ndim) if a not in last] + last
    return out.transpose([order.index(a) for a in range(out.ndim)])
