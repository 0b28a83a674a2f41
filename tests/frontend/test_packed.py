"""Packed sequences: the emitted Python and C++ beside torch, at several lengths."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from packed_models import MODELS, RUNS, Packs
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mlx_transpile import TranspileError, transpile
from mlx_transpile.cpp_build import build, find_compiler, find_mlx, run_program
from mlx_transpile.emitted_model import EmittedModel

TRACED = (3, 7)


def flat(result: Any) -> Iterator[Any]:
    if isinstance(result, tuple | list):
        for each in result:
            yield from flat(each)
    else:
        yield result


def saved(model: nn.Module, inputs: tuple[torch.Tensor, ...], folder: Path) -> Path:
    traced = torch.jit.trace(model.eval(), inputs, check_trace=False)
    traced.save(folder / "model.pt")
    return folder / "model.pt"


def runs(model: Packs) -> Iterator[tuple[tuple[torch.Tensor, ...], list[np.ndarray]]]:
    torch.manual_seed(1)
    for rows, steps, lengths in RUNS:
        inputs = model.inputs(rows, steps, lengths)
        with torch.no_grad():
            yield inputs, [v.numpy() for v in flat(model(*inputs))]


def alike(found: Any, wanted: list[np.ndarray]) -> None:
    for got, want in zip(flat(found), wanted, strict=True):
        array = np.asarray(got)
        assert (array.shape, array.dtype) == (want.shape, want.dtype)
        np.testing.assert_allclose(array, want, 1e-5, 1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_emitted_python(name: str, tmp_path: Path) -> None:
    make, kept = MODELS[name]
    model = make()
    transpile(saved(model, model.inputs(*TRACED), tmp_path), tmp_path / "out")
    emitted = EmittedModel(tmp_path / "out")
    for inputs, wanted in runs(model):
        alike(emitted.run([v.numpy() for v in inputs]), wanted)
    source = (tmp_path / "out" / "model.py").read_text()
    assert ("sort(" in source) is kept.sort
    assert ("= read_size(" in source) is kept.read
    assert "flat_weights" not in source


@pytest.mark.parametrize("name", ["lstm both ways", "gru", "tagger", "into zeros", "adds input"])
def test_exported(name: str, tmp_path: Path) -> None:
    model = MODELS[name][0]().eval()
    transpile(model, tmp_path / "out", example_inputs=model.inputs(*TRACED))
    emitted = EmittedModel(tmp_path / "out")
    for inputs, wanted in runs(model):
        alike(emitted.run([v.numpy() for v in inputs]), wanted)


# ---- scripted


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(4, 5, batch_first=True, bidirectional=True)

    def forward(self, x: torch.Tensor, n: torch.Tensor):  # type: ignore[no-untyped-def]
        packed = pack_padded_sequence(x, n, batch_first=True, enforce_sorted=False)
        y, (h, c) = self.rnn(packed)
        out, lengths = pad_packed_sequence(y, batch_first=True, total_length=x.size(1))
        return out, h, c, lengths


def test_scripted(tmp_path: Path) -> None:
    model = Scripted().eval()
    torch.jit.script(model).save(tmp_path / "model.pt")
    result = transpile(
        tmp_path / "model.pt", tmp_path / "out", inputs=["x=B,L,4", "n=B:int64"], validate=True
    )
    assert result.report is not None and result.report.ok
    source = (tmp_path / "out" / "model.py").read_text()
    assert "self.rnn(x, lengths=n)" in source


# ---- what is refused


def test_rows_that_nothing_packed_are_refused(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 5)

        def forward(self, data: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
            packed = nn.utils.rnn.PackedSequence(data, sizes)
            return self.rnn(packed)[1][0]

    inputs = (torch.randn(5, 4), torch.tensor([3, 2]))
    with pytest.raises(TranspileError, match="does not say what they are"):
        transpile(saved(Net(), inputs, tmp_path), tmp_path / "out")


# ---- C++: several models in one program

IN_CPP = ("lstm time first, states", "lstm projected", "gru sorted", "rnn", "rows layers",
          "tagger", "into zeros", "known unsorted")  # fmt: skip


class Joined(nn.Module):
    def __init__(self, models: list[Packs]):
        super().__init__()
        self.models = nn.ModuleList(models)
        self.counts = [len(m.inputs(*TRACED)) for m in models]

    def forward(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        left = list(inputs)
        results: list[torch.Tensor] = []
        for model, count in zip(self.models, self.counts, strict=True):
            own, left = left[:count], left[count:]
            results += flat(model(*own))
        return results

    def inputs(self, *run: Any) -> tuple[torch.Tensor, ...]:
        return tuple(v for m in self.models for v in m.inputs(*run))


def test_emitted_cpp(tmp_path: Path) -> None:
    if find_compiler() is None or find_mlx() is None:
        pytest.skip("needs a C++ compiler and the headers of the mlx package")
    model = Joined([MODELS[name][0]() for name in IN_CPP])
    path = saved(model, model.inputs(*TRACED), tmp_path)
    transpile(path, tmp_path / "out", emit=("python", "cpp"))
    made = build(
        tmp_path / "out" / "cpp", build_type="Debug", options={"CMAKE_CXX_FLAGS_DEBUG": "-O0"}
    )
    assert made.program is not None and made.warnings == ""
    cases = list(runs(model))
    names = json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"]
    given = [{n["name"]: v.numpy() for n, v in zip(names, i, strict=True)} for i, _ in cases]
    found, _ = run_program(made.program, tmp_path / "out" / "weights.safetensors", given)
    for outputs, (_, wanted) in zip(found, cases, strict=True):
        alike([outputs[f"output.{i}"] for i in range(len(wanted))], wanted)


# ---- ONNX, whose layers have the lengths as an input


@pytest.mark.parametrize(
    ("kind", "gates", "direction"),
    [("LSTM", 4, "bidirectional"), ("GRU", 3, "bidirectional"), ("RNN", 1, "forward")],
)
def test_onnx(kind: str, gates: int, direction: str, tmp_path: Path) -> None:
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    ways, random = 2 if direction == "bidirectional" else 1, np.random.default_rng(0)
    shapes = {"w": (ways, gates * 5, 4), "r": (ways, gates * 5, 5), "b": (ways, gates * 10)}
    weights = [
        onnx.numpy_helper.from_array(random.standard_normal(s, np.float32), n)
        for n, s in shapes.items()
    ]
    after = ", linear_before_reset = 1" if kind == "GRU" else ""
    model = onnx.parser.parse_model(f"""
        <ir_version: 9, opset_import: ["": 17]>
        rows (float[L, N, 4] x, int32[N] n) => (float[L, D, N, 5] y, float[D, N, 5] h) {{
          y, h = {kind} <hidden_size = 5, direction = "{direction}"{after}> (x, w, r, b, n)
        }}""")
    model.graph.initializer.extend(weights)
    onnx.save(model, tmp_path / "model.onnx")
    transpile(tmp_path / "model.onnx", tmp_path / "out")
    source = (tmp_path / "out" / "model.py").read_text()
    assert f"self.{kind.lower()}(x, lengths=n)" in source
    emitted = EmittedModel(tmp_path / "out")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    for steps, rows in ((7, 3), (90, 2), (4, 1)):
        x = random.standard_normal((steps, rows, 4), np.float32)
        n = random.integers(1, steps + 1, rows).astype(np.int32)
        alike(emitted.run([x, n]), session.run(None, {"x": x, "n": n}))
