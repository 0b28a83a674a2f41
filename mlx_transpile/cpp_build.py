"""Builds an emitted C++ project and runs its program: cmake where there is one, else a compiler."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .codegen import tensorfile
from .codegen.weights import narrow
from .errors import TranspileError

COMPILERS = ("c++", "g++", "clang++")
BLAS_VARIABLE = "BLAS_LIBRARY"
TAIL = 40  # lines of a failed build that its error shows
_OPTIMIZE = {"Debug": ["-g", "-O0"], "Release": ["-O3", "-DNDEBUG"]}


@dataclass(frozen=True)
class BuildResult:
    """The program, or None and in `missing` what this machine lacks to build it."""

    program: Path | None
    seconds: float = 0.0
    warnings: str = ""
    missing: str = ""


# ---- what the machine has


def find_compiler() -> str | None:
    """The path of the C++ compiler: $CXX or the first of the usual names."""
    names = [os.environ.get("CXX", ""), *COMPILERS]
    return next((path for name in names if name and (path := shutil.which(name))), None)


def find_mlx() -> Path | None:
    """The folder of this Python's mlx package, where it has the C++ headers and library."""
    try:
        spec = importlib.util.find_spec("mlx.core")
    except ModuleNotFoundError:
        return None
    folder = Path(spec.origin).parent if spec and spec.origin else None
    return folder if folder and (folder / "include" / "mlx" / "mlx.h").is_file() else None


def find_blas() -> str | None:
    """A BLAS that is faster than the one MLX brings on Linux: $BLAS_LIBRARY, or OpenBLAS.

    With $BLAS_LIBRARY set to nothing, none is used.
    """
    if BLAS_VARIABLE in os.environ:
        return os.environ[BLAS_VARIABLE] or None
    ldconfig = shutil.which("ldconfig") or shutil.which("/sbin/ldconfig")
    if sys.platform != "linux" or ldconfig is None:
        return None
    listed = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"^\s*libopenblas\.so\.0 .*=> (\S+)$", listed, re.MULTILINE)
    return found[1] if found else None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- building


def build(
    folder: Path,
    build_dir: Path | None = None,
    build_type: str = "Release",
    *,
    blas: str | None = None,
    options: Mapping[str, str] | None = None,
) -> BuildResult:
    """Build the project of `folder` (CMakeLists.txt, model.cpp, main.cpp) with this Python's MLX.

    `blas` is the path of a BLAS library, "" for the one that MLX brings, by default what
    `find_blas` finds. `options` are further CMake variables, such as SANITIZE; without cmake they
    are left out. TranspileError with the end of the compiler's output where the code does not
    compile.
    """
    folder = folder.resolve()
    build_dir = (build_dir or folder / "build").resolve()
    compiler, mlx = find_compiler(), find_mlx()
    if compiler is None:
        return BuildResult(None, missing=f"no C++ compiler is there ({', '.join(COMPILERS)})")
    if mlx is None:
        return BuildResult(None, missing="the mlx package of this Python has no C++ headers")
    blas = find_blas() if blas is None else blas
    start = time.perf_counter()
    if shutil.which("cmake") and (shutil.which("ninja") or shutil.which("make")):
        commands = _cmake(folder, build_dir, compiler, build_type, blas, options or {})
    else:
        build_dir.mkdir(parents=True, exist_ok=True)
        commands = [_compile(folder, build_dir, compiler, build_type, blas, mlx)]
    output = "".join(_run(command, folder) for command in commands)
    warnings = "\n".join(line for line in output.splitlines() if "warning" in line.lower())
    return BuildResult(build_dir / "run", time.perf_counter() - start, warnings)


