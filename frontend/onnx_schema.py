"""What the standard says of an operator's inputs and attributes; errors where a node differs.

Rows can rely on it: the number of inputs, required attributes, and what kind each attribute is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import onnx

from ..errors import TranspileError

_LATEST = 2**31 - 1


@cache
def schema(domain: str, op: str, opset: int) -> Any:
    """The operator's schema at a version of its domain; None where the standard has none."""
    if not 0 < opset <= _LATEST:
        return None
    try:
        return onnx.defs.get_schema(op, opset, domain)
    except onnx.defs.SchemaError:
        return None


def check_node(node: Any, domain: str, opset: int) -> None:
    """TranspileError where a node is not as its operator's schema demands."""
    found = schema(domain, node.op_type, opset)
    if found is None:
        return
    _count("input", len(node.inputs), found.min_input, found.max_input)
    _count("output", len(node.outputs), found.min_output, found.max_output)
    for name, formal in found.attributes.items():
        attribute = node.attributes.get(name)
        if attribute is None:
            if formal.required:
                raise TranspileError(
                    f"the attribute {name} is missing", hint="save the model again"
                )
        elif attribute.type.name != formal.type.name:
            raise TranspileError(
                f"the attribute {name} is {attribute.type.name}, not {formal.type.name}",
                hint="save the model again",
            )


def _count(what: str, count: int, low: int, high: int) -> None:
    if not low <= count <= high:
        allowed = str(low) if low == high else f"{low} to {high}"
        raise TranspileError(
            f"it has {count} {what}s, and the operator takes {allowed}",
            hint="save the model again",
        )
