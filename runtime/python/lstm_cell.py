import mlx.core as mx

from .affine import affine
from .lstm_gates import lstm_gates


def lstm_cell(
    x: mx.array,
    h: mx.array,
    c: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    b_ih: mx.array | None = None,
    b_hh: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """torch.lstm_cell: the next (h, c)."""
    return lstm_gates(affine(x, w_ih, b_ih) + affine(h, w_hh, b_hh), c)
