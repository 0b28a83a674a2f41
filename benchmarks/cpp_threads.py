"""Many threads on one emitted C++ model: does any result differ, does memory grow?

    python benchmarks/cpp_threads.py --write
    python benchmarks/cpp_threads.py --sanitize thread --calls 800 --write
    python benchmarks/cpp_threads.py --sanitize address,undefined --calls 800 --write

The program compares every output of every thread, bit for bit, with that of its first call, made
before there is a second thread, and stops at the first difference. Requests of all sizes run side
by side. The peak of memory is taken after a fifth of the calls and at the end.

With a sanitizer the program's own code (main.cpp, model.cpp, nn.h and what it takes from headers)
is instrumented; MLX's library is as it was installed. ThreadSanitizer does not see the atomics by
which MLX's threads hand work over, so reports in which one access is made by a thread that MLX
itself runs say nothing and are counted apart. All others count as findings, also those in which
our threads are deep inside of MLX. A counter without a lock, planted in `Model::run`, shows that
findings would be seen.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import mlx_transpile
from mlx_transpile.cpp_build import build, find_compiler, run_program

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results" / "cpp_threads.md"

TOKENS = [(1, 1), (1, 7), (3, 5), (1, 64), (4, 16)]
IMAGES = [(1, 3, 32, 32), (1, 3, 64, 48), (4, 3, 20, 24), (2, 3, 33, 65), (1, 3, 1, 1)]
MODELS = {
    "llama": ("input_ids", TOKENS, 64),
    "resnet": ("x", IMAGES, None),
    "bilstm": ("sentence", TOKENS, 50),
}
PLANTED = ("nn::check_names(inputs, input_names());", "static int calls = 0; ++calls;")


@dataclass
class Outcome:
    """What one model's run showed."""

    name: str
    measured: dict[str, Any]
    findings: list[str] = field(default_factory=list)
    inside: int = 0  # reports about MLX's own threads


def requests(name: str) -> list[dict[str, np.ndarray]]:
    """One request of each size."""
    argument, shapes, vocabulary = MODELS[name]
    random = np.random.default_rng(0)
    return [
        {
            argument: random.normal(size=shape).astype(np.float32)
            if vocabulary is None
            else random.integers(0, vocabulary, shape)
        }
        for shape in shapes
    ]


# ---- one run


def emit(name: str, folder: Path, sanitize: str) -> Path:
    """The model's folder, with the program built in cpp/build."""
    mlx_transpile.transpile(ROOT / "generated" / "sources" / f"{name}.pt", folder, emit=("cpp",))
    compile_cpp(folder, sanitize)
    return folder


def compile_cpp(folder: Path, sanitize: str) -> None:
    if sanitize:
        flags = {"CMAKE_CXX_FLAGS_DEBUG": "-O1 -g1", "SANITIZE": sanitize}
        build(folder / "cpp", build_type="Debug", options=flags)
    else:
        build(folder / "cpp")


def plant(folder: Path) -> None:
    """A data race in the emitted model: a counter of calls that all threads share."""
    path = folder / "cpp" / "model.cpp"
    before, planted = PLANTED
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, f"{planted}\n  {before}"))


def run(name: str, folder: Path, threads: int, calls: int) -> Outcome:
    """About `calls` calls, a fifth of them before the first look at memory."""
    inputs = requests(name)
    each = calls / threads / len(inputs)
    with reports() as logs:
        _, measured = run_program(
            folder / "cpp" / "build" / "run",
            folder / "weights.safetensors",
            inputs,
            threads=threads,
            warmup=max(1, round(each / 5)),
            repeat=max(1, round(each * 4 / 5)),
        )
        text = "".join(path.read_text(errors="replace") for path in sorted(logs.iterdir()))
    measured["warm_calls"] = max(1, round(each / 5)) * threads * len(inputs)
    findings, inside = classify(text)
    return Outcome(name, measured, findings, inside)


