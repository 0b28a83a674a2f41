from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from .affine import affine


def rnn_cell(
    x: mx.array,
    h: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    b_ih: mx.array | None = None,
    b_hh: mx.array | None = None,
    nonlinearity: Callable[[mx.array], mx.array] = nn.tanh,
) -> mx.array:
    """torch.rnn_tanh_cell, or torch.rnn_relu_cell with nn.relu: the next h."""
    return nonlinearity(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh))
