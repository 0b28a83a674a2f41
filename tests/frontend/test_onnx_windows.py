"""Sizes below which a convolution has nothing to compute are refused, and not tried."""

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile.frontend.onnx import capture_model  # noqa: E402


def captured(stride: int, **pads: Any) -> Any:
    weight = np.ones((2, 1, 40), np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["h"], strides=[stride], **pads)]
    nodes += [helper.make_node("Slice", ["h", "a", "b", "two"], ["y"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 1, "S"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(weight, "w"),
            *(numpy_helper.from_array(np.array([n], np.int64), m) for m, n in (("a", 1), ("b", 99), ("two", 2))),
        ],
    )  # fmt: skip
    return capture_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def lows(found: Any) -> dict[str, int]:
    return {s.name: s.low for s in found.program.forward.symbols()}


@pytest.mark.parametrize("stride, pads, low", [(1, {}, 40), (7, {}, 40), (1, {"pads": [8, 7]}, 25)])
def test_the_smallest_length(stride, pads, low):
    found = captured(stride, **pads)
    assert lows(found) == {"B": 1, "S": low}
    assert found.example_inputs[0].shape[2] >= low


def test_slices_may_be_empty():
    """A padding that covers the window: nothing else asks for a size."""
    assert lows(captured(1, pads=[20, 20])) == {"B": 1, "S": 1}
