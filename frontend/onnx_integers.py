"""What becomes of a quantized model's integers, in words for the report."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..ir import Graph
from ..ir.recipe import reads

_SHOWN = 4
_ROUNDING = ("QuantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger")
_INTEGERS = ("INT", "UINT")


def integers(model: Any, graph: Graph) -> list[str]:
    """A line for the weights, a line for the results; none where the model is not quantized."""
    stored = {
        name
        for name, value in model.graph.initializers.items()
        if value.const_value is not None and value.const_value.dtype.name.startswith(_INTEGERS)
    }
    weights = [
        name
        for name, param in graph.params.items()
        if param.tensor.dtype.is_float and stored.intersection(reads(param.recipe))
    ]
    ops = Counter(n.op_type for n in model.graph if _rounds(n.op_type))
    lines = []
    if weights:
        lines.append(
            f"{len(weights)} weights that the file holds as integers are floats here "
            f"({_some(weights)}); --quantize packs them for MLX"
        )
    if ops:
        counts = ", ".join(f"{op} x{count}" for op, count in sorted(ops.items()))
        lines.append(f"results that the file rounds to integers are rounded alike: {counts}")
    return lines


def _rounds(op: str) -> bool:
    return op in _ROUNDING or op.startswith("QLinear")


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join([*names[:_SHOWN], *([f"{more} more"] if more > 0 else [])])
