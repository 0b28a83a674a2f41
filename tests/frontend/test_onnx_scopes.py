"""Modules around the nodes of an ONNX file, and the names of what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.frontend.onnx_names import class_of  # noqa: E402


def scoped(node: Any, paths: list[str], classes: list[str]) -> Any:
    """The node with the metadata of torch's newer exporter."""
    for key, entries in (("name_scopes", paths), ("class_hierarchy", classes)):
        entry = node.metadata_props.add()
        entry.key, entry.value = f"pkg.torch.onnx.{key}", repr(["", *entries, node.name])
    return node


def captured(nodes: list[Any], weights: dict[str, tuple[int, ...]], shape: list[Any]) -> Any:
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n)
            for n, s in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return capture_model(model).program.forward


def places(graph: Any) -> dict[str, str]:
    return {node.op: node.scope.path for node in graph.nodes}


def test_a_norm_folded_into_a_convolution_is_the_convolution():
    conv = helper.make_node("Conv", ["x", "conv1.weight", "conv1.weight_bias"], ["h"], name="n")
    relu = helper.make_node("Relu", ["h"], ["y"], name="r")
    graph = captured(
        [scoped(conv, ["bn1"], ["nn.BatchNorm2d"]), scoped(relu, ["relu"], ["nn.ReLU"])],
        {"conv1.weight": (4, 3, 1, 1), "conv1.weight_bias": (4,)},
        ["B", 3, 8, 8],
    )
    assert places(graph)["conv"] == "conv1"
    assert set(graph.params) == {"conv1.weight", "conv1.bias"}


def test_a_module_that_reads_the_weights_of_another_stays_itself():
    """A tied head: the embedding has a node of its own."""
    gather = helper.make_node("Sigmoid", ["embed.weight"], ["e"], name="g")
    product = helper.make_node("MatMul", ["x", "embed.weight"], ["h"], name="m")
    total = helper.make_node("Add", ["h", "e"], ["y"], name="a")
    graph = captured(
        [
            scoped(gather, ["embed"], ["nn.Embedding"]),
            scoped(product, ["head"], ["nn.Linear"]),
            scoped(total, ["head"], ["nn.Linear"]),
        ],
        {"embed.weight": (4, 4)},
        [4, 4],
    )
    assert places(graph)["matmul"] == "head"


def test_a_module_of_a_module_that_is_not_called_has_the_path_of_its_weights():
    """`self.net.first(x)`: the older exporter's names of nodes start at `first`."""
    names = ("/first/conv/Conv", "/first/Relu", "/second/conv/Conv", "/second/Relu")
    weights = ("net.first.conv.weight", "net.second.conv.weight")
    graph = captured(
        [
            helper.make_node("Conv", ["x", weights[0]], ["a"], name=names[0]),
            helper.make_node("Relu", ["a"], ["b"], name=names[1]),
            helper.make_node("Conv", ["b", weights[1]], ["c"], name=names[2]),
            helper.make_node("Relu", ["c"], ["y"], name=names[3]),
        ],
        dict.fromkeys(weights, (3, 3, 1, 1)),
        ["B", 3, 8, 8],
    )
    paths = {node.scope.path for node in graph.nodes}
    assert paths == {"net.first", "net.first.conv", "net.second", "net.second.conv"}
    assert set(graph.params) == set(weights)


def test_a_module_whose_weights_disagree_keeps_its_path():
    graph = captured(
        [
            helper.make_node("Conv", ["x", "a.first.conv.weight"], ["h"], name="/first/conv/Conv"),
            helper.make_node(
                "Conv", ["h", "b.first.conv.weight"], ["y"], name="/first/conv/Conv_1"
            ),
        ],
        {"a.first.conv.weight": (3, 3, 1, 1), "b.first.conv.weight": (3, 3, 1, 1)},
        ["B", 3, 8, 8],
    )
    assert {node.scope.path for node in graph.nodes} == {"first.conv"}


def test_nodes_that_say_nothing_are_around_their_neighbours():
    split = helper.make_node("Split", ["h"], ["a", "b"], axis=1, num_outputs=2, name="")
    graph = captured(
        [
            scoped(helper.make_node("Relu", ["x"], ["h"], name="r"), ["net", "net.first"], ["Net", "First"]),
            split,
            scoped(helper.make_node("Mul", ["a", "b"], ["y"], name="m"), ["net"], ["Net"]),
        ],
        {},
        ["B", 4],
    )  # fmt: skip
    assert places(graph)["split"] == "net"


