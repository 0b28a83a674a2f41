from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from .affine import affine
from .scan_layers import scan_layers


def run_rnn(
    x: mx.array,
    h: mx.array,
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool = False,
    nonlinearity: Callable[[mx.array], mx.array] = nn.tanh,
    batch_first: bool = False,
    lengths: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """torch.rnn_tanh, or torch.rnn_relu with nn.relu, over x [L, N, D] or [L, D].

    weights: (w_ih, w_hh, b_ih, b_hh) for each layer and direction, or None.
    lengths: the number of steps of each row, [N]; outputs past them are 0.
    """

    def scan(x, state, w_ih, w_hh, b_ih=None, b_hh=None):
        (h,) = state
        steps = []
        for x_t in affine(x, w_ih, b_ih):
            h = nonlinearity(x_t + affine(h, w_hh, b_hh))
            steps.append((h,))
        return steps

    out, h = scan_layers(scan, x, (h,), weights, bidirectional, batch_first, lengths)
    return out, h
