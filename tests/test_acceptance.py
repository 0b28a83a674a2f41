"""Every test model, from a saved archive to a validated folder, by each way in that torch has for it."""

from __future__ import annotations

import filecmp
import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from acceptance import SOURCES, described, export, made_up_names, save, source_names
from safetensors.torch import save_file

from mlx_transpile import Result, transpile
from mlx_transpile.emitted_model import EmittedModel
from models import EXPORT_ONLY, MODELS, SCRIPTED, Case
from models.llama import llama_decoder

# torch.export does not take ScriptModules.
NOT_EXPORTED = SCRIPTED
ROUTES = [
    *((name, "pt") for name in MODELS),
    *((name, "pt2") for name in MODELS if name not in NOT_EXPORTED),
]


def check(result: Result, sizes: int = 2) -> dict[str, Any]:
    """The report says that the outputs agree at that many sizes; gives the manifest."""
    assert result.out and result.report
    ran = [case for case in result.report.cases if not case.unrunnable]
    errors = [case.error for case in ran if case.error]
    assert result.ok, errors or [case.outputs for case in ran]
    assert len(ran) >= sizes
    differences = [d for case in ran for _, d in case.outputs]
    assert max(min(d.max_abs, d.max_rel) for d in differences) < 1e-4
    return json.loads((result.out / "manifest.json").read_text())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name, route", ROUTES)
def test_model(name: str, route: str, tmp_path: Path) -> None:
    case = MODELS[name]()
    archive = save(case, route, tmp_path / f"model.{route}")
    result = transpile(archive, tmp_path / "out", inputs=described(case), validate=True)
    manifest = check(result)
    known = source_names(case.module) | parts_of_tuples(case)
    for file in SOURCES[:2]:
        assert made_up_names((tmp_path / "out" / file).read_text(), known) == []
    if route == "pt":
        static = {f"{d['input']}.{d['axis']}" for d in manifest["dims"] if d["kind"] == "static"}
        assert static.isdisjoint(free_axes(case))


@pytest.mark.parametrize("name", EXPORT_ONLY)
def test_model_that_only_torch_export_keeps(name: str, tmp_path: Path) -> None:
    case = EXPORT_ONLY[name]()
    check(transpile(case.module, tmp_path / "out", example_inputs=case.inputs, validate=True))


def free_axes(case: Case) -> set[str]:
    """`input.axis` of the axes that the model's author calls free; nested inputs are left out."""
    names = inspect.signature(case.module.forward).parameters
    return {
        f"{name}.{axis}"
        for name, value, dims in zip(names, case.inputs, case.dims)
        if isinstance(value, torch.Tensor)
        for axis in dims
    }


def parts_of_tuples(case: Case) -> set[str]:
    """Names by position of what nobody named: `state_0` is the first tensor of the tuple `state`."""
    names = inspect.signature(case.module.forward).parameters
    return {
        f"{name}_{i}"
        for name, value in zip(names, case.inputs)
        if isinstance(value, tuple)
        for i in range(len(value))
    }


# ---- the other ways in


def test_a_module(tmp_path: Path) -> None:
    case = MODELS["bilstm_tagger"]()
    manifest = check(
        transpile(case.module, tmp_path / "out", example_inputs=case.inputs, validate=True)
    )
    assert list(manifest["symbols"]) == ["B", "L"]


def test_an_exported_program(tmp_path: Path) -> None:
    check(transpile(export(MODELS["bert_encoder"]()), tmp_path / "out", validate=True))


def test_a_graph_module(tmp_path: Path) -> None:
    case = MODELS["resnet"]()
    graph = torch.fx.symbolic_trace(case.module)
    check(transpile(graph, tmp_path / "out", example_inputs=case.inputs, validate=True))


FACTORY = """
import torch
from models import MODELS

def build():
    return MODELS["llama_decoder_tied"]().module

def build_with_inputs():
    case = MODELS["llama_decoder_tied"]()
    return case.module, case.inputs
"""


def test_a_factory_with_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "decoder_factory.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    case = MODELS["llama_decoder_tied"]()
    state = {k: v * 1.5 for k, v in case.module.state_dict().items()}
    torch.save(state, tmp_path / "weights.bin")
    result = transpile(
        "decoder_factory:build_with_inputs",
        tmp_path / "out",
        weights=tmp_path / "weights.bin",
        validate=True,
    )
    check(result)
    case.module.load_state_dict(state)
    assert_like(tmp_path / "out", case.module, case.inputs_at({"B": 3, "L": 7}))


