"""Runs source and emitted model side by side; compares outputs and every module's output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .cases import Case, Unrunnable, captured_sizes, further_sizes, run_cases, size_sets
from .codegen.project import fill_arguments
from .compare import Difference, Tolerance, compare
from .emitted_model import EmittedModel
from .frontend.source import Captured
from .ir import Graph
from .ir.draws import drawn_values, draws

if TYPE_CHECKING:
    from .validate_cpp import CppReport

SEED = 20  # inputs differ from those of the reference file
DRAWN = 7  # the seed of what emitted models draw by themselves
UNSEEN = "not compared: it depends on random numbers"
Calls = Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class ModuleCheck:
    """One module call of the source: compared, or skipped with the reason."""

    path: str
    call: int
    difference: Difference | None
    skipped: str = ""


@dataclass(frozen=True)
class CaseRun:
    """What one set of sizes gave: flat inputs, and the nested results. `python` is None where the
    emitted model did not run. Of a model that draws random numbers, `python` has its results with
    those of the seed DRAWN, and there is no `source`.
    """

    sizes: dict[str, int]
    inputs: list[np.ndarray]
    python: Any
    source: Any


@dataclass
class CaseReport:
    """One set of sizes. `error`: why the emitted model did not run; `unrunnable`: the source."""

    sizes: dict[str, int]
    outputs: list[tuple[str, Difference]] = field(default_factory=list)
    modules: list[ModuleCheck] = field(default_factory=list)
    error: str = ""
    unrunnable: str = ""
    against_source: list[tuple[str, Difference]] = field(default_factory=list)  # if quantized
    source_itself: list[tuple[str, Difference]] = field(default_factory=list)  # at a narrow dtype
    source_refuses: str = ""  # why it does not run at that dtype

    @property
    def ok(self) -> bool:
        """Whether the outputs agree; where they are very small, the modules' outputs too."""
        weak = any(d.weak for _, d in self.outputs)
        agree = all(d.ok for _, d in self.outputs)
        return not self.error and agree and not (weak and self.first_divergence)

    @property
    def first_divergence(self) -> ModuleCheck | None:
        """The first call, in the order in which the source's calls end, whose output is off."""
        return next((m for m in self.modules if m.difference and not m.difference.ok), None)


@dataclass
class Report:
    """All cases, and the medians of a benchmark in seconds."""

    tolerance: Tolerance
    cases: list[CaseReport]
    benchmark: dict[str, Any] | None = None
    dtype: str | None = None
    quantization: dict[str, Any] | None = None
    cpp: CppReport | None = None
    notes: tuple[str, ...] = ()  # what else a reader should know of the source

    @property
    def ok(self) -> bool:
        return self.python_ok and (self.cpp is None or self.cpp.ok)

    @property
    def python_ok(self) -> bool:
        return all(c.ok for c in self.cases) and any(not c.unrunnable for c in self.cases)

    @property
    def symbols(self) -> set[str]:
        """The free sizes of the model."""
        return {name for case in self.cases for name in case.sizes}

    def ran(self, symbol: str) -> list[int]:
        """The sizes of a symbol at which the source ran."""
        return sorted({c.sizes[symbol] for c in self.cases if not c.unrunnable})

    @property
    def max_abs(self) -> float:
        return max((d.max_abs for c in self.cases for _, d in c.outputs), default=0.0)


