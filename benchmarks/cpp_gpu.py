"""Emitted Python against emitted C++ on the GPU, and whether compiled chains pay there.

    python benchmarks/cpp_gpu.py [FOLDER...] [--shape NAME...] [--rounds N] [-o FILE]

A folder holds an emitted Llama (model.py, config.json, weights.safetensors, cpp/); without one it
is generated/llama. It runs at the size that it was emitted at and at that of a Llama with about
1.5 billion weights (1B), random ones of the dtypes that the folder's own have. The C++ is built
with compiled chains on and off. The processes take turns, one at a time; a call is timed until the
function returns, which is the host's building of the graph, and until the outputs are evaluated.
Needs MLX, a C++ compiler and CMake, and nothing else of this repository.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

ROOT = Path(__file__).resolve().parent.parent
BILLION = {
    "rotary_emb_inv_freq_size": 32, "hidden_size": 2048, "num_attention_heads": 32, "head_dim": 64,
    "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 128256,
    "num_hidden_layers": 16,
}  # fmt: skip
TINY = BILLION | {
    "hidden_size": 128, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 500,
    "intermediate_size": 256,
}  # fmt: skip
SHAPES: dict[str, dict[str, int]] = {"as emitted": {}, "1B": BILLION, "tiny": TINY}
TOKENS = (1, 128)
TURN = 0.4  # seconds of one process before the next has its turn
CHAINS = ("ON", "OFF")
HEAD = """\
| model | dtype | tokens | program | ops | call ms | 10% to 90% | build | eval | Python / it |
|---|---|---|---|---|---|---|---|---|---|"""


# ---- models


def write_model(source: Path, shape: Mapping[str, int], folder: Path) -> None:
    """The emitted model of `source` at another shape, with random weights."""
    folder.mkdir()
    for name in ("model.py", "cpp"):
        (folder / name).symlink_to((source / name).resolve())
    if not shape:
        for name in ("config.json", "weights.safetensors"):
            (folder / name).symlink_to((source / name).resolve())
        return
    found = json.loads((source / "config.json").read_text())
    config = {key: shape.get(key, value) for key, value in found.items()}
    (folder / "config.json").write_text(json.dumps(config))
    dtypes = {k: v.dtype for k, v in mx.load(str(source / "weights.safetensors")).items()}
    module = import_model(folder)
    model = module.Model(module.ModelArgs(**config))
    weights = {}
    for name, zeros in tree_flatten(model.parameters()):
        dtype = dtypes[re.sub(r"\.\d+\.", ".0.", name)]
        weights[name] = random_weight(name, zeros.shape).astype(dtype)
        mx.eval(weights[name])
    metadata = {"config": json.dumps(config, separators=(",", ":"))}
    mx.save_safetensors(str(folder / "weights.safetensors"), weights, metadata)


def random_weight(name: str, shape: tuple[int, ...]) -> mx.array:
    """What keeps activations of the usual size; rotary embeddings have their frequencies."""
    if name.endswith("inv_freq"):
        return mx.array(1e4, mx.float32) ** (-mx.arange(shape[0]) / shape[0])
    if len(shape) == 1:
        return mx.random.uniform(0.5, 1.5, shape)
    return mx.random.normal(shape, scale=1.0 if "embed" in name else shape[-1] ** -0.5)


def import_model(folder: Path) -> Any:
    """A fresh module: dataclasses look themselves up in sys.modules."""
    sys.path.insert(0, str(folder))
    try:
        sys.modules.pop("model", None)
        import model

        return model
    finally:
        sys.path.pop(0)


# ---- programs


def build(project: Path, folder: Path, chains: str, program: str | None) -> Path:
    """The project built with chains compiled or not; `program` takes the place of main.cpp."""
    copy = folder / "project"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns("build"))
    if program:
        found = re.search(r"^namespace (\w+) \{", (copy / "model.h").read_text(), re.MULTILINE)
        assert found is not None
        (copy / "main.cpp").write_text(program.replace("MODEL_NAMESPACE", found[1]))
    build_dir = str(folder / "build")
    configure = ["cmake", "-S", str(copy), "-B", build_dir, f"-DCOMPILE_CHAINS={chains}"]
    configure += [f"-DPython_EXECUTABLE={sys.executable}"]
    for command in (configure, ["cmake", "--build", build_dir, "--parallel", "2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        if "warning" in done.stdout + done.stderr:
            print(done.stdout[-2000:], done.stderr[-1000:], file=sys.stderr)
    return folder / "build" / "run"


def build_all(project: Path, folder: Path) -> dict[tuple[str, str], Path]:
    """By purpose and chains: "time" answers to `Child`, "run" is the emitted program."""
    timer = (ROOT / "benchmarks" / "cpp_latency.cpp").read_text()
    wanted = [("time", chains, timer) for chains in CHAINS]
    emitted = [("run", chains, None) for chains in CHAINS]
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        jobs = {
            (kind, chains): pool.submit(build, project, folder / f"{kind}-{chains}", chains, text)
            for kind, chains, text in [*wanted, *emitted]
        }
    return {key: job.result() for key, job in jobs.items()}


class Child:
    """A process that times calls when it is told to."""

    def __init__(self, *command: object):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def ask(self, what: str, count: int) -> np.ndarray:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{what} {count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise RuntimeError(f"{self.process.args} has ended before its time")
        return np.array(answer, np.float64)

    def times(self, count: int, which: str = "unchecked") -> np.ndarray:
        """Milliseconds to build, to evaluate, and of the call, for each call."""
        pairs = self.ask(which, count).reshape(-1, 2) / 1000
        return np.column_stack([pairs, pairs.sum(axis=1)])

    def close(self) -> None:
        self.process.communicate()


def serve(folder: Path, inputs: Path) -> None:
    """The Python side of `Child`: model.py as it is; "compiled" has mx.compile around it."""
    model = import_model(folder).load(folder)
    mx.eval(model.parameters())
    ids = mx.load(str(inputs))["input_ids"]
    mx.eval(ids)
    calls = {"unchecked": model, "compiled": mx.compile(model)}
    for line in sys.stdin:
        which, count = line.split()
        if which == "ops":
            print(count_ops(model(ids)), flush=True)
            continue
        call = calls[which]
        for _ in range(int(count)):
            start = time.perf_counter()
            outputs = call(ids)
            built = time.perf_counter()
            mx.eval(outputs)
            done = time.perf_counter()
            print((built - start) * 1e6, (done - built) * 1e6, end=" ")
        print(flush=True)


def count_ops(outputs: Any) -> int:
    """Nodes of the graph that MLX evaluates for the outputs, a tree of lazy arrays."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "graph.dot")
        mx.export_to_dot(str(path), *(value for _, value in tree_flatten(outputs)))
        return path.read_text().count("shape=rectangle")


