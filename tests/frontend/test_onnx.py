"""ONNX files end to end: no torch, one clear line for a bad file, symbolic dims, names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from mlx_transpile.errors import BadRequest, TranspileError  # noqa: E402
from mlx_transpile.frontend.onnx import capture_file, capture_model  # noqa: E402

FLOAT = TensorProto.FLOAT


def model(nodes: list[Any], weights: dict[str, np.ndarray], opset: int = 18) -> Any:
    """x [batch, 4] to y."""
    graph = helper.make_graph(
        nodes,
        "Classifier",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def linear() -> Any:
    rng = np.random.default_rng(0)
    weights = {
        "onnx::MatMul_7": rng.standard_normal((4, 3)).astype(np.float32),
        "head.bias": rng.standard_normal(3).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["h"], name="/head/MatMul"),
        helper.make_node("Add", ["h", "head.bias"], ["y"], name="/head/Add"),
    ]
    return model(nodes, weights)


def saved(tmp_path: Path, proto: Any) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_end_to_end(tmp_path: Path) -> None:
    result = transpile(saved(tmp_path, linear()), tmp_path / "out", validate=True)
    assert result.ok
    source = (tmp_path / "out" / "model.py").read_text()
    assert "nn.Linear" in source
    assert "MatMul_7" not in source


def test_symbolic_dims_have_the_names_of_the_file() -> None:
    captured = capture_model(linear())
    assert [str(d) for d in captured.program.forward.inputs[0].tensor.shape] == ["batch", "4"]
    assert set(captured.program.forward.params) == {"head.weight", "head.bias"}


def test_shape_arithmetic_becomes_dims() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["b"]),
        helper.make_node("Concat", ["b", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["y"]),
    ]
    weights = {"zero": np.array([0]), "rest": np.array([2, 2])}
    graph = capture_model(model(nodes, weights)).program.forward
    assert [n.op for n in graph.nodes] == ["reshape"]
    assert [str(d) for d in graph.outputs[0].tensor.shape] == ["batch", "2", "2"]


def test_no_torch(tmp_path: Path) -> None:
    path = saved(tmp_path, linear())
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from mlx_transpile.cli import main\n"
        f"sys.exit(main([{str(path)!r}, '-o', {str(tmp_path / 'out')!r}, '--validate']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_unsupported_operators_are_reported_at_once() -> None:
    nodes = [
        helper.make_node("NoSuch", ["x"], ["a"]),
        helper.make_node("Other", ["a"], ["y"], domain="acme"),
    ]
    with pytest.raises(TranspileError, match="2 unsupported ops") as error:
        capture_model(model(nodes, {}))
    assert "NoSuch" in str(error.value) and "acme.Other" in str(error.value)


def test_a_cycle() -> None:
    nodes = [helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    with pytest.raises(BadRequest, match="cycle"):
        capture_model(model(nodes, {}))


def test_a_truncated_file(tmp_path: Path) -> None:
    path = saved(tmp_path, linear())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadRequest, match=r"cut short|no readable"):
        transpile(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("location", "message"),
    [("gone.bin", "missing"), ("../away.bin", "outside"), ("/etc/hosts", "outside")],
)
def test_external_data(tmp_path: Path, location: str, message: str) -> None:
    proto = linear()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "away.bin").write_bytes(b"\0" * 48)
    with pytest.raises(BadRequest, match=message):
        capture_file(saved(folder, proto))


def test_values_that_make_shapes_are_read_or_fixed_at_the_examples() -> None:
    proto = model([helper.make_node("Reshape", ["x", "shape"], ["y"])], {})
    proto.graph.input.append(helper.make_tensor_value_info("shape", TensorProto.INT64, [2]))
    assert not capture_model(proto).baked
    x = np.zeros((2, 4), np.float32)
    captured = capture_model(proto, example_inputs={"x": x, "shape": np.array([4, -1])})
    assert captured.baked == {"shape": [4, -1]}