def validate(
    captured: Captured,
    modules: Calls,
    folder: Path,
    tolerance: Tolerance,
    dtype: str | None = None,
    on_run: Callable[[Mapping[str, int]], None] = lambda sizes: None,
    keep: Callable[[CaseRun], None] = lambda run: None,
    anew: bool = True,
) -> Report:
    """Compare the model in `folder` with the source, at two sizes or more of every symbol.

    `modules` maps module calls of the source to modules of the emitted model. Sizes at which the
    source itself does not run are noted and prove nothing. A model that was quantized (`anew`)
    must agree with itself on the dequantized weights; how far the source's outputs are is noted.
    `keep` is given the inputs and results of every case that the source runs.
    """
    graph, known = captured.program.forward, captured_sizes(captured)
    model = EmittedModel(folder)
    reference = EmittedModel(folder).dequantize() if anew and model.quantized() else None

    def run(sets: Sequence[Mapping[str, int]]) -> list[CaseReport]:
        cases = run_cases(captured, sets, SEED, on_run)
        return [check(case) for case in cases]

    def check(case: Case | Unrunnable) -> CaseReport:
        if isinstance(case, Unrunnable):
            return CaseReport(case.sizes, unrunnable=case.reason)
        found, got = _check(case, captured, modules, model, tolerance, reference)
        if dtype and dtype != "float32" and captured.run_narrow is not None:
            _run_narrow(found, case, captured.run_narrow, dtype, tolerance)
        keep(_seeded(case, graph, model, got))
        return found

    try:
        report = Report(tolerance, run(size_sets(graph, known) or [{}]), dtype=dtype)
        for symbol in graph.symbols():
            for size in further_sizes(symbol, known.get(symbol.name, symbol.low)):
                if len(report.ran(symbol.name)) < 2 and known.keys() >= report.symbols:
                    report.cases += run([{**known, symbol.name: size}])
    finally:
        model.close()
        if reference is not None:
            reference.close()
    return report


def _seeded(case: Case, graph: Graph, model: EmittedModel, got: Any) -> CaseRun:
    """What C++ is compared with: results of the same seed, where the model draws."""
    if not draws(graph):
        return CaseRun(case.sizes, case.inputs, got, case.result)
    arguments = fill_arguments(graph.arguments, case.inputs)
    own = None if got is None else model.run_seeded(arguments, DRAWN)
    return CaseRun(case.sizes, case.inputs, own, None)


def _check(
    case: Case,
    captured: Captured,
    modules: Calls,
    model: EmittedModel,
    tolerance: Tolerance,
    reference: EmittedModel | None,
) -> tuple[CaseReport, Any]:
    """The comparison, and what the emitted model gave: None where it did not run."""
    report = CaseReport(case.sizes)
    arguments = fill_arguments(captured.program.forward.arguments, case.inputs)
    try:
        got, calls = model.run_recorded(arguments, case.draws)
    except Exception as error:
        report.error = f"{type(error).__name__}: {error}"
        return report, None
    if reference is not None:
        report.against_source = compare_results(got, case.result, tolerance)
        want, theirs = reference.run_recorded(arguments, case.draws)
        paths = {(path, i): path for path, own in theirs.items() for i in range(len(own))}
        each = {(path, i): theirs[path][i] for path, i in paths}
        report.outputs = compare_results(got, want, tolerance)
        report.modules = _compare_modules(each, calls, paths, tolerance)
        return report, got
    report.outputs = compare_results(got, case.result, tolerance)
    if case.draws is None:
        report.outputs = _compare_drawn(captured.program.forward, got, case.result, tolerance)
        return report, got
    report.modules = _compare_modules(
        captured.module_outputs(case.inputs), calls, modules, tolerance
    )
    return report, got


def _compare_drawn(
    graph: Graph, got: Any, want: Any, tolerance: Tolerance
) -> list[tuple[str, Difference]]:
    """Outputs that depend on numbers which the source drew unseen: by shape and type alone."""
    drawn = drawn_values(graph)
    unseen = {name for name, value in named(graph.result) if value in drawn}

    def blank(tree: Any) -> dict[str, Any]:
        return {n: np.zeros_like(a) if n in unseen else a for n, a in named(tree)}

    found = compare_results(blank(got), blank(want), tolerance)
    return [(n, replace(d, note=UNSEEN) if n in unseen and d.ok else d) for n, d in found]


