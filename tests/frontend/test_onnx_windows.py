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


def ops(nodes: list[Any], shape: list[Any], **values: list[int]) -> Any:
    """A graph of one input x and one output y; `values` are lists of integers."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in values.items()],
    )
    return capture_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def test_a_reflection_needs_more_than_it_adds():
    pad = helper.make_node("Pad", ["x", "pads"], ["y"], mode="reflect")
    assert lows(ops([pad], ["B", "S"], pads=[0, 3, 0, 5])) == {"B": 1, "S": 6}


def size_less(number: int) -> list[Any]:
    """`n`, a list of one: the length of x less a number."""
    return [
        helper.make_node("Shape", ["x"], ["s"], start=1, end=2),
        helper.make_node("Sub", ["s", "less"], ["n"]),
    ]


def test_a_slice_up_to_a_size_less_a_number_starts_at_that_size():
    """Below, the bound would count from the end."""
    nodes = [*size_less(5), helper.make_node("Slice", ["x", "zero", "n", "one"], ["y"])]
    assert lows(ops(nodes, ["B", "S"], less=[5], zero=[0], one=[1])) == {"B": 1, "S": 5}


def test_a_slice_down_to_zero_bounds_the_size_from_above():
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=1, end=2),
        helper.make_node("Sub", ["table", "s"], ["n"]),
        helper.make_node("Slice", ["x", "n", "table", "one"], ["y"]),
    ]
    found = ops(nodes, ["B", "S"], table=[40], one=[1])
    assert {s.name: s.high for s in found.program.forward.symbols()} == {"B": None, "S": 40}


def test_a_padding_by_a_size_is_not_negative():
    nodes = [
        *size_less(4),
        helper.make_node("Concat", ["zeros", "n"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["y"]),
    ]
    assert lows(ops(nodes, ["B", "S"], less=[4], zeros=[0, 0, 0])) == {"B": 1, "S": 4}


def test_quotients_of_sizes_as_floats_are_rounded_exactly():
    """The frames of a sound as exporters write them: to float, divide, ceil, back to integers."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=1, end=2),
        helper.make_node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["eight"], ["e"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "e"], ["q"]),
        helper.make_node("Ceil", ["q"], ["c"]),
        helper.make_node("Cast", ["c"], ["frames"], to=TensorProto.INT64),
        helper.make_node("Mul", ["frames", "eight"], ["whole"]),
        helper.make_node("Sub", ["whole", "s"], ["rest"]),
        helper.make_node("Concat", ["zeros", "rest"], ["pads"], axis=0),
        helper.make_node("Pad", ["x", "pads"], ["y"]),
    ]
    found = ops(nodes, ["B", "S"], eight=[8], zeros=[0, 0, 0]).program.forward
    assert not [n for n in found.nodes if n.op == "read_size"]
    assert str(found.outputs[0].tensor.shape[1]) == "8*((S + 7)//8)"


def test_a_quotient_of_sizes_that_is_not_rounded_is_computed():
    nodes = [
        helper.make_node("Shape", ["x"], ["s"], start=1, end=2),
        helper.make_node("Cast", ["s"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["eight"], ["e"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "e"], ["q"]),
        helper.make_node("Mul", ["x", "q"], ["y"]),
    ]
    found = ops(nodes, ["B", "S"], eight=[8])
    x = np.ones((2, 5), np.float32)
    (node,) = [n for n in found.program.forward.nodes if n.op == "divide"]
    assert np.allclose(found.run([x]), 5 / 8) and node.operands
