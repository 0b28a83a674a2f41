"""From real archives: the weights that the driver wrote are those that the script makes from the same archive."""

import importlib.util
import warnings
from pathlib import Path
from types import ModuleType

import pytest

torch = pytest.importorskip("torch")

import mlx.core as mx  # noqa: E402

from mlx_transpile import transpile  # noqa: E402
from models import MODELS  # noqa: E402


def archives(name: str, folder: Path) -> dict[str, Path]:
    """The model as a TorchScript archive, a torch.export archive and a state dict."""
    case = MODELS[name]()
    paths = {kind: folder / f"model.{kind}" for kind in ("pt", "pt2", "sd")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(case.module, case.inputs, strict=False, check_trace=False)
        traced.save(str(paths["pt"]))
        torch.export.save(torch.export.export(case.module, case.inputs), paths["pt2"])
        torch.save(case.module.state_dict(), paths["sd"])
    return paths


# A convolutional model (weights change their layout), a tied one with buffers, one with running statistics.
@pytest.mark.parametrize("name", ["conv_audio", "llama_decoder_tied", "resnet"])
def test_script_and_driver_make_the_same_weights(name: str, tmp_path: Path) -> None:
    paths = archives(name, tmp_path)
    out = tmp_path / "out"
    result = transpile(paths["pt"], out, validate=True)
    assert result.ok
    want = mx.load(str(out / "weights.safetensors"))
    script = load(out / "remap_weights.py")
    for path in paths.values():
        script.remap(path, tmp_path / "remapped.safetensors")
        got = mx.load(str(tmp_path / "remapped.safetensors"))
        assert got.keys() == want.keys()
        assert all(got[k].dtype == want[k].dtype and mx.array_equal(got[k], want[k]) for k in want)
    load(out / "test_model.py").test_model()


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
