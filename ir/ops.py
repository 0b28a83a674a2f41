"""THE op table: every op of the IR, one row each. The rows stand in the `ops_*.py` files beside this one."""

from __future__ import annotations

from .op import Op, table
from .ops_elementwise import ROWS as ELEMENTWISE
from .ops_matrix import ROWS as MATRIX
from .ops_shape import ROWS as SHAPE

TABLE: dict[str, Op] = table(ELEMENTWISE, SHAPE, MATRIX)
