"""Fixtures of the whole suite. No framework is imported here: most tests need none."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

# Test processes run side by side; more threads each would only get in each other's way.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def zoo() -> ModuleType:
    """Library models from outside of the repository; MLX_TRANSPILE_ZOO names the file."""
    path = Path(os.environ.get("MLX_TRANSPILE_ZOO", ROOT.parent / "shared" / "zoo" / "zoo.py"))
    if not path.exists() or importlib.util.find_spec("transformers") is None:
        pytest.skip("the model zoo and transformers are not here")
    spec = importlib.util.spec_from_file_location("model_zoo", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
