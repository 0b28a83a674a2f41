"""Times of the source, of the emitted Python and of the emitted C++ on the same inputs.

Python and C++ run in processes of their own, which bring a fast BLAS where the machine has one:
MLX's wheel for Linux comes without, and only a process that starts can be given another.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .cases import captured_sizes
from .codegen.cpp_methods import input_names
from .codegen.project import fill_arguments
from .cpp_build import find_blas, run_program
from .emitted_model import EmittedModel
from .errors import TranspileError
from .frontend.source import Captured
from .ir import Graph
from .validate_cpp import CppBuild

SECONDS, LEAST, MOST, WARMUP = 2.0, 5, 200, 2
SEED = 30
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


def benchmark(captured: Captured, folder: Path, cpp: CppBuild | None = None) -> dict[str, Any]:
    """Milliseconds and calls per second of each, on one thread.

    At the captured sizes; at batch 1 where the batch is free. `cpp` is the build of the C++.
    """
    graph = captured.program.forward
    inputs = inputs_at_batch_one(captured)
    with _one_torch_thread():
        source = timed(lambda: captured.run(inputs), SECONDS)
    blas = find_blas()
    environment = single_threaded(blas)
    python = _time_python(folder, fill_arguments(graph.arguments, inputs), environment)
    rows = {"source": summary(source), "python": summary(python)}
    if cpp is not None:
        rows["cpp"] = _time_cpp(cpp, graph, folder, inputs, len(python), environment)
    return {
        "inputs": [list(a.shape) for a in inputs],
        "threads": 1,
        "blas": blas,
        "rows": rows,
    }


def timed(run: Callable[[], Any], seconds: float) -> list[float]:
    """The times of runs that take `seconds` together, after those to warm up."""
    for _ in range(WARMUP):
        run()
    times: list[float] = []
    while len(times) < LEAST or (sum(times) < seconds and len(times) < MOST):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def summary(times: Sequence[float]) -> dict[str, Any]:
    """As the C++ program sums up its own."""
    ordered = sorted(times)
    n = len(ordered)
    return {
        "median_ms": 500 * (ordered[(n - 1) // 2] + ordered[n // 2]),
        "p90_ms": 1000 * ordered[(n * 9 + 9) // 10 - 1],
        "calls_per_second": n / sum(ordered),
        "runs": n,
    }


# ---- inputs


def inputs_at_batch_one(captured: Captured) -> list[np.ndarray]:
    """The captured inputs, or such at batch 1 where the source takes them."""
    from .frontend.random_inputs import random_inputs

    graph, sizes = captured.program.forward, captured_sizes(captured)
    batch = _batch(graph)
    if batch is not None and sizes.get(batch, 1) > 1:
        inputs = random_inputs(graph, {**sizes, batch: 1}, np.random.default_rng(SEED))
        with contextlib.suppress(Exception):  # whatever the source says to other sizes
            captured.run(inputs)
            return inputs
    return captured.example_inputs


def _batch(graph: Graph) -> str | None:
    """The free size that is the first dim of every input with dims."""
    first = {str(v.tensor.shape[0]) for v in graph.inputs if v.tensor.shape}
    return next((s.name for s in graph.symbols() if first == {s.name} and s.low <= 1), None)


# ---- one thread and a fast BLAS


@contextlib.contextmanager
def _one_torch_thread() -> Iterator[None]:
    """torch computes on one thread while open, where it is loaded."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(before)


def single_threaded(blas: str | None) -> dict[str, str]:
    """This process's environment with one thread, and with the BLAS before all libraries."""
    loaded = [p for p in (blas, os.environ.get("LD_PRELOAD")) if p]
    preload = {"LD_PRELOAD": ":".join(loaded)} if loaded else {}
    return {**os.environ, **dict.fromkeys(THREAD_VARIABLES, "1"), **preload}


# ---- processes


def _time_cpp(
    cpp: CppBuild,
    graph: Graph,
    folder: Path,
    inputs: Sequence[np.ndarray],
    runs: int,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The measurements of the program, or why there are none."""
    if cpp.program is None:
        return {"missing": cpp.missing or "it does not build"}
    named = dict(zip(input_names(graph), inputs, strict=True))
    weights = folder / "weights.safetensors"
    try:
        _, found = run_program(
            cpp.program, weights, [named], repeat=runs, warmup=WARMUP, environment=environment
        )
    except TranspileError as error:
        return {"missing": str(error.what)}
    keys = ("median_ms", "p90_ms", "calls_per_second")
    return {**{k: found[k] for k in keys}, "runs": found["calls"]}


def _time_python(
    folder: Path, arguments: Sequence[Any], environment: Mapping[str, str]
) -> list[float]:
    """Times of the emitted Python in a process that finds modules where this one does."""
    path = os.pathsep.join(p for p in sys.path if p)
    with tempfile.TemporaryDirectory(prefix="mlx-transpile-") as name:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(folder.resolve()), str(SECONDS)],
            input=pickle.dumps(arguments),
            capture_output=True,
            env={**environment, "PYTHONPATH": path},
            cwd=name,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise TranspileError(f"the emitted Python does not run: {lines[-1] if lines else ''}")
    times: list[float] = json.loads(done.stdout)
    return times


def main() -> None:
    """What that process does: the model of a folder on the arguments that stdin has."""
    run = EmittedModel(Path(sys.argv[1])).timed(pickle.load(sys.stdin.buffer))
    print(json.dumps(timed(run, float(sys.argv[2]))))


if __name__ == "__main__":
    main()