def _run_narrow(
    report: CaseReport,
    case: Case,
    run: Callable[[str, Sequence[np.ndarray]], Any],
    dtype: str,
    tolerance: Tolerance,
) -> None:
    """How far the source's own results at the dtype are from those it was captured with."""
    try:
        result = run(dtype, case.inputs)
    except Exception as error:  # whatever torch says of a kernel that it lacks
        report.source_refuses = (str(error).strip().splitlines() or [type(error).__name__])[-1][
            :200
        ]
        return
    report.source_itself = compare_results(result, case.result, tolerance)


def compare_results(got: Any, want: Any, tolerance: Tolerance) -> list[tuple[str, Difference]]:
    """Every output by its name: `logits`, `0`, `hidden_states.1`; `output` where there is one."""
    ours, theirs = dict(named(got)), dict(named(want))
    if ours.keys() != theirs.keys():
        note = f"the result holds {', '.join(ours)} instead of {', '.join(theirs)}"
        return [("result", Difference(np.inf, np.inf, 0.0, False, note))]
    return [(name, compare(ours[name], value, tolerance)) for name, value in theirs.items()]


def named(tree: Any, path: str = "") -> list[tuple[str, Any]]:
    """The leaves of a nested result by path."""
    if isinstance(tree, tuple | list):
        tree = dict(enumerate(tree))
    if isinstance(tree, Mapping):
        dot = f"{path}." if path else ""
        return [leaf for key, value in tree.items() for leaf in named(value, f"{dot}{key}")]
    return [(path or "output", tree)]


# ---- modules


def _compare_modules(
    source: Mapping[tuple[str, int], list[np.ndarray]],
    calls: Mapping[str, list[list[np.ndarray]]],
    modules: Calls,
    tolerance: Tolerance,
) -> list[ModuleCheck]:
    """Pair every call of the source with a call of the emitted module that computes it."""
    expected = Counter(modules[key] for key in source if key in modules)
    left = {path: list(own) for path, own in calls.items()}
    checks = []
    for key, want in source.items():
        target = modules.get(key)
        ran = len(calls.get(target, ())) if target is not None else 0
        if target is None:
            checks.append(ModuleCheck(*key, None, "no module of its own in model.py"))
        elif ran != expected[target]:
            why = f"called {ran} times, {expected[target]} in the source"
            checks.append(ModuleCheck(*key, None, why))
        else:
            checks.append(_take_call(key, left[target], want, tolerance))
    return checks


def _take_call(
    key: tuple[str, int],
    left: list[list[np.ndarray]],
    want: Sequence[np.ndarray],
    tolerance: Tolerance,
) -> ModuleCheck:
    """Compare with the first call that agrees, and with the next one where none does.

    Calls of one module may run in another order than in the source, where they do not depend
    on each other.
    """
    for got in left:
        check = _compare_module(key, got, want, tolerance)
        if check.difference and check.difference.ok:
            left[:] = [other for other in left if other is not got]
            return check
    return _compare_module(key, left.pop(0), want, tolerance)


def _compare_module(
    key: tuple[str, int],
    got: Sequence[np.ndarray],
    want: Sequence[np.ndarray],
    tolerance: Tolerance,
) -> ModuleCheck:
    if len(got) != len(want):
        return ModuleCheck(*key, None, f"gives {len(got)} arrays, {len(want)} in the source")
    found = [_compare_either_layout(g, w, tolerance) for g, w in zip(got, want, strict=True)]
    if any(d is None for d in found):
        return ModuleCheck(*key, None, "an output has another shape")
    worst = max(filter(None, found), key=lambda d: (not d.ok, d.max_rel), default=None)
    return ModuleCheck(*key, worst, "" if worst else "no arrays")


def _compare_either_layout(
    got: np.ndarray, want: np.ndarray, tolerance: Tolerance
) -> Difference | None:
    """Compare as they are, or with the source's axis 1 last; None where no layout fits."""
    layouts = [want, *([np.moveaxis(want, 1, -1)] if want.ndim > 2 else [])]
    found = [compare(got, w, tolerance) for w in layouts if w.shape == got.shape]
    return min(found, key=lambda d: (not d.ok, d.max_rel), default=None)