def _cmake(
    folder: Path,
    build_dir: Path,
    compiler: str,
    build_type: str,
    blas: str | None,
    options: Mapping[str, str],
) -> list[list[str]]:
    """Configure and build; a folder that was configured before keeps its generator."""
    variables = {
        "CMAKE_BUILD_TYPE": build_type,
        "CMAKE_CXX_COMPILER": compiler,
        "Python_EXECUTABLE": sys.executable,
        BLAS_VARIABLE: blas or "",
        **options,
    }
    configure = ["cmake", "-S", str(folder), "-B", str(build_dir)]
    configure += [f"-D{name}={value}" for name, value in variables.items()]
    if shutil.which("ninja") and not (build_dir / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    return [configure, ["cmake", "--build", str(build_dir), "--parallel", str(_cores())]]


def _compile(
    folder: Path, build_dir: Path, compiler: str, build_type: str, blas: str | None, mlx: Path
) -> list[str]:
    """One line that does what the CMake file does."""
    library = mlx / "lib"
    preload = ["-Wl,--no-as-needed", blas] if blas else []
    undefined = ["-Wl,--allow-shlib-undefined"] if sys.platform == "linux" else []
    return [
        compiler, "-std=c++20", *_OPTIMIZE.get(build_type, ["-O2", "-g"]), "-Wall", "-Wextra",
        "-isystem", str(mlx / "include"), str(folder / "model.cpp"), str(folder / "main.cpp"),
        "-o", str(build_dir / "run"), *preload, f"-L{library}", "-lmlx", *undefined,
        f"-Wl,-rpath,{library}", "-pthread",
    ]  # fmt: skip


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        raise TranspileError(
            f"the C++ project does not build:\n{_tail(done.stdout)}",
            where=str(folder),
            hint=f"the failed command is: {' '.join(command)}",
        )
    return done.stdout


def _tail(text: str) -> str:
    """The first lines with an error, which the last lines of a long output may not show."""
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if re.search(r"\berror\b", line, re.I)), None)
    start = max(len(lines) - TAIL, 0) if first is None else first
    return "\n".join(lines[start : start + TAIL])


# ---- running


def run_program(
    program: Path,
    weights: Path,
    inputs: Sequence[Mapping[str, np.ndarray]],
    *,
    repeat: int = 0,
    threads: int = 1,
    warmup: int = 1,
    unchecked: bool = False,
    seed: int | None = None,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[list[dict[str, np.ndarray]], dict[str, Any]]:
    """The outputs for each of the inputs from one start of the program, and its measurements.

    Measurements are those that `run --json` prints: calls, median_ms, p90_ms, calls_per_second,
    peak_megabytes, and calls, median_ms and p90_ms for each of `requests`. They are empty where
    `repeat` is 0. `unchecked` turns the model's checks of indices off. `seed` is that of a model
    that draws random numbers. `environment` takes the place of this process's. TranspileError
    with the program's message where it fails.
    """
    with tempfile.TemporaryDirectory(prefix="mlx-transpile-") as name:
        source, target = Path(name, "inputs.safetensors"), Path(name, "outputs.safetensors")
        _write_requests(source, inputs)
        command = [
            str(program), "--weights", str(weights), "--input", str(source), "--output",
            str(target), "--repeat", str(repeat), "--threads", str(threads), "--warmup",
            str(warmup), "--json", *(["--unchecked"] if unchecked else []),
            *([] if seed is None else ["--seed", str(seed)]),
        ]  # fmt: skip
        printed = _run_program(command, timeout, environment)
        return _read_outputs(target, len(inputs)), json.loads(printed or "{}")


def _run_program(
    command: list[str], timeout: float | None, environment: Mapping[str, str] | None
) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=timeout,
            check=False, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TranspileError(f"the C++ program did not end within {timeout} s") from None
    except OSError as error:
        raise TranspileError(f"the C++ program does not start: {error}") from None
    if done.returncode < 0:
        raise TranspileError(
            f"the C++ program was ended by {signal.Signals(-done.returncode).name}\n"
            f"{_tail(done.stderr)}"
        )
    if done.returncode:
        raise TranspileError(f"the C++ program failed: {_tail(done.stderr).removeprefix('run: ')}")
    return done.stdout


def _write_requests(path: Path, inputs: Sequence[Mapping[str, np.ndarray]]) -> None:
    named = {
        f"{number}.{name}": narrow(np.asarray(value))
        for number, arrays in enumerate(inputs)
        for name, value in arrays.items()
    }
    tensorfile.write_tensors(path, tensorfile.entries(named), {})


def _read_outputs(path: Path, count: int) -> list[dict[str, np.ndarray]]:
    """Outputs by request. Those of a model without inputs have no number, and are all alike."""
    import ml_dtypes  # noqa: F401  (NumPy learns bfloat16)
    from safetensors.numpy import load_file

    outputs: list[dict[str, np.ndarray]] = [{} for _ in range(count)]
    for name, value in load_file(path).items():
        number, dot, rest = name.partition(".")
        if dot and number.isdecimal():
            outputs[int(number)][rest] = value
        else:
            for of_request in outputs:
                of_request[name] = value
    return outputs
