"""Quantized ONNX models: weights become floats when they are written, results are rounded alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402
from mlx_transpile.ir.graph import leaves  # noqa: E402
from mlx_transpile.ir.interpret import interpret  # noqa: E402

FLOAT = TensorProto.FLOAT
node = helper.make_node
rng = np.random.default_rng(0)
FC1 = rng.integers(-127, 128, (16, 24), np.int8)
FC2 = rng.integers(0, 256, (24, 8), np.uint8)
SCALES = rng.uniform(0.001, 0.01, 24).astype(np.float32)


def qdq() -> Any:
    """Two linear layers: weights by channel, and whole; results rounded between them."""
    weights = {
        "fc1.weight_quantized": FC1,
        "fc1.weight_scale": SCALES,
        "fc1.weight_zero_point": np.zeros(24, np.int8),
        "fc1.bias": rng.standard_normal(24).astype(np.float32),
        "fc2.weight_quantized": FC2,
        "fc2.weight_scale": np.float32(0.004),
        "fc2.weight_zero_point": np.uint8(131),
        "x_scale": np.float32(0.03),
        "x_zero_point": np.uint8(128),
        "h_scale": np.float32(0.02),
        "h_zero_point": np.int8(-5),
    }
    nodes = [
        node("QuantizeLinear", ["x", "x_scale", "x_zero_point"], ["x_q"]),
        node("DequantizeLinear", ["x_q", "x_scale", "x_zero_point"], ["x_f"]),
        node("DequantizeLinear", [f"fc1.weight_{p}" for p in ("quantized", "scale", "zero_point")],
             ["w1"], axis=1),
        node("MatMul", ["x_f", "w1"], ["a"], name="/fc1/MatMul"),
        node("Add", ["a", "fc1.bias"], ["b"], name="/fc1/Add"),
        node("QuantizeLinear", ["b", "h_scale", "h_zero_point"], ["h_q"]),
        node("DequantizeLinear", ["h_q", "h_scale", "h_zero_point"], ["h_f"]),
        node("DequantizeLinear", [f"fc2.weight_{p}" for p in ("quantized", "scale", "zero_point")],
             ["w2"]),
        node("MatMul", ["h_f", "w2"], ["y"], name="/fc2/MatMul"),
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes,
        "Net",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 16])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qdq")
    (folder / "model.onnx").write_bytes(qdq().SerializeToString())
    result = transpile(folder / "model.onnx", folder / "out", validate=True)
    assert result.ok and result.report is not None and result.report.max_abs < 1e-5
    return folder / "out"


def test_weights_are_floats_in_linear_layers(out: Path) -> None:
    source = (out / "model.py").read_text()
    assert source.count("nn.Linear(") == 2
    assert "Quantize" not in source and "zero_point" not in source and "uint8" not in source
    assert "h_f = fake_quantize(self.fc1(x_f), 0.02, -5.0, low=-128.0, high=127.0)" in source
    stored = load_file(out / "weights.safetensors")
    assert set(stored) == {"fc1.weight", "fc1.bias", "fc2.weight"}
    np.testing.assert_array_equal(stored["fc1.weight"], (FC1 * SCALES).T)
    np.testing.assert_allclose(stored["fc2.weight"], (FC2.T - np.float32(131)) * np.float32(0.004))


def test_the_report_says_so(out: Path) -> None:
    report = (out / "report.md").read_text()
    for name, width in (("fc1", 16), ("fc2", 24)):  # no group of MLX's divides the widths
        line = "- 1 weight is floats here, whole numbers in the source: "
        assert f"{line}32 does not divide its {width} inputs ({name})" in report
    assert "results that the file rounds to integers are rounded alike: QuantizeLinear x2" in report


def test_they_can_be_packed_for_mlx(out: Path, tmp_path: Path) -> None:
    path = out.parent / "model.onnx"
    wide = onnx.load(path)
    _widen(wide)
    (tmp_path / "wide.onnx").write_bytes(wide.SerializeToString())
    result = transpile(tmp_path / "wide.onnx", tmp_path / "out", quantize="8:32", validate=True)
    assert result.ok and result.quantization is not None and result.quantization.layers


def _widen(model: Any) -> None:
    """Four times as many inputs: groups of 32 need them."""
    for tensor in model.graph.initializer:
        if tensor.name == "fc1.weight_quantized":
            tensor.CopyFrom(numpy_helper.from_array(np.concatenate([FC1] * 4), tensor.name))
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 64


def dynamic() -> Any:
    """Bytes without a sign by bytes with one, as large as they get: sums of two leave 16 bits."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["x_q", "x_s", "x_z"]),
        node("MatMulInteger", ["x_q", "w", "x_z"], ["i"]),
        node("Cast", ["i"], ["f"], to=FLOAT),
        node("Mul", ["x_s", "w_s"], ["s"]),
        node("Mul", ["f", "s"], ["y"]),
    ]
    return of_nodes(nodes, {"w": np.full((32, 8), 127, np.int8), "w_s": np.float32(0.01)}, 32)


def by_blocks() -> Any:
    """Weights of 4 bits; the file allows its products to be computed in 8 bits."""
    attributes = {"K": 32, "N": 8, "bits": 4, "block_size": 32, "accuracy_level": 4}
    nodes = [node("MatMulNBits", ["x", "w", "w_s"], ["y"], domain="com.microsoft", **attributes)]
    packed = rng.integers(0, 256, (8, 1, 16), np.uint8)
    scales = rng.uniform(0.1, 1, 8).astype(np.float32)
    return of_nodes(nodes, {"w": packed, "w_s": scales}, 32)


def of_nodes(nodes: list[Any], weights: dict[str, Any], columns: int) -> Any:
    graph = helper.make_graph(
        nodes,
        "Net",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", columns])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize("make", [dynamic, by_blocks])
def test_the_source_runs_in_the_precision_of_the_file(make: Any) -> None:
    """onnxruntime may saturate, or quantize what is multiplied, where it is not told not to."""
    found = capture_model(make())
    x = rng.uniform(1, 2, (5, 32)).astype(np.float32)
    (ours,) = leaves(interpret(found.program.forward, [x], found.tensors))
    np.testing.assert_allclose(ours, found.run([x]), rtol=1e-5, atol=1e-5)


def test_models_without_integers_say_nothing(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [node("Relu", ["x"], ["y"])],
        "Net",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    plan = transpile(path, None, check=True).plan
    assert plan is not None and "integers" not in plan
