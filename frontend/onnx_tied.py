"""Matrices that an exporter has turned: what they were copied from, or what they belong to.

A head that shares its weight with the embedding becomes a second matrix with the same numbers, and
the table is named after either module. Any other turned weight loses its name, but not the bias
that is added behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .onnx_names import readable
from .onnx_read import array_of
from .onnx_values import Host


class Tied:
    """The tables of a model's embeddings, and which matrices are copies of them."""

    def __init__(self, graph: Any):
        self._tables = _tables(graph)
        self._found: dict[str, Any] = {}

    def table_of(self, x: Host) -> Any:
        """The table whose transpose the nameless matrix is (an onnx-ir value), or None."""
        if x.initializer not in self._found:
            same = x.rank == 2 and x.dtype.is_float and not readable(x.initializer)
            self._found[x.initializer] = self._equal(x) if same else None
        return self._found[x.initializer]

    def _equal(self, x: Host) -> Any:
        for table in self._tables:
            tensor = table.const_value
            alike = tensor.dtype.name == _NAMES[x.dtype.value]
            alike = alike and tuple(tensor.shape) == x.shape[::-1]
            if alike and np.array_equal(array_of(tensor).T, x.array):
                return table
        return None


def names_by_bias(graph: Any) -> dict[str, str]:
    """Names of nameless matrices by the biases behind their products: `qkv.weight`, `qkv.bias`."""
    found: dict[str, str] = {}
    taken = set(graph.initializers)
    for node in graph:
        weight: Any = _second_factor(node)
        users: Any = node.outputs[0].uses() if weight is not None else ()
        if len(users) == 1 and _is_nameless(weight) and len(weight.uses()) == 1:
            name = _bias_of(users[0].node)
            if name and name not in taken:
                found[weight.name] = name
                taken.add(name)
    return found


def _second_factor(node: Any) -> Any:
    whole = node.op_type == "MatMul" and len(node.inputs) == 2 and node.outputs
    return node.inputs[1] if whole else None


def _is_nameless(value: Any) -> bool:
    return value.const_value is not None and not readable(value.name or "")


def _bias_of(node: Any) -> str:
    """The name of the weight to the one vector that an addition adds; "" where there is none."""
    if node.op_type != "Add":
        return ""
    names = [
        readable(v.name or "")
        for v in node.inputs
        if v is not None and v.const_value is not None and len(v.const_value.shape) == 1
    ]
    if len(names) != 1 or not names[0].endswith("bias"):
        return ""
    return names[0].removesuffix("bias") + "weight"


_NAMES = {"f16": "FLOAT16", "bf16": "BFLOAT16", "f32": "FLOAT", "f64": "DOUBLE"}


def _tables(graph: Any) -> list[Any]:
    """Matrices with a name of which rows are gathered."""
    found: dict[Any, None] = {}
    for node in graph:
        if node.op_type == "Gather" and node.inputs and node.inputs[0] is not None:
            value = node.inputs[0]
            known = value.const_value is not None and value.name in graph.initializers
            if known and len(value.const_value.shape) == 2 and readable(value.name or ""):
                found[value] = None
    return list(found)
