"""Rounding as quantized models do it while they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import Attr, Op
from .ops_activation import infer_float
from .tree import Tree, call


def _round_to_bytes(x: np.ndarray) -> np.ndarray:
    """As it is in the type of x: a step more or less would be another result."""
    one = x.dtype.type
    low, high = min(x.min(initial=0), one(0)), max(x.max(initial=0), one(0))
    step = (high - low) / one(255)
    step = one(1) if step == 0 else step
    zero = np.round(-low / step)
    steps: np.ndarray = np.clip(np.round(x / step) + zero, one(0), one(255))
    return np.asarray((steps - zero) * step, x.dtype)


def _fake_quantize(x: np.ndarray, scale: float, zero: float, low: float, high: float) -> np.ndarray:
    one = x.dtype.type
    steps = np.clip(np.round(x / one(scale)) + one(zero), one(low), one(high))
    return np.asarray((steps - one(zero)) * one(scale), x.dtype)


def _fake_quantize_tree(node: Any, x: Tree) -> Tree:
    """Zero and range are left out where they are those of unsigned bytes from zero on."""
    range_ = {} if (node["low"], node["high"]) == (0.0, 255.0) else {
        "low": node["low"], "high": node["high"],
    }  # fmt: skip
    zero = [] if node["zero"] == 0.0 else [node["zero"]]
    return call("runtime.fake_quantize", x, node["scale"], *zero, **range_)


ROWS: list[Any] = [
    Op(
        "fake_quantize",
        "x",
        infer_float,
        _fake_quantize_tree,
        _fake_quantize,
        {
            "scale": Attr("float"),
            "zero": Attr("float", 0.0),
            "low": Attr("float", 0.0),
            "high": Attr("float", 255.0),
        },
        elementwise=True,
        doc="The nearest of the steps (low - zero) * scale ... (high - zero) * scale.",
    ),
    Op(
        "round_to_bytes",
        "x",
        infer_float,
        lambda n, x: call("runtime.round_to_bytes", x),
        _round_to_bytes,
        doc="The nearest of 256 steps between the least and the largest element, one of them 0.",
    ),
]
