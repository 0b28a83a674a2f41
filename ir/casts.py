"""Values seen through casts that keep their numbers."""

from __future__ import annotations

from typing import Any

from .graph import Value


def whole(x: Any) -> Any:
    """The value less casts between integer types."""
    while isinstance(x, Value) and x.node is not None and x.node.op == "cast":
        inner = x.node.values[0]
        if not (x.tensor.dtype.is_integer and inner.tensor.dtype.is_integer):
            break
        x = inner
    return x
