"""Emitted C++ programs of reference models, each built once a session.

With SANITIZE=address,undefined (or thread) in the environment they are built with that sanitizer.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlx_transpile.cpp_build import build, find_compiler, find_mlx

SANITIZE = os.environ.get("SANITIZE", "")


@dataclass(frozen=True)
class Program:
    """A model's program, and the folder with the weights that it was emitted with."""

    path: Path
    folder: Path

    @property
    def weights(self) -> Path:
        return self.folder / "weights.safetensors"


@pytest.fixture(scope="session")
def program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Program]:
    """`program(name)`: that of generated/sources/<name>.pt. Processes of a session share it."""
    if find_compiler() is None or find_mlx() is None:
        pytest.skip("needs a C++ compiler and the headers of the mlx package")
    if SANITIZE and shutil.which("cmake") is None:
        pytest.skip("sanitizers are turned on through cmake")
    pytest.importorskip("torch")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cpp"
    shared.mkdir(exist_ok=True)

    def get(name: str) -> Program:
        failed = shared / f"{name}.failed"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if failed.exists():  # hundreds of tests would each try again
                pytest.fail(f"there is no program of {name}:\n{failed.read_text()}")
            try:
                return _made(root / "generated" / "sources" / f"{name}.pt", shared / name)
            except Exception as error:
                failed.write_text(str(error))
                raise

    return get


def _made(source: Path, folder: Path) -> Program:
    import mlx_transpile

    made = Program(folder / "cpp" / "build" / "run", folder)
    if not made.path.exists():
        mlx_transpile.transpile(source, folder, emit=("cpp",))
        flags = {"CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1" if SANITIZE else "-O1", "SANITIZE": SANITIZE}
        assert build(folder / "cpp", build_type="Debug", options=flags).warnings == ""
    return made
