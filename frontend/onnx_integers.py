"""What becomes of the results that a quantized model rounds, in words for the report."""

from __future__ import annotations

from collections import Counter
from typing import Any

_ROUNDING = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")


def integers(model: Any) -> list[str]:
    """A line for the results that the file rounds to whole numbers; none where it rounds none."""
    ops = Counter(n.op_type for n in model.graph if _rounds(n.op_type))
    counts = ", ".join(f"{op} x{count}" for op, count in sorted(ops.items()))
    text = f"results that the file rounds to integers are rounded alike: {counts}"
    halves = "where a value is half way between two steps, its last bit decides"
    return [f"{text}; {halves}"] if ops else []


def _rounds(op: str) -> bool:
    return op in _ROUNDING or op.startswith("QLinear")
