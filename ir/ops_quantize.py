"""Rounding as quantized models do it while they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import Op
from .ops_activation import infer_float
from .tree import call


def _round_to_bytes(x: np.ndarray) -> np.ndarray:
    """As it is in the type of x: a step more or less would be another result."""
    one = x.dtype.type
    low, high = min(x.min(initial=0), one(0)), max(x.max(initial=0), one(0))
    step = (high - low) / one(255)
    step = one(1) if step == 0 else step
    zero = np.round(-low / step)
    steps: np.ndarray = np.clip(np.round(x / step) + zero, one(0), one(255))
    return np.asarray((steps - zero) * step, x.dtype)


ROWS: list[Any] = [
    Op(
        "round_to_bytes",
        "x",
        infer_float,
        lambda n, x: call("runtime.round_to_bytes", x),
        _round_to_bytes,
        doc="The nearest of 256 steps between the least and the largest element, one of them 0.",
    ),
]
