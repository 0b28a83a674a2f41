"""Builds the emitted C++ outside of the output folder and compares what it gives, at the inputs of
the validation, with the emitted Python and with the source.
"""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .codegen.cpp_methods import input_names
from .codegen.cpp_names import outputs_of
from .compare import Difference, Tolerance
from .cpp_build import build, find_compiler, run_program
from .errors import TranspileError
from .ir import Graph, Value
from .ir.draws import draws
from .validate import DRAWN, CaseRun, compare_results, named

# How far C++ may be from Python, relative to the largest magnitude of an output. Both call the same
# functions of MLX; where these are fused or ordered otherwise, a few roundings of the type remain,
# and quantized products carry them on.
BOUNDS = {"float32": 1e-5, "float16": 4e-3, "bfloat16": 3e-2}
QUANTIZED_BOUND = 1e-4
# Below `compare.SMALL`, the most that two outputs may differ relative to their largest magnitude.
SMALL_BOUND = 1e-2
ERROR_LINES = 12
_BUILDER = re.compile(r"\[ *\d+[/%]|FAILED:|ninja:|g?make")


@dataclass(frozen=True)
class CppBuild:
    """A build of out/cpp. `missing`: what the machine lacks for one; `error`: why it failed."""

    program: Path | None = None
    compiler: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)
    missing: str = ""
    error: str = ""


@dataclass
class CppCase:
    """One set of sizes. `error`: why the program gave nothing."""

    sizes: dict[str, int]
    against_python: list[tuple[str, Difference]] = field(default_factory=list)
    against_source: list[tuple[str, Difference]] = field(default_factory=list)
    error: str = ""


@dataclass
class CppReport:
    """The build and, where there is a program, its cases.

    Outputs of a model that was quantized are held against Python's alone, which is checked against
    the dequantized weights; `judge_source` is False. So are those of a model that draws random
    numbers: `seeded`, C++ and Python draw the same, and the source others.
    """

    build: CppBuild
    bound: float
    cases: list[CppCase] = field(default_factory=list)
    judge_source: bool = True
    seeded: bool = False

    @property
    def ok(self) -> bool:
        """False where it does not build, does not run or gives something else."""
        return not self.build.error and all(self.agrees(c) for c in self.cases)

    def agrees(self, case: CppCase) -> bool:
        judged = [*case.against_python, *(case.against_source if self.judge_source else ())]
        return not case.error and all(d.ok for _, d in judged)

    def largest(self, other: str) -> float:
        """The largest error relative to the magnitude, against `python` or `source`."""
        found = (d.max_rel for c in self.cases for _, d in getattr(c, f"against_{other}"))
        return max(found, default=0.0)


def build_cpp(folder: Path, build_dir: Path) -> CppBuild:
    """Build the project `folder` into `build_dir`, with the BLAS that Python's MLX uses."""
    folder = folder.resolve()
    lines = {p.name: _lines(p) for p in sorted(folder.glob("*")) if p.suffix in (".h", ".cpp")}
    made = CppBuild(compiler=_compiler(), lines=lines)
    try:
        built = build(folder, build_dir, blas="")
    except TranspileError as error:
        text = str(error.what).replace(str(folder), "cpp").replace(str(build_dir), "build")
        return replace(made, error=_first_error(text))
    warnings = tuple(w for w in built.warnings.splitlines() if re.search(r"\bwarning:", w))
    return replace(
        made,
        program=built.program,
        seconds=built.seconds,
        warnings=warnings,
        missing=built.missing,
    )


def _first_error(text: str) -> str:
    """The beginning of a build's error, up to where ninja or make go on."""
    head, *lines = text.splitlines()
    said = itertools.takewhile(lambda line: not _BUILDER.match(line), lines[: ERROR_LINES - 1])
    return "\n".join([head, *said])


def _lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def _compiler() -> str:
    """The compiler's own words: `g++ (Debian 12.2.0-14) 12.2.0`."""
    path = find_compiler()
    if path is None:
        return ""
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return next(iter(done.stdout.splitlines()), Path(path).name)


# ---- comparison


def validate_cpp(
    made: CppBuild,
    graph: Graph,
    weights: Path,
    runs: Sequence[CaseRun],
    tolerance: Tolerance,
    dtype: str,
    quantized: bool,
    anew: bool = True,
) -> CppReport:
    """Run the program on the inputs of `runs` and compare; `tolerance` is that to the source.

    `dtype` is the narrowest floating-point type among the weights; `quantized` says that layers
    are packed, `anew` that their source is not.
    """
    bound = max(BOUNDS[dtype], QUANTIZED_BOUND if quantized else 0.0)
    seed = DRAWN if draws(graph) else None
    judge = not (quantized and anew) and seed is None
    report = CppReport(made, bound, judge_source=judge, seeded=seed is not None)
    if made.program is None:
        return report
    inputs = [dict(zip(input_names(graph), run.inputs, strict=True)) for run in runs]
    for run, found in zip(runs, _outputs(made.program, weights, inputs, seed), strict=True):
        case = CppCase(run.sizes)
        if isinstance(found, TranspileError):
            case.error = re.sub(r"\brequest \d+: ", "", str(found.what))
        else:
            got = _by_path(graph, found)
            if run.python is not None:
                case.against_python = _against_python(got, run.python, bound)
            if run.source is not None:
                case.against_source = _compare(got, run.source, tolerance)
        report.cases.append(case)
    return report


def _outputs(
    program: Path, weights: Path, inputs: Sequence[Mapping[str, np.ndarray]], seed: int | None
) -> list[dict[str, np.ndarray] | TranspileError]:
    """For each of the inputs what the program gives or says, from one start where all is well."""
    try:
        return [*run_program(program, weights, inputs, seed=seed)[0]]
    except TranspileError as error:
        if len(inputs) < 2:
            return [error] * len(inputs)
        return [_outputs(program, weights, [each], seed)[0] for each in inputs]


def _by_path(graph: Graph, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The outputs under the names that `named` gives them in the nested result."""
    paths = [path for path, leaf in named(graph.result) if isinstance(leaf, Value)]
    pairs = zip(paths, outputs_of(graph), strict=True)
    return {path: outputs[name] for path, name in pairs if name in outputs}


def _compare(
    got: Mapping[str, Any], want: Any, tolerance: Tolerance
) -> list[tuple[str, Difference]]:
    """Compare the arrays of a nested result; C++ has no others."""
    arrays = {path: leaf for path, leaf in named(want) if isinstance(leaf, np.ndarray | np.generic)}
    return compare_results(dict(got), arrays, tolerance)


def _against_python(
    got: Mapping[str, Any], want: Any, bound: float
) -> list[tuple[str, Difference]]:
    """Very small outputs, which the rule for the source lets pass, must agree as well."""
    return [
        (name, replace(d, ok=d.ok and not (d.weak and d.max_rel > max(SMALL_BOUND, bound))))
        for name, d in _compare(got, want, Tolerance(bound, 0.0))
    ]
