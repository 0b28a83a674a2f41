"""remap_weights.py of an ONNX model: what it reads by itself, and the original checkpoint's tensors."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnx_ir")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from mlx_transpile import transpile  # noqa: E402

FLOAT = TensorProto.FLOAT
Tensors = dict[str, np.ndarray]


def run(out: Path, *args: object) -> subprocess.CompletedProcess[str]:
    """The script as a user runs it; it finds neither torch nor any ONNX library."""
    blocked = "".join(f"sys.modules[{n!r}] = None\n" for n in ("torch", "onnx", "onnx_ir", "numpy"))
    code = (
        f"import runpy, sys\n{blocked}sys.argv = {[str(a) for a in ['remap_weights.py', *args]]!r}\n"
        f"runpy.run_path({str(out / 'remap_weights.py')!r}, run_name='__main__')"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def remapped(out: Path, *args: object) -> tuple[Tensors, str]:
    target = out.parent / "remapped.safetensors"
    done = run(out, *args, "-o", target)
    assert done.returncode == 0, done.stderr
    return load_file(target), done.stdout


def refusal(out: Path, *args: object) -> str:
    target = out.parent / "refused.safetensors"
    done = run(out, *args, "-o", target)
    assert done.returncode == 1 and not target.exists()
    assert "Traceback" not in done.stderr
    return done.stderr


def same(got: Tensors, want: Tensors) -> bool:
    assert got.keys() == want.keys()
    return all(got[k].dtype == want[k].dtype and np.array_equal(got[k], want[k]) for k in want)


# ---- models of torch, by both exporters


@cache
def _exported(name: str, exporter: str, root: Path) -> tuple[Path, Path, Tensors]:
    """The ONNX file, the output folder, the state dict."""
    from tests.models.bert import bert_encoder
    from tests.models.llama import llama_decoder
    from tests.onnx_tools import exported

    case = {"llama": llama_decoder, "bert": bert_encoder}[name](2)
    folder = root / f"{name}-{exporter}"
    folder.mkdir()
    exported(case, exporter, folder / "model.onnx")
    transpile(folder / "model.onnx", folder / "out")
    state = {k: v.numpy().copy() for k, v in case.module.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    return folder / "model.onnx", folder / "out", state


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxscript")
    return tmp_path_factory.mktemp("remap")


@pytest.fixture(params=["llama legacy", "llama dynamo", "bert legacy", "bert dynamo"])
def model(request: pytest.FixtureRequest, root: Path) -> tuple[Path, Path, Tensors]:
    name, exporter = request.param.split()
    return _exported(name, exporter, root)


def test_of_the_model_itself(model: tuple[Path, Path, Tensors]) -> None:
    path, out, _ = model
    found, _ = remapped(out, path)
    assert same(found, load_file(out / "weights.safetensors"))


def test_of_the_checkpoint_that_it_was_made_from(model: tuple[Path, Path, Tensors]) -> None:
    path, out, state = model
    want = load_file(out / "weights.safetensors")
    found, said = remapped(out, path, "--checkpoint", path.with_name("model.safetensors"))
    assert same(found, want)
    assert "by value" in said and "other values" not in said
    weights = [k for k, v in state.items() if v.ndim == 2]
    unused = said.partition("in the checkpoint, but not in the ONNX model:")[2]
    assert not [name for name in weights if f" {name}\n" in unused]


def test_a_fine_tuned_checkpoint(model: tuple[Path, Path, Tensors], tmp_path: Path) -> None:
    """Its values are new: names find them, and the way a square matrix lies is told by its values."""
    path, out, state = model
    rng = np.random.default_rng(0)
    tuned = {
        k: v + (0.01 * rng.standard_normal(v.shape)).astype(v.dtype) if v.dtype.kind == "f" else v
        for k, v in state.items()
    }
    save_file(tuned, tmp_path / "tuned.safetensors")
    old = load_file(out / "weights.safetensors")
    found, said = remapped(out, path, "--checkpoint", tmp_path / "tuned.safetensors")
    assert "by name, other values" in said
    named = found.keys() & tuned.keys()
    assert len(named) > 0.8 * len(found)
    for name in named:
        assert np.array_equal(found[name], tuned[name]), name
        assert old[name].dtype.kind != "f" or not np.array_equal(found[name], old[name])


def test_half_the_width(model: tuple[Path, Path, Tensors], tmp_path: Path) -> None:
    """A model whose weights were rounded: the checkpoint's own numbers and type come out."""
    path, out, state = model
    half = {k: v.astype(np.float16) if v.dtype.kind == "f" else v for k, v in state.items()}
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        if tensor.data_type == FLOAT:
            wide = np.clip(numpy_helper.to_array(tensor), -65504, 65504)
            rounded = wide.astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    save_file(half, tmp_path / "half.safetensors")
    found, said = remapped(
        out, tmp_path / "model.onnx", "--checkpoint", tmp_path / "half.safetensors"
    )
    assert "other values" not in said
    named = found.keys() & half.keys()
    assert named and all(found[name].dtype == half[name].dtype for name in named)