@contextmanager
def reports() -> Iterator[Path]:
    """A folder into which sanitizers write, and go on."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as name:
        path = f"log_path={name}/report"
        os.environ["TSAN_OPTIONS"] = f"{path}:exitcode=0:history_size=7"
        os.environ["ASAN_OPTIONS"] = f"{path}:detect_leaks=1:detect_stack_use_after_return=1"
        os.environ["LSAN_OPTIONS"] = "exitcode=0"
        os.environ["UBSAN_OPTIONS"] = f"{path}:print_stacktrace=1"
        try:
            yield Path(name)
        finally:
            os.environ.clear()
            os.environ.update(before)


ACCESS = re.compile(
    r"^  \S.* by (?:main thread|thread T\d+)[^\n]*:\n((?:    #[^\n]*\n)+)", re.MULTILINE
)


def classify(text: str) -> tuple[list[str], int]:
    """What the reports say about us, and how many are about threads of MLX."""
    races = text.split("WARNING: ThreadSanitizer: ")[1:]
    inside = [race for race in races if of_mlx(race)]
    ours = [race for race in races if race not in inside]
    others = re.findall(r"^.*(?:runtime error: |ERROR: \w+Sanitizer: ).*$", text, re.MULTILINE)
    return [re.sub(r"\s*\(pid=\d+\)", "", found.splitlines()[0]) for found in ours] + others, len(
        inside
    )


def of_mlx(race: str) -> bool:
    """Whether one of the accesses has frames of MLX and none of the program: our threads all begin
    in the program."""
    stacks = ACCESS.findall(race)
    return any("libmlx.so" in stack and "(run+0x" not in stack for stack in stacks)


# ---- results


def table(outcomes: list[Outcome]) -> str:
    rows = [
        "| model | sizes of inputs | calls | differences | MB before | MB at the end | calls/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        m = o.measured
        sizes = ", ".join("×".join(map(str, shape)) for shape in MODELS[o.name][1])
        calls, before = m["calls"] + m["warm_calls"], m["warm_calls"]
        rows.append(
            f"| {o.name} | {sizes} | {calls:,} | 0 | {m['warm_megabytes']:.1f} after {before:,} "
            f"calls | {m['peak_megabytes']:.1f} | {m['calls_per_second']:.0f} |"
        )
    return "\n".join(rows)


def sanitized(outcomes: list[Outcome], sanitize: str, control: Outcome | None) -> str:
    thread = sanitize == "thread"
    rows = [
        "| model | calls | differences | findings |"
        + (" about MLX's own threads |" if thread else ""),
        "|---|---|---|---|" + ("---|" if thread else ""),
    ]
    for o in outcomes + ([control] if control else []):
        name = o.name + (" with a planted race" if o is control else "")
        calls = o.measured["calls"] + o.measured["warm_calls"]
        found = "; ".join(dict.fromkeys(o.findings)) if o is control else str(len(o.findings))
        rows.append(f"| {name} | {calls:,} | 0 | {found} |" + (f" {o.inside} |" if thread else ""))
    return "\n".join(rows)


def machine() -> str:
    compiler = subprocess.run(
        [find_compiler() or "c++", "--version"], capture_output=True, text=True
    )
    return (
        f"MLX {version('mlx')}, {compiler.stdout.splitlines()[0]}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores"
    )


HEAD = (
    "# Threads on one emitted C++ model\n\n"
    "Written by `benchmarks/cpp_threads.py`, which says what is done."
)


def write(title: str, body: str) -> None:
    """The section of that title is replaced, or added."""
    text = RESULTS.read_text() if RESULTS.exists() else HEAD
    sections = dict(s.partition("\n")[::2] for s in text.split("\n## ")[1:])
    sections[title] = f"\n{body}\n"
    parts = [HEAD, *(f"## {t}\n{b.rstrip()}" for t, b in sections.items())]
    RESULTS.write_text("\n\n".join(p.rstrip() for p in parts) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--sanitize", default="", help="thread, or address,undefined")
    parser.add_argument("--write", action="store_true", help=f"into {RESULTS.name}")
    args = parser.parse_args()
    if args.sanitize and shutil.which("cmake") is None:
        parser.error("--sanitize needs cmake")

    outcomes, control = [], None
    with tempfile.TemporaryDirectory() as name:
        for model in args.models:
            folder = emit(model, Path(name, model), args.sanitize)
            outcomes.append(run(model, folder, args.threads, args.calls))
            print(outcomes[-1], flush=True)
            if args.sanitize == "thread" and control is None:
                plant(folder)
                compile_cpp(folder, args.sanitize)
                control = run(model, folder, args.threads, args.calls)
                print("planted:", control, flush=True)
    title = f"-fsanitize={args.sanitize}" if args.sanitize else f"{args.threads} threads"
    body = sanitized(outcomes, args.sanitize, control) if args.sanitize else table(outcomes)
    text = f"{machine()}, {args.threads} threads.\n\n{body}"
    print(f"\n{text}")
    if args.write:
        write(title, text)
    if any(o.findings for o in outcomes) or (control and not control.findings):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