def test_names_of_nodes_as_paths():
    """Each part repeats the attribute from the list that it is in, however deep."""
    name = "/features/features.0/features.0.1/Relu"
    graph = captured([helper.make_node("Relu", ["x"], ["y"], name=name)], {}, ["B", 4])
    assert set(places(graph).values()) == {"features.0.1"}


@pytest.mark.parametrize(
    "part, name",
    [
        ("self_attn", "SelfAttn"),
        ("layers.0", "Layer"),
        ("layer1.0", "Layer"),
        ("layer4.12", "Layer"),
        ("transformer_blocks.1", "TransformerBlock"),
        ("h.0", "H"),
        ("layers", "Layers"),
        ("conv1", "Conv"),
        ("conv2d", "Conv2d"),
        ("class.0", "Class"),
        ("0", "Block"),
    ],
)
def test_classes_from_attributes(part, name):
    assert class_of(part) == name


def head(copy: np.ndarray | None = None) -> Any:
    """A table with the head's name, and the head's weight turned by the exporter."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((7, 4)).astype(np.float32)
    turned = table.T if copy is None else copy
    graph = helper.make_graph(
        [
            scoped(helper.make_node("Gather", ["lm_head.weight", "x"], ["h"], name="g"), ["m", "m.embed"], ["M", "E"]),
            scoped(helper.make_node("MatMul", ["h", "val_3"], ["y"], name="p"), ["lm_head"], ["Linear"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["B", "L"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "lm_head.weight"), numpy_helper.from_array(turned, "val_3")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return capture_model(model).program.forward


def test_a_head_that_is_a_copy_of_the_table_is_tied():
    graph = head()
    assert set(graph.params) == {"m.embed.weight"}
    assert [n.op for n in graph.nodes] == ["embedding", "linear"]


def test_a_head_with_other_numbers_is_its_own():
    graph = head(np.ones((4, 7), np.float32))
    assert set(graph.params) == {"m.embed.weight", "lm_head.weight"}


def product(bias: str, **more: tuple[int, ...]) -> Any:
    """A matrix without a name in a module, and a bias behind its product."""
    nodes = [
        scoped(
            helper.make_node("MatMul", ["x", "val_3"], ["h"], name="p"), ["attn"], ["Attention"]
        ),
        scoped(helper.make_node("Add", ["h", bias], ["y"], name="a"), ["attn"], ["Attention"]),
    ]
    return captured(nodes, {"val_3": (4, 6), bias: (6,), **more}, ["B", 4])


def test_a_matrix_is_named_after_the_bias():
    assert set(product("attn.qkv.bias").params) == {"attn.qkv.weight", "attn.qkv.bias"}
    assert set(product("attn.in_proj_bias").params) == {"attn.in_proj_weight", "attn.in_proj_bias"}


def test_a_vector_that_is_no_bias_names_nothing():
    assert set(product("attn.shift").params) == {"attn.weight", "attn.shift"}
    taken = product("attn.qkv.bias", **{"attn.qkv.weight": (2, 2)})
    assert "attn.weight" in taken.params


def test_masks_that_the_code_writes_into_zeros_are_constants():
    """Numbers without a name that are written into a constant: as the code of a window mask is."""
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [9, 9], np.zeros(81))
    nodes = [
        helper.make_node("Constant", [], ["z"], value=zeros),
        helper.make_node("ScatterND", ["z", "val_1", "val_2"], ["m"]),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 9, 9])]
    tensors = {
        "val_1": np.array([[0], [4]]),
        "val_2": np.arange(18, dtype=np.float32).reshape(2, 9),
    }
    for name, ops in (("val_2", ["add"]), ("weights", ["index_put", "add"])):
        nodes[1].input[2] = name
        stored = [
            numpy_helper.from_array(a, name if a.dtype == np.float32 else n)
            for n, a in tensors.items()
        ]
        graph = helper.make_graph(
            nodes,
            "g",
            inputs,
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            stored,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        found = [n.op for n in capture_model(model).program.forward.nodes]
        assert [op for op in found if op in ("index_put", "add")][-1] == "add"
        assert ("index_put" in found) == ("index_put" in ops)
