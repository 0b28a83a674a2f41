"""Latency of emitted Python and emitted C++: how long a call takes, and where.

    python benchmarks/cpp_latency.py [MODEL...] [--rounds N] [-o FILE]

Each model is transpiled with both languages, built, and run at batch 1 in two processes that take
turns, a fraction of a second each, on one thread with OpenBLAS preloaded where it is found. A call
is timed in two parts: until the function returns, which is building MLX's graph on the host, and
until the outputs are evaluated. Models: those of generated/sources, llama-like decoders at one
token, and library models where the zoo is here (MLX_TRANSPILE_ZOO names its file).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pickle
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import torch
from cpp_gpu import count_ops

from mlx_transpile import transpile
from mlx_transpile.benchmark import inputs_at_batch_one, single_threaded
from mlx_transpile.cases import captured_sizes
from mlx_transpile.codegen import tensorfile
from mlx_transpile.codegen.cpp_methods import input_names
from mlx_transpile.codegen.project import fill_arguments
from mlx_transpile.codegen.weights import narrow
from mlx_transpile.cpp_build import build, find_blas
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.errors import TranspileError
from mlx_transpile.frontend import capture
from mlx_transpile.frontend.random_inputs import random_inputs

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "zoo")]

REFERENCES = ("llama", "bert", "resnet", "bilstm")
DECODERS = {"decoder-512": 512, "decoder-1024": 1024}
LIBRARY = ("gpt2", "qwen3", "wake_embedding", "wake_classifier_dnn", "mobilenet_v3", "vocos")
TURN, ROUNDS, UNDISTURBED = 0.15, 20, 10  # seconds and number of turns; percentile
HEAD = """\
# Latency of emitted Python and C++