def test_weights_of_a_factory_as_safetensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other_factory.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    case = MODELS["llama_decoder_tied"]()
    state = {k: v.clone() for k, v in case.module.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    result = transpile(
        "other_factory:build",
        tmp_path / "out",
        inputs=["input_ids=B,L:int64"] if len(case.inputs) == 1 else None,
        example_inputs=None if len(case.inputs) == 1 else case.inputs,
        weights=tmp_path / "weights.safetensors",
        validate=True,
    )
    check(result)


def assert_like(out: Path, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """The emitted model gives what the module gives."""
    with torch.no_grad():
        expected = torch.utils._pytree.tree_leaves(module(*inputs))
    model = EmittedModel(out)
    try:
        result = model.run([x.numpy() for x in inputs])
    finally:
        model.close()
    found = torch.utils._pytree.tree_leaves(result)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4, rtol=1e-4)


# ---- what a trace may do to a model


class Positions(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(9, 4)

    def forward(self, ids: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        steps = torch.arange(ids.shape[1], device=ids.device, dtype=torch.float32)
        return self.embed(ids) * steps[:, None] + shift


def test_keyword_inputs_in_another_order(tmp_path: Path) -> None:
    module = Positions().eval()
    named = {"shift": torch.ones(2, 3, 4), "ids": torch.zeros(2, 3, dtype=torch.long)}
    with torch.no_grad():
        torch.jit.trace(module, example_kwarg_inputs=named).save(str(tmp_path / "m.pt"))
    manifest = check(transpile(tmp_path / "m.pt", tmp_path / "out", validate=True))
    assert [a["name"] for a in manifest["arguments"]] == ["ids", "shift"]
    ids, shift = torch.tensor([[1, 8, 3, 0]]), torch.randn(1, 4, 4)
    assert_like(tmp_path / "out", module, (ids, shift))


def test_an_archive_of_another_device(tmp_path: Path) -> None:
    import zipfile

    module = Positions().eval()
    inputs = (torch.zeros(2, 3, dtype=torch.long), torch.ones(2, 3, 4))
    path, elsewhere = tmp_path / "cpu.pt", tmp_path / "mps.pt"
    with torch.no_grad():
        torch.jit.trace(module, inputs).save(str(path))
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(elsewhere, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'device("cpu")', b'device("mps:0")'))
    assert b"mps:0" in elsewhere.read_bytes()
    check(transpile(elsewhere, tmp_path / "out", validate=True))
    assert_like(tmp_path / "out", module, (torch.tensor([[1, 8, 3, 0]]), torch.randn(1, 4, 4)))


def test_a_baked_batch_is_static_and_checked(tmp_path: Path) -> None:
    case = MODELS["baked_batch"]()
    result = transpile(save(case, "pt", tmp_path / "m.pt"), tmp_path / "out", validate=True)
    batch, length, _ = check(result)["dims"]
    assert (batch["kind"], batch["size"], batch["symbol"]) == ("static", 3, None)
    assert batch["evidence"]
    assert length["kind"] == "free"
    model = EmittedModel(tmp_path / "out")
    try:
        assert model.run([np.ones((3, 2, 8), np.float32)]).shape == (3, 2, 8)
        with pytest.raises(ValueError, match=r"x has shape .*\(6, 2, 8\).* expected .*3"):
            model.run([np.ones((6, 2, 8), np.float32)])
    finally:
        model.close()


# ---- the same model, the same bytes


def same_bytes(a: Path, b: Path, leave_out: tuple[str, ...] = ()) -> None:
    names = sorted(str(p.relative_to(a)) for p in a.rglob("*") if p.is_file())
    assert names == sorted(str(p.relative_to(b)) for p in b.rglob("*") if p.is_file())
    _, differ, errors = filecmp.cmpfiles(a, b, names, shallow=False)
    assert [n for n in differ if n not in leave_out] == [] and errors == []


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("route", ["pt", "pt2"])
@pytest.mark.parametrize("name", ["mha_encoder", "conv_audio"])
def test_output_depends_on_the_model_alone(
    name: str, route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = save(MODELS[name](), route, tmp_path / f"first.{route}")
    for folder in ("a", "b"):
        transpile(archive, tmp_path / folder, dump_ir=True)
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    other = elsewhere / f"another'name.{route}"
    other.write_bytes(archive.read_bytes())
    monkeypatch.chdir(elsewhere)
    transpile(other.name, "out", dump_ir=True)
    same_bytes(tmp_path / "a", tmp_path / "b", leave_out=("ir/index.txt",))
    same_bytes(tmp_path / "a", elsewhere / "out", leave_out=("ir/index.txt",))


def test_a_file_name_does_not_reach_the_sources(tmp_path: Path) -> None:
    """Also where the archive itself was made under that name, which torch writes into it."""
    case = MODELS["shared_layer"]()
    for name in ("model", "zebra"):
        with torch.no_grad():
            torch.jit.trace(case.module, case.inputs).save(str(tmp_path / f"{name}.pt"))
        transpile(tmp_path / f"{name}.pt", tmp_path / name)
    same_bytes(tmp_path / "model", tmp_path / "zebra", leave_out=("manifest.json",))
    assert all(b"zebra" not in p.read_bytes() for p in (tmp_path / "zebra").iterdir())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("route", "level"), [("pt", 1), ("pt2", 1), ("pt", 2)])
def test_the_number_of_layers_is_in_the_configuration(
    route: str, level: int, tmp_path: Path
) -> None:
    configs = []
    for layers in (2, 6):
        archive = save(llama_decoder(layers), route, tmp_path / f"{layers}.{route}")
        transpile(archive, tmp_path / str(layers), level=level)
        configs.append(json.loads((tmp_path / str(layers) / "config.json").read_text()))
    for file in SOURCES:
        assert (tmp_path / "2" / file).read_bytes() == (tmp_path / "6" / file).read_bytes()
    assert {k for k in configs[0] if configs[0][k] != configs[1][k]} == {"num_hidden_layers"}
