"""What is committed under generated/ is what the compiler writes today, and it runs."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

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