Made by `benchmarks/cpp_latency.py`: {versions}; {processor}, one thread,
{blas}. Batch 1. Milliseconds, the {percentile}th percentile
over {rounds} turns of each process: what else the machine does disturbs these calls the least.
*build* is the part of a call until the function returns its lazy outputs (the host builds the
graph), *eval* the rest: MLX schedules and computes. *checked* is the C++ call with its checks that
indices lie within their tables, which the Python does not make; the other columns are without.
*ops* are the nodes of MLX's graph in Python and in C++. *ratio* is Python's call over that of C++:
the median of the turns, and the turns from the 10th to the 90th percentile.
"""
COLUMNS = (
    "model", "inputs", "ops", "Python", "build", "eval", "C++", "build", "eval", "checked", "ratio",
    "10% to 90%", "ratio of build",
)  # fmt: skip


# ---- models


@dataclass(frozen=True)
class Subject:
    """A file to transpile, and sizes other than those that it was captured at."""

    source: Path
    sizes: Mapping[str, int] = field(default_factory=dict)


def subject(name: str, folder: Path) -> Subject:
    if name in REFERENCES:
        return Subject(ROOT / "generated" / "sources" / f"{name}.pt")
    if name in DECODERS:
        return Subject(save_decoder(DECODERS[name], folder / "model.pt"), {"B": 1, "L": 1})
    import zoo_runs

    return Subject(zoo_runs.save(zoo_runs.build(zoo(), name, "pt"), "pt", folder / "model.pt"))


def save_decoder(width: int, path: Path) -> Path:
    """A Llama of 8 layers with the usual proportions and a small vocabulary."""
    from models.case import seeded
    from models.llama import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=8000, hidden_size=width, intermediate_size=11 * width // 4,
        num_hidden_layers=8, num_attention_heads=width // 64, num_key_value_heads=width // 256,
        head_dim=64,
    )  # fmt: skip
    model, ids = seeded(LlamaForCausalLM(config)), torch.arange(14).reshape(2, 7)
    torch.jit.trace(model, ids, check_trace=False).save(str(path))
    return path


def zoo() -> ModuleType | None:
    """The library models, where they are here."""
    path = Path(os.environ.get("MLX_TRANSPILE_ZOO", ROOT.parent / "shared" / "zoo" / "zoo.py"))
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("model_zoo", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ---- the two processes


class Child:
    """A process that times calls when it is told to."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]):
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def times(self, which: str, count: int) -> np.ndarray:
        """Microseconds to build and to evaluate, for each call."""
        return np.array(self.ask(which, count), np.float64).reshape(count, 2)

    def ops(self) -> int:
        """The nodes of the graph."""
        return int(self.ask("ops", 1)[0])

    def ask(self, what: str, count: int) -> list[str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{what} {count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise RuntimeError("a process has ended before its time")
        return answer

    def close(self) -> None:
        self.process.communicate()


def serve_python(folder: Path, arguments: Path) -> None:
    """The Python side of `Child`."""
    model = EmittedModel(folder)
    call = prepared(model, pickle.loads(arguments.read_bytes()))
    for line in sys.stdin:
        what, count = line.split()
        if what == "ops":
            print(count_ops(call()), flush=True)
            continue
        for _ in range(int(count)):
            start = time.perf_counter()
            outputs = call()
            built = time.perf_counter()
            mx.eval(outputs)
            done = time.perf_counter()
            print((built - start) * 1e6, (done - built) * 1e6, end=" ")
        print(flush=True)


def prepared(model: EmittedModel, arguments: Sequence[Any]) -> Callable[[], Any]:
    """A call of the model that gives its lazy outputs."""
    from mlx_transpile.emitted_model import to_mlx
    from mlx_transpile.ir.graph import map_structure

    converted = [map_structure(to_mlx, a) for a in arguments]
    mx.eval(converted)
    return lambda: model.model(*converted)


def build_cpp(project: Path, folder: Path) -> Path:
    """The project with cpp_latency.cpp for its program."""
    copy = folder / "project"
    shutil.copytree(project, copy)
    found = re.search(r"^namespace (\w+) \{", (copy / "model.h").read_text(), re.MULTILINE)
    assert found is not None
    text = (ROOT / "benchmarks" / "cpp_latency.cpp").read_text()
    (copy / "main.cpp").write_text(text.replace("MODEL_NAMESPACE", found[1]))
    built = build(copy, folder / "build", blas="")
    if built.program is None:
        sys.exit(f"nothing to measure: {built.missing}")
    return built.program


# ---- measurement


@dataclass(frozen=True)
class Row:
    """Milliseconds; `python` and `cpp` have build, evaluation and the whole call."""

    model: str
    inputs: str
    ops: tuple[int, int]
    python: np.ndarray
    cpp: np.ndarray
    checked: float
    ratios: np.ndarray  # of each turn


def measure(name: str, rounds: int, blas: str | None, folder: Path) -> Row:
    chosen = subject(name, folder)
    captured = capture(str(chosen.source))
    graph = captured.program.forward
    inputs = inputs_at_batch_one(captured)
    if chosen.sizes:
        sizes = {**captured_sizes(captured), **chosen.sizes}
        inputs = random_inputs(graph, sizes, np.random.default_rng(0))
    out = folder / "out"
    transpile(chosen.source, out, emit=("python", "cpp"))
    named = dict(zip(input_names(graph), map(narrow, inputs), strict=True))
    stored, arguments = folder / "inputs.safetensors", folder / "arguments.pickle"
    tensorfile.write_tensors(stored, tensorfile.entries(named), {})
    arguments.write_bytes(pickle.dumps(fill_arguments(graph.arguments, inputs)))
    program, environment = build_cpp(out / "cpp", folder), single_threaded(blas)
    python = Child([sys.executable, __file__, "--serve", str(out), str(arguments)], environment)
    cpp = Child([str(program), str(out), str(stored)], environment)
    try:
        shapes = " ".join("x".join(map(str, a.shape)) or "()" for a in inputs)
        return take_turns(name, shapes, python, cpp, rounds)
    finally:
        python.close()
        cpp.close()


def take_turns(name: str, shapes: str, python: Child, cpp: Child, rounds: int) -> Row:
    """A B A B: what else the machine does falls on both."""
    counts = {child: turn_length(child) for child in (python, cpp)}
    times: dict[str, list[np.ndarray]] = {"python": [], "cpp": [], "checked": []}
    for _ in range(rounds):
        times["python"].append(python.times("unchecked", counts[python]))
        times["cpp"].append(cpp.times("unchecked", counts[cpp]))
        times["checked"].append(cpp.times("checked", max(1, counts[cpp] // 4)))
    ratios = [
        undisturbed(a)[2] / undisturbed(b)[2]
        for a, b in zip(times["python"], times["cpp"], strict=True)
    ]
    found = {key: undisturbed(np.concatenate(turns)) for key, turns in times.items()}
    checked, ops = float(found["checked"][2]), (python.ops(), cpp.ops())
    return Row(name, shapes, ops, found["python"], found["cpp"], checked, np.array(ratios))


def turn_length(child: Child) -> int:
    """How many calls fill a turn; warms the process up."""
    child.times("checked", 3)
    call = np.median(child.times("unchecked", 5).sum(axis=1)) * 1e-6
    return max(3, int(TURN / call))


def undisturbed(times: np.ndarray) -> np.ndarray:
    """Of building, of evaluation and of both, in milliseconds."""
    both = np.column_stack([times, times.sum(axis=1)])
    return np.asarray(np.percentile(both, UNDISTURBED, axis=0) / 1000)


# ---- the page


def cells(row: Row) -> list[str]:
    low, high = np.percentile(row.ratios, [10, 90])
    (p_build, p_eval, p_call), (c_build, c_eval, c_call) = row.python, row.cpp
    return [
        row.model, row.inputs, " ".join(map(str, row.ops)),
        *(f"{ms:.3f}" for ms in (p_call, p_build, p_eval, c_call, c_build, c_eval, row.checked)),
        f"{np.median(row.ratios):.2f}", f"{low:.2f} to {high:.2f}", f"{p_build / c_build:.1f}",
    ]  # fmt: skip


def page(found: Sequence[Row], rounds: int, blas: str | None) -> str:
    head = HEAD.format(
        versions=f"MLX {mx.__version__}, Python {platform.python_version()}",
        processor=f"{processor()}, {os.cpu_count()} cores",
        blas=f"{Path(blas).name} preloaded for both" if blas else "no OpenBLAS found",
        rounds=rounds,
        percentile=UNDISTURBED,
    )
    lines = [head, "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in found]
    return "\n".join([*lines, "", *(summary(found) if found else ()), ""])


def summary(found: Sequence[Row]) -> list[str]:
    """Where the time goes, over all models."""
    shares = [
        [row.python[0] / row.python[2] for row in found],
        [row.cpp[0] / row.cpp[2] for row in found],
    ]
    python, cpp = (f"{min(s):.0%} to {max(s):.0%}" for s in shares)
    builds = [row.python[0] / row.cpp[0] for row in found]
    return [
        f"Building the graph is {python} of a call in Python and {cpp} in C++, which builds it "
        f"{min(builds):.1f} to {max(builds):.1f} times as fast. The rest is MLX's own work, "
        "the same library in both."
    ]


def processor() -> str:
    """The name that Linux knows it by."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def rows(models: Sequence[str], rounds: int, blas: str | None) -> Iterator[Row]:
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = measure(name, rounds, blas, Path(folder))
            except (TranspileError, RuntimeError) as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                continue
            print(" ".join(cells(row)), file=sys.stderr, flush=True)
            yield row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each process")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve_python(*args.serve)
        return 0
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    models = args.models or [*REFERENCES, *DECODERS, *(LIBRARY if zoo() else ())]
    blas = find_blas()
    found = list(rows(models, args.rounds, blas))
    text = page(found, args.rounds, blas)
    if args.o:
        args.o.write_text(text)
    else:
        print(text)
    return 0 if len(found) == len(models) else 1


if __name__ == "__main__":
    sys.exit(main())
