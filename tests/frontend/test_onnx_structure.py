"""ONNX files without any names: repeated blocks become classes, called in a loop."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from tests.models.bert import bert_encoder  # noqa: E402
from tests.models.llama import llama_decoder  # noqa: E402
from tests.models.resnet import resnet  # noqa: E402
from tests.onnx_tools import exported, stripped  # noqa: E402

EXPORTERS = ("legacy", "dynamo")
CASES = {
    "llama": lambda: llama_decoder(2),
    "llama deep": lambda: llama_decoder(6),
    "bert": lambda: bert_encoder(2),
    "resnet": lambda: resnet((2, 3)),
}
CLASSES = {
    "llama": ["Attention", "MLP", "TransformerBlock", "Model"],
    "bert": ["Embeddings", "Attention", "MLP", "TransformerBlock", "Model"],
    "resnet": ["FirstResidualBlock", "ResidualBlock", "Model"],
}
ATTRIBUTES = {
    "llama": "embed_tokens layers norm lm_head q_proj k_proj v_proj o_proj gate_proj up_proj "
    "down_proj attention_norm self_attn mlp_norm mlp",
    "bert": "word_embeddings token_type_embeddings position_embeddings norm q_proj k_proj v_proj "
    "o_proj fc1 fc2 self_attn attention_norm mlp mlp_norm embeddings layers pooler",
    "resnet": "conv stage1 stage2 conv1 conv2 conv3 downsample head",
}


@cache
def proto(name: str, exporter: str, folder: Path) -> Any:
    return exported(CASES[name](), exporter, folder / f"{name}.{exporter}.onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


def emitted(model: Any, out: Path, **options: Any) -> str:
    """model.py, after it was held against onnxruntime at two sizes or more."""
    path = out.with_suffix(".onnx")
    path.write_bytes(model.SerializeToString())
    result = transpile(path, out, validate=True, **options)
    assert result.ok and result.report is not None
    assert all(len(result.report.ran(symbol)) > 1 for symbol in result.report.symbols)
    return (out / "model.py").read_text()


def classes(source: str) -> list[str]:
    return re.findall(r"^class (\w+)\(nn\.Module\)", source, re.MULTILINE)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", CLASSES)
def test_a_graph_without_names(name: str, exporter: str, folder: Path, tmp_path: Path) -> None:
    source = emitted(stripped(proto(name, exporter, folder)), tmp_path / "out")
    assert classes(source) == CLASSES[name]
    assert set(ATTRIBUTES[name].split()) <= set(re.findall(r"self\.(\w+)", source))
    assert re.search(r"for \w+ in self\.(layers|stage1):", source)
    assert not re.search(r"onnx::|\bval_\d|\bnode_|\b(?!mx\b|nn\b)[a-z]{2}\b = ", source)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_number_of_layers_is_a_number(exporter: str, folder: Path, tmp_path: Path) -> None:
    two = emitted(stripped(proto("llama", exporter, folder)), tmp_path / "two")
    six = emitted(stripped(proto("llama deep", exporter, folder)), tmp_path / "six")
    assert two == six


def test_the_order_of_nodes_does_not_matter(folder: Path, tmp_path: Path) -> None:
    model = stripped(proto("bert", "legacy", folder))
    before = emitted(model, tmp_path / "before")
    nodes = shuffled(list(model.graph.node))
    assert [n.output[0] for n in nodes] != [n.output[0] for n in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert emitted(model, tmp_path / "after") == before


def shuffled(nodes: list[Any]) -> list[Any]:
    """Another order in which every node stands behind what it reads."""
    rng = np.random.default_rng(0)
    made = {name for node in nodes for name in node.output}
    order: list[Any] = []
    while nodes:
        ready = [n for n in nodes if not any(i in made for i in n.input)]
        node = ready[int(rng.integers(len(ready)))]
        order.append(node)
        nodes.remove(node)
        made -= set(node.output)
    return order


@pytest.mark.parametrize("name", CLASSES)
def test_the_optimizer_works_as_with_names(name: str, folder: Path, tmp_path: Path) -> None:
    source = emitted(stripped(proto(name, "dynamo", folder)), tmp_path / "out", level=2)
    assert classes(source) == CLASSES[name]
    assert name != "llama" or "self.qkv_proj(" in source


def test_names_of_weights_name_modules(folder: Path, tmp_path: Path) -> None:
    """Nodes and values have no names, initializers do."""
    source = emitted(stripped(proto("llama", "dynamo", folder), weights=True), tmp_path / "out")
    assert classes(source) == CLASSES["llama"]
    keys = tensors(tmp_path / "out")
    for norm in ("input_layernorm", "post_attention_layernorm"):
        assert {f"model.layers.{i}.{norm}.weight" for i in range(2)} <= keys
    assert {"model.embed_tokens.weight", "model.norm.weight"} <= keys


def tensors(out: Path) -> set[str]:
    import mlx.core as mx

    return set(mx.load(str(out / "weights.safetensors")))


def test_weights_are_made_from_the_tensors_of_the_file(folder: Path, tmp_path: Path) -> None:
    model = stripped(proto("llama deep", "legacy", folder))
    emitted(model, tmp_path / "out")
    script = (tmp_path / "out" / "remap_weights.py").read_text()
    made = script[script.index("MADE = [") : script.index("ALIASES")]
    assert made.count("layers.{}.") == 9 and "layers.5" not in made
    listed = set(re.findall(r'"([a-z]{1,3})"', made))
    assert listed <= {t.name for t in model.graph.initializer} and len(listed) > 9 * 6


# ---- models by hand


def residual(slopes: list[float], shared: bool = False) -> Any:
    """x + leaky_relu(x @ A + a) @ B + b, for each slope, and a layer norm behind each."""
    rng = np.random.default_rng(0)
    weights: dict[str, np.ndarray] = {}
    nodes = []
    value = "x"
    for i, slope in enumerate(slopes):
        own = "" if shared else str(i)
        for key, shape in (("p", (8, 16)), ("q", (16,)), ("r", (16, 8)), ("s", (8,)), ("t", (8,))):
            weights.setdefault(
                f"{key}{own}", (rng.standard_normal(shape) / 4 + 0.1).astype(np.float32)
            )
        steps = [
            ("MatMul", [value, f"p{own}"], {}), ("Add", ["", f"q{own}"], {}),
            ("LeakyRelu", [""], {"alpha": slope}), ("MatMul", ["", f"r{own}"], {}),
            ("Add", ["", f"s{own}"], {}), ("Add", ["", value], {}),
            ("LayerNormalization", ["", f"t{own}", f"s{own}"], {"axis": -1}),
        ]  # fmt: skip
        for k, (op, inputs, attributes) in enumerate(steps):
            name = f"v{i}_{k}"
            inputs = [n or f"v{i}_{k - 1}" for n in inputs]
            nodes.append(helper.make_node(op, inputs, [name], **attributes))
        value = name
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 8])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_blocks_that_differ_in_an_attribute_are_two_classes(tmp_path: Path) -> None:
    like = emitted(residual([0.1, 0.1, 0.1, 0.1]), tmp_path / "like")
    assert len(classes(like)) == 3  # the block, its MLP, the model
    assert "for layer in self.layers" in like
    unlike = emitted(residual([0.1, 0.1, 0.2, 0.2]), tmp_path / "unlike")
    assert "0.1" in unlike and "0.2" in unlike


def test_one_module_called_again_has_its_weights_once(tmp_path: Path) -> None:
    emitted(residual([0.1, 0.1, 0.1], shared=True), tmp_path / "out")
    names = tensors(tmp_path / "out")
    assert {n.rpartition(".")[2] for n in names} == {"weight", "bias"}
    assert len([n for n in names if n.endswith("fc1.weight")]) == 1


def test_a_bias_behind_a_scale_is_a_weight_of_the_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {
        "onnx::MatMul_7": rng.standard_normal((4, 3)).astype(np.float32),
        "dense.bias": rng.standard_normal(3).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["h"], name="/dense/MatMul"),
        helper.make_node("Sin", ["h"], ["s"], name="/dense/Sin"),
        helper.make_node("Add", ["s", "dense.bias"], ["y"], name="/dense/Add"),
    ]
    graph = helper.make_graph(
        nodes,
        "Net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, key) for key, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    assert "dense" in emitted(model, tmp_path / "out")
