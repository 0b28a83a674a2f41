import mlx.core as mx

from .affine import affine
from .lstm_gates import lstm_gates
from .scan_layers import scan_layers


def run_lstm(
    x: mx.array,
    h: mx.array,
    c: mx.array,
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths: mx.array | None = None,
) -> tuple[mx.array, mx.array, mx.array]:
    """torch.lstm over x [L, N, D], [L, D] or, batch_first, [N, L, D]: outputs, h and c.

    weights: (w_ih, w_hh, b_ih, b_hh, w_hr) for each layer and direction, or None.
    lengths: the number of steps of each row, [N]; outputs past them are 0.
    """
    out, h, c = scan_layers(
        _scan_lstm, x, (h, c), weights, bidirectional, batch_first, lengths
    )
    return out, h, c


def _scan_lstm(x, state, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None):
    h, c = state
    steps = []
    for x_gates in affine(x, w_ih, b_ih):
        h, c = lstm_gates(x_gates + affine(h, w_hh, b_hh), c)
        if w_hr is not None:
            h = h @ w_hr.T
        steps.append((h, c))
    return steps
