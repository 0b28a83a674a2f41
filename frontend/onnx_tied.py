"""Embedding tables that other modules read: a head that shares its weight with the embedding.

Exporters turn the head's weight at export, which leaves a second matrix with the same numbers, and
name the table after either module.
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


_NAMES = {"f16": "FLOAT16", "bf16": "BFLOAT16", "f32": "FLOAT", "f64": "DOUBLE"}


def _tables(graph: Any) -> list[Any]:
    """Matrices with a name of which rows are gathered."""
    found: dict[Any, None] = {}
    for node in graph:
        if node.op_type == "Gather" and node.inputs[0] is not None:
            value = node.inputs[0]
            known = value.const_value is not None and value.name in graph.initializers
            if known and len(value.const_value.shape) == 2 and readable(value.name or ""):
                found[value] = None
    return list(found)
