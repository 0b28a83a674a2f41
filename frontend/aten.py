"""The ATen table: one row for each ATen op, shared by the TorchScript and torch.export frontends.

A row is a function `(b, *args)` in the order and with the names of the op's schema; defaults are
filled in before the call. Tensors arrive as IR values, or as Python numbers where the source holds
a 0-d host scalar; sizes as ints or dims; `dtype` arguments as `DType` or None; device, layout,
memory format and generator arguments are dropped. A row returns a value, or a tuple of values for
several results (None for one that nothing forward reads). In-place forms and writes through views
are made functional before a row is called (see lowering.py), so that rows are pure: `add_` calls
the row of `add`.

Keys are `name` (all overloads) or `name.overload`, without `aten::`; the longer one wins.
"""

from __future__ import annotations

from . import (
    aten_activation,
    aten_cast,
    aten_conv,
    aten_create,
    aten_data,
    aten_elementwise,
    aten_fft,
    aten_host,
    aten_index,
    aten_loss,
    aten_matrix,
    aten_norm,
    aten_pool,
    aten_random,
    aten_reduce,
    aten_resize,
    aten_rnn,
    aten_shape,
)
from .aten_common import Row


def _table(*areas: dict[str, Row]) -> dict[str, Row]:
    """The rows of all areas; ValueError where two have one name."""
    out: dict[str, Row] = {}
    for area in areas:
        twice = out.keys() & area.keys()
        if twice:
            raise ValueError(f"two rows for {', '.join(sorted(twice))}")
        out |= area
    return out


ATEN: dict[str, Row] = _table(
    aten_elementwise.ROWS,
    aten_activation.ROWS,
    aten_cast.ROWS,
    aten_shape.ROWS,
    aten_create.ROWS,
    aten_random.ROWS,
    aten_matrix.ROWS,
    aten_norm.ROWS,
    aten_rnn.ROWS,
    aten_conv.ROWS,
    aten_pool.ROWS,
    aten_resize.ROWS,
    aten_reduce.ROWS,
    aten_index.ROWS,
    aten_data.ROWS,
    aten_loss.ROWS,
    aten_fft.ROWS,
    aten_host.ROWS,
)
