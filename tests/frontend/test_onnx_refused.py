"""What a user meets with ONNX files that are bad or ask too much: one clear message, nothing written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from mlx_transpile.cli import main  # noqa: E402
from mlx_transpile.errors import TranspileError  # noqa: E402
from mlx_transpile.frontend.onnx import capture_model  # noqa: E402

FLOAT = TensorProto.FLOAT
node = helper.make_node


def model(*nodes: Any, opset: int = 18, dims: Any = ("batch", 4), dtype: int = FLOAT) -> Any:
    """x to y; a linear layer by default."""
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    graph = helper.make_graph(
        list(nodes) or [node("MatMul", ["x", "w"], ["y"], name="/head/MatMul")],
        "Classifier",
        [helper.make_tensor_value_info("x", dtype, dims)],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def external(location: str, **entries: object) -> Any:
    proto = model()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return proto


def changed(change: Callable[[Any], object]) -> Any:
    proto = model()
    change(proto)
    return proto


def data_type(number: int) -> Callable[[Any], None]:
    def change(proto: Any) -> None:
        proto.graph.initializer[0].data_type = number

    return change


WHOLE = model().SerializeToString()
BAD = {
    "empty": (b"", 2, "is empty"),
    "text": (b"hello, world", 2, "no format that is known"),
    "random bytes": (bytes(range(7, 250)), 2, "no format that is known"),
    "an HTML page": (b"<html>", 2, "HTML"),
    "cut short": (WHOLE[:-20], 2, "cut short"),
    "damaged inside": (WHOLE.replace(b"Classifier", b"\xff" * 10), 2, "is damaged"),
    "an empty graph": (helper.make_model(onnx.GraphProto()), 2, "no outputs"),
    "data missing": (external("gone.bin"), 2, "there is no file 'gone.bin'"),
    "data outside": (external("../away.bin"), 2, "outside of the model's folder"),
    "data at an absolute path": (external("/etc/hosts"), 2, "outside of the model's folder"),
    "data too short": (external("short.bin", offset=0, length=48), 2, "too short"),
    "data shorter than its shape": (external("short.bin"), 2, "does not fit its shape"),
    "a negative place": (external("short.bin", offset=-8, length=8), 2, "'w'"),
    "a cycle": (
        model(node("Add", ["x", "y"], ["a"]), node("Relu", ["a"], ["y"])),
        2,
        "has a cycle",
    ),
    "an operator that is none": (model(node("NoSuch", ["x"], ["y"])), 1, "NoSuch"),
    "a domain that is none": (model(node("Relu", ["x"], ["y"], domain="acme")), 1, "acme.Relu"),
    "strings": (model(node("StringNormalizer", ["x"], ["y"])), 1, "StringNormalizer"),
    "a sequence": (model(node("SequenceConstruct", ["x"], ["y"])), 1, "is a sequence"),
    "an input of strings": (model(dtype=TensorProto.STRING), 1, "holds string"),
    "an input of 8-bit floats": (model(dtype=TensorProto.FLOAT8E5M2), 1, "holds float8"),
    "weights of strings": (changed(data_type(TensorProto.STRING)), 1, "holds string"),
    "integers and floats": (model(node("Add", ["x", "i"], ["y"])), 1, "'i' is used"),
    "types that do not go together": (
        model(node("Shape", ["x"], ["s"]), node("MatMul", ["x", "s"], ["y"])),
        1,
        "MatMul",
    ),
    "an opset to come": (model(opset=10**6), 2, "opset 1000000"),
    "an opset below all": (model(opset=0), 2, "opset 0"),
    "an attribute of another type": (
        model(node("Softmax", ["x"], ["y"], axis="last")),
        1,
        "the attribute axis is STRING, not INT",
    ),
    "too many inputs": (model(node("Relu", ["x", "w"], ["y"])), 1, "it has 2 inputs"),
    "an attribute is missing": (model(node("Cast", ["x"], ["y"])), 1, "attribute to is missing"),
    "nothing makes the output": (model(node("Relu", ["x"], ["z"])), 1, "'y'"),
    "a negative size": (model(dims=[-2, 4]), 2, "size -2"),
    "an enormous input": (model(node("Relu", ["x"], ["y"]), dims=[2**40, 4]), 2, "elements"),
    "shapes that do not go together": (model(dims=["batch", 5]), 1, "MatMul"),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_message(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content, status, message = BAD[name]
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "away.bin").write_bytes(b"\0" * 48)
    (folder / "short.bin").write_bytes(b"\0" * 40)
    path = folder / "model.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    assert main([str(path), "-o", str(folder / "out")]) == status
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert said.startswith("transpile: ") and said.count("\n") <= 5
    assert sorted(p.name for p in folder.iterdir()) == ["model.onnx", "short.bin"]


def test_a_link_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "away.bin").write_bytes(b"\0" * 48)
    folder = tmp_path / "inner"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "away.bin")
    path = folder / "model.onnx"
    path.write_bytes(external("link.bin").SerializeToString())
    with pytest.raises(TranspileError, match="outside of the model's folder"):
        transpile(path, folder / "out")


# ---- without torch, without onnxruntime


def _run(path: Path, out: Path, *without: str) -> subprocess.CompletedProcess[str]:
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in without)
    code = (
        f"import sys\n{blocked}from mlx_transpile.cli import main\n"
        f"status = main([{str(path)!r}, '-o', {str(out)!r}, '--validate', '--emit', 'python'])\n"
        "assert not [n for n in sys.modules if n == 'torch' and sys.modules[n]]\n"
        "print(*[n for n in ('onnxruntime', 'onnx.reference') if sys.modules.get(n)])\n"
        "sys.exit(status)"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_torch_is_neither_needed_nor_imported(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(WHOLE)
    done = _run(path, tmp_path / "blocked", "torch", "transformers")
    assert done.returncode == 0, done.stderr
    assert _run(path, tmp_path / "free").returncode == 0


def test_onnx_reference_stands_in_for_onnxruntime(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(WHOLE)
    done = _run(path, tmp_path / "out", "onnxruntime", "torch")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1:] == ["onnx.reference"]
    assert "agrees with its source" in (tmp_path / "out" / "report.md").read_text()


# ---- dims


def test_dims_have_the_names_of_the_file() -> None:
    shape = capture_model(model(dims=["n_rows", 4])).program.forward.inputs[0].tensor.shape
    assert [str(d) for d in shape] == ["n_rows", "4"]


@pytest.mark.parametrize(
    ("given", "dims"), [("x=7,4:float32", ["7", "4"]), ("x=rows,4:float32", ["rows", "4"])]
)
def test_input_overrides_dims(given: str, dims: list[str], tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(WHOLE)
    plan = transpile(path, None, inputs=[given], check=True).plan
    assert plan is not None and f"x: f32[{', '.join(dims)}]" in plan


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("x=2,5:float32", "the file fixes a dim at 4"),
        ("x=2,4,1:float32", "has 2 dims"),
        ("z=2,4:float32", "no input 'z'"),
    ],
)
def test_input_that_cannot_be(
    given: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(WHOLE)
    assert main([str(path), "-o", str(tmp_path / "out"), "--input", given]) == 2
    assert message in capsys.readouterr().err