# ---- measurement


def measure(
    label: Sequence[str], model: Path, inputs: Path, programs: Mapping[Any, Path], rounds: int
) -> list[str]:
    python = Child(sys.executable, __file__, "--serve", model, inputs)
    on, off = (Child(programs["time", chains], model, inputs) for chains in CHAINS)
    sides = {
        "Python": (python, "unchecked"),
        "C++, chains compiled": (on, "unchecked"),
        "C++, chains not compiled": (off, "unchecked"),
        "C++, chains compiled, indices checked": (on, "checked"),
        "Python, mx.compile around the model": (python, "compiled"),
    }
    try:
        return [*take_turns(label, sides, rounds)]
    finally:
        for child in (python, on, off):
            child.close()


def take_turns(
    label: Sequence[str], sides: Mapping[str, tuple[Child, str]], rounds: int
) -> list[str]:
    """A B C A B C: what else the machine does falls on all."""
    counts = {}
    for name, (child, which) in sides.items():
        child.times(10, which)
        counts[name] = max(5, int(TURN * 1000 / np.median(child.times(20, which)[:, 2])))
    times: dict[str, list[np.ndarray]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, (child, which) in sides.items():
            times[name].append(child.times(counts[name], which))
    base = np.array([np.median(t[:, 2]) for t in times["Python"]])
    lines = []
    for name, (child, which) in sides.items():
        build, evaluate, call = np.median(np.concatenate(times[name]), axis=0)
        low, high = np.percentile(np.concatenate(times[name])[:, 2], [10, 90])
        ratio = np.median(base / np.array([np.median(t[:, 2]) for t in times[name]]))
        ops = int(child.ask("ops", 1)[0]) if which == "unchecked" else ""
        lines.append(
            f"| {' | '.join(label)} | {name} | {ops} | {call:.3f} | {low:.3f} to {high:.3f} "
            f"| {build:.3f} | {evaluate:.3f} | {ratio:.2f} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


# ---- numbers


def outputs_of(command: Sequence[object], target: Path, environment: Mapping[str, str]) -> Any:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr[-2000:]}")
    return np.array(mx.load(str(target))["output"].astype(mx.float32))


def call_once(folder: Path, inputs: Path, target: Path, device: str) -> None:
    mx.set_default_device(getattr(mx, device))
    output = import_model(folder).load(folder)(mx.load(str(inputs))["input_ids"])
    mx.save_safetensors(str(target), {"output": output})


def compare(
    label: Sequence[str], model: Path, inputs: Path, programs: Mapping[Any, Path], cpu: bool
) -> list[str]:
    """Differences from Python on the CPU (small models) or on the GPU, by the largest value."""
    target = model / "outputs.safetensors"
    python = [sys.executable, __file__, "--call", model, inputs, target]
    lines = []
    for tf32 in ("0", "1"):
        env = {"MLX_ENABLE_TF32": tf32}
        device = outputs_of([*python, default_device()], target, env)
        found = {"Python": device}
        for chains in CHAINS:
            command = [programs["run", chains], "--weights", model, "--input", inputs]
            command += ["--output", target, "--repeat", "0"]
            name = f"C++, chains {'' if chains == 'ON' else 'not '}compiled"
            found[name] = outputs_of(command, target, env)
        reference = outputs_of([*python, "cpu"], target, env) if cpu else device
        largest = np.abs(reference).max()
        for name, value in found.items():
            error = np.abs(value - reference).max() / largest
            same = np.array_equal(value, device)
            assert np.isfinite(value).all()
            lines.append(
                f"| {' | '.join(label)} | {'TF32' if tf32 == '1' else 'float32'} | {name} "
                f"| Python on the {'CPU' if cpu else 'GPU'} | {error:.1e} "
                f"| {'yes' if same else 'no'} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def default_device() -> str:
    return "gpu" if mx.default_device() == mx.Device(mx.gpu) else "cpu"


# ---- all of it


def run_folder(
    source: Path, shapes: Sequence[str], rounds: int, scratch: Path
) -> tuple[list[str], list[str]]:
    start = time.perf_counter()
    programs = build_all(source / "cpp", scratch / "programs")
    print(f"{source}: built in {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    timed: list[str] = []
    compared: list[str] = []
    for shape in shapes:
        model = scratch / shape.replace(" ", "-")
        write_model(source, SHAPES[shape], model)
        stored = mx.load(str(model / "weights.safetensors"))
        dtype = str(next(v for k, v in stored.items() if "q_proj" in k).dtype).rpartition(".")[2]
        size = sum(math.prod(v.shape) for v in stored.values())
        gigabytes = sum(v.nbytes for v in stored.values()) / 1e9
        print(f"{shape}: {size} weights, {gigabytes:.3f} GB", file=sys.stderr, flush=True)
        vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
        del stored
        for tokens in TOKENS:
            inputs = model / f"inputs-{tokens}.safetensors"
            ids = mx.random.randint(0, vocabulary, (1, tokens)).astype(mx.int64)
            mx.save_safetensors(str(inputs), {"input_ids": ids})
            label = (shape, dtype, str(tokens))
            compared += compare(label, model, inputs, programs, not SHAPES[shape])
            timed += measure(label, model, inputs, programs, rounds)
        (model / "weights.safetensors").unlink()
    return timed, compared


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--shape", action="append", choices=SHAPES, help="as emitted and 1B")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each process")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the tables there")
    parser.add_argument("--serve", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--call", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(*args.serve)
        return 0
    if args.call:
        folder, inputs, target, device = args.call
        call_once(Path(folder), Path(inputs), Path(target), device)
        return 0
    mx.random.seed(0)
    timed, compared = [HEAD], [
        "| model | dtype | tokens | products in | program | against | largest error "
        "| same bits as Python there |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for source in args.folders or [ROOT / "generated" / "llama"]:
        with tempfile.TemporaryDirectory() as scratch:
            found = run_folder(
                source.resolve(), args.shape or ["as emitted", "1B"], args.rounds, Path(scratch)
            )
        timed += found[0]
        compared += found[1]
        text = "\n".join([f"MLX {version('mlx')}, {default_device()}", "", *timed, "", *compared])
        if args.o:
            args.o.write_text(text + "\n")
    if not args.o:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
