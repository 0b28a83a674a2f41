import mlx.core as mx


def diagonal_scatter(
    x: mx.array, src: mx.array, offset: int = 0, axis1: int = 0, axis2: int = 1
) -> mx.array:
    """torch.diagonal_scatter: x with src [..., n] in place of a diagonal."""
    last = [axis1 % x.ndim, axis2 % x.ndim]
    order = [a for a in range(x.ndim) if a not in last] + last
    i = mx.arange(src.shape[-1])
    out = mx.array(x.transpose(order))
    out[..., i + max(-offset, 0), i + max(offset, 0)] = src
    return out.transpose([order.index(a) for a in range(x.ndim)])
