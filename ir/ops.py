"""THE op table: every op of the IR, one row each, in the `ops_*.py` files beside this one."""

from __future__ import annotations

from .op import Op, table
from .ops_activation import ROWS as ACTIVATION
from .ops_control import ROWS as CONTROL
from .ops_conv import ROWS as CONV
from .ops_create import ROWS as CREATE
from .ops_data import ROWS as DATA
from .ops_elementwise import ROWS as ELEMENTWISE
from .ops_fft import ROWS as FFT
from .ops_index import ROWS as INDEX
from .ops_matrix import ROWS as MATRIX
from .ops_norm import ROWS as NORM
from .ops_pool import ROWS as POOL
from .ops_quantize import ROWS as QUANTIZE
from .ops_random import ROWS as RANDOM
from .ops_reduce import ROWS as REDUCE
from .ops_resize import ROWS as RESIZE
from .ops_rnn import ROWS as RNN
from .ops_rope import ROWS as ROPE
from .ops_shape import ROWS as SHAPE

GROUPS: tuple[tuple[str, list[Op]], ...] = (
    ("Elementwise", ELEMENTWISE),
    ("Activations and functions", ACTIVATION),
    ("Rounding of quantized models", QUANTIZE),
    ("Shapes and parts", SHAPE),
    ("Creation", CREATE),
    ("Random numbers", RANDOM),
    ("Indices and masks", INDEX),
    ("Reductions, scans, order", REDUCE),
    ("Matrices and attention", MATRIX),
    ("Rotary embeddings", ROPE),
    ("Normalisation", NORM),
    ("Convolution", CONV),
    ("Pooling", POOL),
    ("Resizing and sampling", RESIZE),
    ("Recurrent layers", RNN),
    ("Transforms, complex numbers", FFT),
    ("Sizes that depend on data", DATA),
    ("Control flow", CONTROL),
)

TABLE: dict[str, Op] = table(*(rows for _, rows in GROUPS))
