"""Which tensor the type of random numbers follows, for torch and ONNX alike."""

from __future__ import annotations

from ..ir import DType, Value


def followed(like: Value | None, dtype: DType) -> Value | None:
    """What numbers drawn for it follow in their type; None for a tensor that is only filled."""
    filled = like is None or (like.node is not None and like.node.op == "full")
    return None if filled or like is None or like.tensor.dtype is not dtype else like
