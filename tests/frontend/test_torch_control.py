"""Control flow and sizes that depend on data, of torch sources: Python and C++ beside torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_control_models import EXPORTED, SCRIPTED, SIZES, Model, joined

from mlx_transpile import transpile
from mlx_transpile.cpp_build import build, find_compiler, find_mlx, run_program
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.errors import BadRequest, TranspileError
from mlx_transpile.frontend.inputs import parse_inputs
from mlx_transpile.ir.graph import leaves

torch.set_num_threads(1)


def saved(model: Model, route: str, path: Path) -> Path:
    module, inputs = model.module.eval(), model.runs[0]
    if route == "script":
        torch.jit.script(module).save(str(path))
    elif route == "trace":
        torch.jit.trace(module, inputs, check_trace=False).save(str(path))
    else:
        dims = tuple(dict.fromkeys(range(x.dim()), torch.export.Dim.AUTO) for x in inputs)
        torch.export.save(torch.export.export(module, inputs, dynamic_shapes=dims), path)
    return path


def described(specs: Any) -> list[Any]:
    return parse_inputs(list(specs))


def alike(found: Any, expected: Any) -> None:
    for got, want in zip(leaves(found), leaves(expected), strict=True):
        wanted = want.detach().numpy() if isinstance(want, Tensor) else np.asarray(want)
        array = np.array(got)
        assert (array.shape, array.dtype.kind) == (wanted.shape, wanted.dtype.kind)
        np.testing.assert_allclose(array, wanted, 1e-4, 1e-5)


ROUTES = [
    *((name, "script") for name in (*SIZES, *SCRIPTED)),
    *((name, "trace") for name in SIZES),
    *((name, "export") for name in (*SIZES, *EXPORTED)),
]
ALL = {**SIZES, **SCRIPTED, **EXPORTED}


@pytest.mark.parametrize(("name", "route"), ROUTES)
def test_emitted_python(name: str, route: str, tmp_path: Path) -> None:
    model = ALL[name]
    path = saved(model, route, tmp_path / ("m.pt2" if route == "export" else "m.pt"))
    specs = described(model.specs) if route == "script" else None
    transpile(path, tmp_path / "out", inputs=specs)
    emitted = EmittedModel(tmp_path / "out")
    try:
        for inputs in model.runs:
            with torch.no_grad():
                expected = model.module(*inputs)
            found, _ = emitted.run_recorded([x.numpy() for x in inputs])
            alike(found, expected)
    finally:
        emitted.close()


# ---- C++: all models in one program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if find_compiler() is None or find_mlx() is None:
        pytest.skip("needs a C++ compiler and the headers of the mlx package")
    folder = tmp_path_factory.mktemp("everything")
    module, specs = joined({**SIZES, **SCRIPTED})
    module.save(str(folder / "m.pt"))
    transpile(folder / "m.pt", folder / "out", inputs=described(specs), emit=("python", "cpp"))
    made = build(
        folder / "out" / "cpp", build_type="Debug", options={"CMAKE_CXX_FLAGS_DEBUG": "-O0"}
    )
    assert made.program is not None
    assert made.warnings == ""
    return made.program, folder / "out" / "weights.safetensors"


@pytest.mark.parametrize("run", [0, 1, 2])
def test_emitted_cpp(program: tuple[Path, Path], run: int) -> None:
    models = {**SIZES, **SCRIPTED}
    inputs, expected = {}, []
    for name, model in models.items():
        for spec, x in zip(model.specs, model.runs[run], strict=True):
            inputs[f"{name}_{spec.partition('=')[0]}"] = x.numpy()
        with torch.no_grad():
            expected += list(leaves(model.module(*model.runs[run])))
    outputs, _ = run_program(*program, [inputs])
    alike([outputs[0][key] for key in _in_order(outputs[0])], expected)


def _in_order(outputs: dict[str, Any]) -> list[str]:
    return sorted(outputs, key=lambda key: [int(p) for p in key.split(".")[1:]])


# ---- what stays refused


class GrowsInBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        found = [x]
        if x.sum() > 0:
            found.append(x + 1)
        return torch.cat(found)


class TwoKinds(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            y = x.sum(0)
        else:
            y = x
        return y


class ReadsItsList(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        found = [x[0]]
        for i in range(x.size(0)):
            found.append(found[-1] + x[i])
        return torch.stack(found)


class ChoosesAWay(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        return x.sum(0, keepdim=bool(n > 1))


REFUSED = [
    (GrowsInBranch(), ("x=B,5",), "a list changes in a branch", "after the branch"),
    (TwoKinds(), ("x=B,5",), "its results have two types", "one element type and rank"),
    (ReadsItsList(), ("x=B,5",), "reads a list that it appends to", "a variable of its own"),
    (ChoosesAWay(), ("x=B,5", "n=:int64"), "keepdim of sum is decided by data", "a fixed choice"),
]


@pytest.mark.parametrize(
    ("module", "specs", "message", "hint"), REFUSED, ids=[type(r[0]).__name__ for r in REFUSED]
)
def test_says_what_would_work(
    module: nn.Module, specs: tuple[str, ...], message: str, hint: str, tmp_path: Path
) -> None:
    torch.jit.script(module.eval()).save(str(tmp_path / "m.pt"))
    with pytest.raises(TranspileError) as caught:
        transpile(tmp_path / "m.pt", tmp_path / "out", inputs=described(specs))
    assert message in str(caught.value)
    assert hint in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_size_that_the_data_contradicts_fails(tmp_path: Path) -> None:
    """The mask is as long as the longest length, which must be the input's."""
    model = SIZES["padded"]
    transpile(
        saved(model, "script", tmp_path / "m.pt"), tmp_path / "out", inputs=described(model.specs)
    )
    emitted = EmittedModel(tmp_path / "out")
    x, lengths = (a.numpy() for a in model.runs[0])
    with pytest.raises(Exception, match="reshape"):
        emitted.run_recorded([x, lengths - 1])
    emitted.close()


