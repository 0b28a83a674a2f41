import mlx.core as mx


def gru_gates(x_gates: mx.array, h_gates: mx.array, h: mx.array) -> mx.array:
    """One GRU step from its pre-activations [..., 3 * H] in torch's order r, z, n.

    The reset gate multiplies the recurrent part of n with its bias, as in torch.
    """
    x_rz, x_n = mx.split(x_gates, [2 * h.shape[-1]], axis=-1)
    h_rz, h_n = mx.split(h_gates, [2 * h.shape[-1]], axis=-1)
    r, z = mx.split(mx.sigmoid(x_rz + h_rz), 2, axis=-1)
    n = mx.tanh(x_n + r * h_n)
    return n + z * (h - n)
