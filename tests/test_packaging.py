"""The wheel holds every module and every file that the package reads at run time."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

PARTS = ("mlx_transpile", "codegen", "frontend", "ir", "passes", "runtime", "templates")
DATA = {"runtime": ("python/*.py", "cpp/**/*.h"), "templates": ("**/*.j2",)}


@pytest.fixture(scope="module")
def wheel_files(root, tmp_path_factory):
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path_factory.mktemp("source")
    for part in PARTS:
        shutil.copytree(
            root / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(source / "dist"), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    [wheel] = (source / "dist").glob("*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("part", PARTS)
def test_wheel_holds_the_whole_folder(root, wheel_files, part):
    folder, package = root / part, part if part == "mlx_transpile" else f"mlx_transpile/{part}"
    patterns = ("*.py", *DATA.get(part, ()))
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    missing = {f"{package}/{path.relative_to(folder).as_posix()}" for path in found} - wheel_files
    assert not missing


def test_wheel_is_typed_and_licensed(wheel_files):
    assert "mlx_transpile/py.typed" in wheel_files
    assert any(name.endswith("/licenses/LICENSE") for name in wheel_files)


def test_constraints_pin_every_requirement(root):
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    names = {re.match(r"[\w-]+", line)[0].lower() for line in wanted}
    pins = (root / "constraints.txt").read_text().lower()
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", pins, re.MULTILINE))
    assert names <= pinned.keys()