# ---- files made by hand


def small(dtype: int = FLOAT, raw: bool = True) -> Any:
    """x [N, 4] times a matrix without a name; the data as bytes, or as numbers."""
    weight = np.arange(12).reshape(4, 3) - 4
    kind = helper.tensor_dtype_to_np_dtype(dtype)
    tensor = (
        numpy_helper.from_array(weight.astype(kind), "onnx::MatMul_7")
        if raw
        else helper.make_tensor("onnx::MatMul_7", dtype, [4, 3], weight.ravel().tolist())
    )
    nodes = [
        helper.make_node("Cast", ["onnx::MatMul_7"], ["w"], to=FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["h"], name="/head/MatMul"),
        helper.make_node("Add", ["h", "head.bias"], ["y"], name="/head/Add"),
    ]
    graph = helper.make_graph(
        nodes[0 if dtype != FLOAT else 1 :],
        "Classifier",
        [helper.make_tensor_value_info("x", FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", FLOAT, None)],
        [tensor, numpy_helper.from_array(np.ones(3, np.float32), "head.bias")],
    )
    if dtype == FLOAT:
        nodes[1].input[1] = graph.node[0].input[1] = "onnx::MatMul_7"
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def written(folder: Path, proto: Any) -> tuple[Path, Path]:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    transpile(path, folder / "out")
    return path, folder / "out"


TYPES = ["FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "INT16", "INT32", "INT64"]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("name", TYPES)
def test_element_types(name: str, raw: bool, tmp_path: Path) -> None:
    path, out = written(tmp_path, small(getattr(TensorProto, name), raw))
    want = (out / "weights.safetensors").read_bytes()
    done = run(out, path, "-o", tmp_path / "again.safetensors")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again.safetensors").read_bytes()[8:] == want[8:]


def test_external_data(tmp_path: Path) -> None:
    proto = small()
    onnx.save(
        proto, tmp_path / "model.onnx", save_as_external_data=True, location="model.data",
        size_threshold=0,
    )  # fmt: skip
    path, out = tmp_path / "model.onnx", tmp_path / "out"
    transpile(path, out)
    assert same(remapped(out, path)[0], load_file(out / "weights.safetensors"))
    (tmp_path / "model.data").unlink()
    assert "there is no file" in refusal(out, path)
    moved = onnx.load(path, load_external_data=False)
    for tensor in moved.graph.initializer:
        tensor.external_data[0].value = "../model.data"
    path.write_bytes(moved.SerializeToString())
    assert "outside of the model's folder" in refusal(out, path)


def test_what_is_no_onnx_model(tmp_path: Path) -> None:
    path, out = written(tmp_path, small())
    data = path.read_bytes()
    for bad in (data[:-30], b"", b"\x0a\xff\xff\xff\xff", b"hello world"):
        path.write_bytes(bad)
        assert refusal(out, path).count("\n") == 1


def test_another_models_tensors_are_listed(tmp_path: Path) -> None:
    path, out = written(tmp_path, small())
    proto = small()
    proto.graph.initializer[1].name = "other"
    path.write_bytes(proto.SerializeToString())
    said = refusal(out, path)
    assert "missing: head.bias" in said and "surprising: other" in said


def test_checkpoints_that_do_not_fit(tmp_path: Path) -> None:
    path, out = written(tmp_path, small())
    file = tmp_path / "c.safetensors"
    save_file({"other": np.zeros((5, 5), np.float32)}, file)
    assert "nothing of the checkpoint" in refusal(out, path, "--checkpoint", file)
    save_file({"head.bias": np.zeros(4, np.float32)}, file)
    assert "wrong shape: head.bias is (4,), head.bias is (3,)" in refusal(
        out, path, "--checkpoint", file
    )
    save_file({"head.weight": np.zeros((3, 4), np.int64)}, file)
    assert "wrong dtype: head.weight" in refusal(out, path, "--checkpoint", file)


def test_what_is_not_in_the_checkpoint_is_said(tmp_path: Path) -> None:
    path, out = written(tmp_path, small())
    weight = np.arange(12, dtype=np.float32).reshape(4, 3).T - 4
    file = tmp_path / "c.safetensors"
    save_file({"elsewhere": np.ascontiguousarray(weight), "more": np.ones(7, np.float32)}, file)
    found, said = remapped(out, path, "--checkpoint", file)
    assert same(found, load_file(out / "weights.safetensors"))
    assert "MatMul_7 is elsewhere: by value, transposed" in said
    assert "taken from the ONNX model:\n  head.bias" in said
    assert "not in the ONNX model:\n  more" in said


def test_a_converted_file_takes_no_checkpoint(tmp_path: Path) -> None:
    out = written(tmp_path, small())[1]
    file = shutil.copy(out / "weights.safetensors", tmp_path / "converted.safetensors")
    assert "converted already" in refusal(out, file, "--checkpoint", file)
