"""Sizes that a file fixes though its inputs call them free."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile.frontend.onnx import capture_model  # noqa: E402


def reshaped(shape: list[Any], to: list[int]) -> Any:
    """The type of the input of a model that reshapes it."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["x", "to"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(to, np.int64), "to")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return [str(d) for d in capture_model(model).program.forward.inputs[0].tensor.shape]


def test_a_dim_that_was_exported_for_one_size():
    """torch writes the length of a GRU's input into the file: [9, -1, 24]."""
    assert reshaped(["S", "B", 24], [9, -1, 24]) == ["9", "B", "24"]


def test_dims_that_a_reshape_leaves_free():
    assert reshaped(["S", "B", 24], [-1, 12]) == ["S", "B", "24"]
    assert reshaped(["S", "B", 24], [0, -1, 12]) == ["S", "B", "24"]
