"""What is committed under generated/ is what the compiler writes today, and it runs."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from mlx_transpile.cpp_build import build, run_program

ROOT = Path(__file__).parent.parent / "generated"
MODELS = ("llama", "bert", "resnet", "bilstm")


def _load(path: Path):
    spec = importlib.util.spec_from_file_location(f"generated_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", MODELS)
def test_committed_output_is_up_to_date(name, tmp_path):
    regenerate = _load(ROOT / "regenerate.py")
    regenerate.generate(name, tmp_path / name)
    assert regenerate.differences(ROOT / name, tmp_path / name) == []


@pytest.mark.parametrize("name", MODELS)
def test_committed_model_runs(name):
    run = subprocess.run(
        [sys.executable, str(ROOT / name / "test_model.py")], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def _leaves(described, arrays):
    """The arrays of a stored result or argument, in order."""
    if "array" in described:
        return [np.array(arrays[described["array"]])]
    kind = next(iter(described))
    if kind == "value":
        return []
    parts = described[kind].values() if kind == "dict" else described[kind]
    return [leaf for part in parts for leaf in _leaves(part, arrays)]


@pytest.mark.parametrize("name", MODELS)
def test_committed_cpp_builds_and_agrees(name, tmp_path):
    """No warning, and the stored results of the source within its tolerance at every size."""
    built = build(ROOT / name / "cpp", tmp_path, build_type="Debug")
    if built.program is None:
        pytest.skip(built.missing)
    assert built.warnings == ""
    arrays, metadata = mx.load(str(ROOT / name / "reference.safetensors"), return_metadata=True)
    names = [i["name"] for i in json.loads((ROOT / name / "manifest.json").read_text())["inputs"]]
    cases = json.loads(metadata["cases"])
    inputs = [
        dict(zip(names, _leaves({"tuple": c["arguments"]}, arrays), strict=True)) for c in cases
    ]
    outputs, _ = run_program(built.program, ROOT / name / "weights.safetensors", inputs)
    for case, found in zip(cases, outputs, strict=True):
        expected = _leaves({"tuple": [case["result"]]}, arrays)
        assert len(found) == len(expected)
        for key, wanted in zip(sorted(found), expected, strict=True):
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(found[key], wanted, rtol=0, atol=1e-4 * scale)