class Rates(nn.Module):
    def forward(self, x: Tensor, rate: int) -> Tensor:
        if rate != 16000 and rate != 8000:
            raise ValueError("another rate")
        return x[:, :: 16000 // rate]


def test_a_number_among_the_inputs_is_fixed(tmp_path: Path) -> None:
    torch.jit.script(Rates()).save(str(tmp_path / "m.pt"))
    specs = described(["x=B,8", "rate=8000"])
    result = transpile(tmp_path / "m.pt", tmp_path / "out", inputs=specs, validate=True)
    assert result.report is not None and result.report.ok
    assert result.report.cases[0].sizes.keys() == {"B"}
    with pytest.raises(TranspileError, match="another rate"):
        transpile(tmp_path / "m.pt", tmp_path / "x", inputs=described(["x=B,8", "rate=44100"]))
    with pytest.raises(BadRequest, match="'rate' is a number"):
        transpile(tmp_path / "m.pt", tmp_path / "x", inputs=described(["x=B,8", "rate=B"]))


class RateTensor(nn.Module):
    def forward(self, x: Tensor, rate: Tensor) -> Tensor:
        if int(rate) == 16000:
            return x[:, ::2]
        if int(rate) == 8000:
            return x[:, :4] + 1
        raise ValueError("another rate")


def test_inputs_for_validation_hit_what_a_branch_compares_with(tmp_path: Path) -> None:
    torch.jit.script(RateTensor()).save(str(tmp_path / "m.pt"))
    specs = described(["x=B,8", "rate=:int64"])
    result = transpile(tmp_path / "m.pt", tmp_path / "out", inputs=specs, validate=True)
    assert result.report is not None and result.report.ok
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [w["op"] for w in manifest["waits"]] == ["branch"]
    assert len(manifest["assertions"]) == 1
