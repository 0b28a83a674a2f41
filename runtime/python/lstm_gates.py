import mlx.core as mx


def lstm_gates(gates: mx.array, c: mx.array) -> tuple[mx.array, mx.array]:
    """One LSTM step from pre-activations [..., 4 * H] in torch's order i, f, g, o."""
    i, f, g, o = mx.split(gates, 4, axis=-1)
    c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
    return mx.sigmoid(o) * mx.tanh(c), c
