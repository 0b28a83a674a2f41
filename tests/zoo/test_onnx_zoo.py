"""Library models as ONNX files of both of torch's exporters: they run, fuse, and keep names."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch")
for _name in ("onnx", "onnx_ir", "onnxruntime", "onnxscript"):
    pytest.importorskip(_name)
from acceptance import made_up_names, source_names  # noqa: E402
from onnx_runs import OnnxRow, run  # noqa: E402
from zoo_runs import build  # noqa: E402

pytestmark = pytest.mark.zoo
torch.set_num_threads(1)

# What the emitted text must hold: what the same model gives by way of TorchScript.
LANGUAGE = {"attention": 1, "rope": 1, "rms_norm": 3}
CASES: list[tuple[str, str, dict[str, int], int]] = [
    # model, exporter, fused, the most classes
    ("llama", "dynamo", LANGUAGE, 5),
    ("llama", "legacy", LANGUAGE, 5),
    ("gpt2", "legacy", {"attention": 1, "layer_norm": 3}, 6),
    ("bert", "legacy", {"attention": 1, "layer_norm": 2}, 10),
    ("vit", "legacy", {"attention": 1, "layer_norm": 3, "conv": 1}, 7),
    ("resnet", "dynamo", {"conv": 5}, 2),
    ("resnet", "legacy", {"conv": 5}, 2),
    ("lstm", "dynamo", {}, 1),
    ("gru", "legacy", {}, 1),
    ("wake_classifier_rnn", "legacy", {}, 1),
    ("wake_melspec", "legacy", {"conv": 2}, 1),
    ("unet_diffusers", "legacy", {"attention": 2, "group_norm": 6, "conv": 11}, 20),
]
FOLDED = {"resnet"}  # the exporters fold batch norms: those tensors are gone


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(
    "name, exporter, fused, classes", CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES]
)
def test_library_model(
    zoo: ModuleType, name: str, exporter: str, fused: dict[str, int], classes: int, tmp_path: Path
) -> None:
    row = run(zoo, name, exporter, tmp_path)
    assert row.max_rel < 1e-5
    assert row.sizes and all(len(sizes) >= 2 for sizes in row.sizes.values())
    assert row.fixed == []
    assert {k: row.fused.get(k, 0) for k in fused} == fused
    assert len(row.classes) <= classes
    assert row.lost == [] or name in FOLDED
    if name == "resnet":
        assert row.transposes == 1  # channels last: one at the border
    names_are_the_sources(zoo, row, (tmp_path / "out" / "model.py").read_text())


def names_are_the_sources(zoo: ModuleType, row: OnnxRow, text: str) -> None:
    source: Any = build(zoo, row.model, "pt2").module
    assert made_up_names(text, source_names(source)) == []
    assert "onnx::" not in text and "val_" not in text


def test_a_length_that_the_exporter_fixed_is_said(zoo: ModuleType, tmp_path: Path) -> None:
    """The newer exporter writes the length of a GRU's input into the file."""
    row = run(zoo, "gru", "dynamo", tmp_path)
    assert [dim.partition(":")[0] for dim in row.fixed] == ["x[0] = 9"]
    assert row.lost == []
