import mlx.core as mx


def gru_gates(x_gates: mx.array, h_gates: mx.array, h: mx.array) -> mx.array:
    """One GRU step from its pre-activations [..., 3 * H] in torch's order r, z, n.

    The reset gate multiplies the recurrent part of n with its bias, as in torch.
    """
    x_r, x_z, x_n = mx.split(x_gates, 3, axis=-1)
    h_r, h_z, h_n = mx.split(h_gates, 3, axis=-1)
    z = mx.sigmoid(x_z + h_z)
    n = mx.tanh(x_n + mx.sigmoid(x_r + h_r) * h_n)
    return n + z * (h - n)
