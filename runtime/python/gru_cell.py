import mlx.core as mx

from .affine import affine
from .gru_gates import gru_gates


def gru_cell(
    x: mx.array,
    h: mx.array,
    w_ih: mx.array,
    w_hh: mx.array,
    b_ih: mx.array | None = None,
    b_hh: mx.array | None = None,
) -> mx.array:
    """torch.gru_cell: the next h."""
    return gru_gates(affine(x, w_ih, b_ih), affine(h, w_hh, b_hh), h)
