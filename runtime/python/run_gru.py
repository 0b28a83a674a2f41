import mlx.core as mx

from .affine import affine
from .gru_gates import gru_gates
from .scan_layers import scan_layers


def run_gru(
    x: mx.array,
    h: mx.array,
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """torch.gru over x [L, N, D] or [L, D]: the outputs and the last h.

    weights: (w_ih, w_hh, b_ih, b_hh) for each layer and direction, or None.
    lengths: the number of steps of each row, [N]; outputs past them are 0.
    """
    out, h = scan_layers(
        _scan_gru, x, (h,), weights, bidirectional, batch_first, lengths
    )
    return out, h


def _scan_gru(x, state, w_ih, w_hh, b_ih=None, b_hh=None):
    (h,) = state
    steps = []
    for x_gates in affine(x, w_ih, b_ih):
        h = gru_gates(x_gates, affine(h, w_hh, b_hh), h)
        steps.append((h,))
    return steps
