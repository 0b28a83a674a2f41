"""From a source to an output folder: what the command line and the Python API share."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import BadRequest, TranspileError
from .options import DTYPES, Options, check_options

if TYPE_CHECKING:
    from .cases import Case
    from .codegen.emitted import Emitted
    from .codegen.quantize import Choice
    from .codegen.weights import Rules
    from .compare import Tolerance
    from .frontend.source import Captured
    from .ir import DType
    from .numbers import Numbers
    from .passes.pipeline import Run
    from .validate import CaseRun, Report
    from .validate_cpp import CppBuild

Progress = Callable[[str, int, int], None]
REFERENCE_SEED = 10
REFERENCE_CASES = 2


@dataclass
class Result:
    """What a run made.

    `out` is None for a check; `report` needs `validate` or `benchmark`; `plan` needs `check`.
    """

    out: Path | None
    files: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    report: Report | None = None
    plan: str | None = None
    quantization: Choice | None = None

    @property
    def ok(self) -> bool:
        """False where validation ran and failed."""
        return self.report is None or not self.report.cases or self.report.ok


@dataclass
class _Work:
    """A run's intermediate results."""

    options: Options
    captured: Captured
    runs: list[Run]
    dumps: list[tuple[int, str, str]]
    progress: Progress
    constants: dict[str, Any] = field(default_factory=dict)  # that the dumps name
    choice: Choice | None = None  # what is quantized


def transpile(
    source: Any,
    out: str | os.PathLike[str] | None,
    *,
    example_inputs: Any = None,
    inputs: Sequence[Any] | None = None,
    emit: Sequence[str] = ("python",),
    dtype: str | None = None,
    quantize: str | None = None,
    keep_float: Sequence[str] = (),
    level: int = 1,
    validate: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    benchmark: bool = False,
    weights: str | os.PathLike[str] | None = None,
    no_weights: bool = False,
    name: str | None = None,
    check: bool = False,
    dump_ir: bool = False,
    print_after: str | None = None,
    stop_after: str | None = None,
    disable_pass: Sequence[str] = (),
    verify_each: bool = False,
    explain_fusions: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Result:
    """Write the MLX model of `source` into the folder `out`.

    `source` is a path, `package.module:factory` (with `weights`), or a model in memory: an
    `nn.Module` with `example_inputs`, an `ExportedProgram`, a `GraphModule`. `inputs` describes
    inputs as `--input` does (`"ids=batch,seq:int64"`), `quantize` and `keep_float` what is
    quantized (`"4:64"`, `["head"]`). The folder takes its place only when it is complete; a failed
    validation leaves a complete folder with its report, and a Result whose `ok` is False.
    `progress(stage, done, total)` is told how far the run is. Raises TranspileError.
    """
    options = Options(
        tuple(emit), dtype, level, validate, rtol, atol, benchmark, no_weights, name, check,
        dump_ir, print_after, stop_after, tuple(disable_pass), verify_each,
        quantize, tuple(keep_float), explain_fusions,
    )  # fmt: skip
    check_options(options, out)
    specs = input_specs(inputs)
    progress("reading", 0, 0)
    from .frontend import capture

    with _no_garbage_collection():
        captured = capture(source, inputs=specs, example_inputs=example_inputs, weights=weights)
        work = _Work(options, captured, [], [], progress)
        _run_passes(work)
    if check:
        from .manifest import plan

        return Result(None, plan=plan(captured, work.runs, captured.details.get("aliases", {})))
    assert out is not None  # check_options
    return _write(work, Path(out), _files(model=source, weights=weights))


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Graphs live until the end: collecting while they grow costs time that grows with them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _files(**sources: Any) -> dict[str, Path]:
    """Those of the sources that are files: the manifest has their digests."""
    paths = {k: Path(v) for k, v in sources.items() if isinstance(v, str | os.PathLike)}
    return {k: p for k, p in paths.items() if p.is_file()}


def input_specs(inputs: Sequence[Any] | None) -> list[Any] | None:
    """What `--input` says, parsed."""
    from .frontend.inputs import InputSpec, parse_inputs

    if not inputs:
        return None
    given = [i for i in inputs if isinstance(i, InputSpec)]
    return given if len(given) == len(inputs) else parse_inputs([str(i) for i in inputs])


# ---- the stages


def _run_passes(work: _Work) -> None:
    """Run the passes; keep the IR before the first, and after each that changed something."""
    from .ir.text import constants_of, print_graph
    from .passes import pipeline

    options, graph = work.options, work.captured.program.forward

    def keep(number: int, name: str, text: str) -> None:
        work.dumps.append((number, name, text))
        work.constants |= constants_of(graph)

    work.progress("optimizing", 0, 0)
    wanted = options.dump_ir or options.print_after is not None
    if wanted:
        keep(0, "captured", print_graph(graph))
    try:
        work.runs = pipeline.run(
            work.captured.program,
            options.level,
            disable=options.disable_pass,
            stop_after=options.stop_after,
            dump=(lambda number, pass_, text: keep(number, pass_.name, text)) if wanted else None,
            verify_each=options.verify_each,
            check=_numbers(work).check if options.verify_each else None,
        )
    except pipeline.PassError as error:
        from .reproducer import pass_failed

        raise pass_failed(error, options.recorded(), work.captured.tensors) from error
    if options.explain_fusions:
        from .explain import print_table

        print_table(work.runs)
    if options.print_after:
        print(_after(work.dumps, options.print_after, options.level), end="")


def _numbers(work: _Work) -> Numbers:
    """What the captured graph computes, at two sets of sizes."""
    from .cases import captured_sizes
    from .numbers import numbers

    work.progress("evaluating", 0, 0)
    captured = work.captured
    sizes = captured_sizes(captured)
    return numbers(captured.program.forward, captured.tensors, captured=sizes)


def _after(dumps: list[tuple[int, str, str]], name: str, level: int) -> str:
    """The IR after the pass of that name: what the last pass up to it left."""
    from .passes.pipeline import list_passes

    number = next((i for i, p in enumerate(list_passes(level), 1) if p.name == name), 0)
    if not number:
        raise BadRequest(f"the pass {name!r} does not run at -O {level}", where="--print-after")
    return [text for i, _, text in dumps if i <= number][-1]


def _write(work: _Work, out: Path, sources: Mapping[str, Path]) -> Result:
    from .codegen import emit, project, quantize
    from .codegen.weights import make_rules, shape_of

    options, captured = work.options, work.captured
    work.progress("emitting", 0, 0)
    emitted = emit(captured.program, options.name or captured.program.forward.name)
    aliases, facts = (captured.details.get(k, {}) for k in ("aliases", "baked_buffers"))
    facts = {**facts, **captured.program.forward.facts}
    layers = quantize.layers(captured.program.forward, emitted)
    stored = quantize.stored(emitted.parameters, layers)
    rules = make_rules(
        emitted.parameters, captured.tensors, aliases, facts, layers, emitted.precise, stored.able,
        onnx=captured.format == "onnx",
    )  # fmt: skip
    if options.quantization:
        work.choice = quantize.choose(
            options.quantization, layers, lambda n: shape_of(emitted.parameters[f"{n}.weight"])
        )
    elif options.keeps_packed:
        if options.keep_float and not stored.able:
            raise options.all_float()
        work.choice = quantize.keep_own(stored, layers, options.keep_float)
    told = [*stored.told(work.choice), *captured.details.get("integers", ())]
    captured.details["integers"] = told
    with project.staged(out) as folder:
        _write_model(work, folder, emitted, rules)
        report = _measure(work, folder, emitted)
        if options.no_weights:
            (folder / "weights.safetensors").unlink(missing_ok=True)
        _write_manifest(work, folder, emitted, rules, sources)
        files = project.files_of(folder)
        work.progress("done", 0, 0)
    return Result(out, files, emitted.config, report, quantization=work.choice)


def _dtype(options: Options) -> DType | None:
    from .ir import DType

    return DType(DTYPES[options.dtype]) if options.dtype else None


def _write_model(work: _Work, folder: Path, emitted: Emitted, rules: Rules) -> None:
    """Everything but the reports and the manifest."""
    from .codegen import project, weights
    from .ir.draws import draws
    from .numbers import drawn_results

    options, captured, dtype = work.options, work.captured, _dtype(work.options)
    graph = captured.program.forward
    drawing = bool(draws(graph))
    defaults = (options.quantize_text, options.keep_float)
    project.write_code(folder, emitted, rules, dtype, work.choice, defaults, drawing)
    project.write_constants(folder, weights.constants(emitted.parameters, captured.tensors, rules))
    if not options.no_weights or options.validate or options.benchmark:
        weights.write_weights(
            folder / "weights.safetensors", emitted.parameters, captured.tensors, rules, dtype,
            lambda done, total, name: work.progress("weights", done, total),
            project.read_json(folder / "config.json"), work.choice,
        )  # fmt: skip
    if "cpp" in options.emit:
        project.write_cpp(folder, graph, emitted, options.name or graph.name)
    cases, unseen = _reference_cases(work), drawn_results(graph) if drawing else None
    project.write_reference(folder, graph.arguments, cases, _tolerances(work), unseen)
    if options.dump_ir:
        project.write_ir(folder, work.dumps, work.constants)
        from .ir_index import write_index

        write_index(folder / "ir", work.dumps, work.runs)


def _tolerances(work: _Work) -> dict[str, tuple[float, float]]:
    """atol and rtol by the element type of the weights: as asked for, or the defaults."""
    from .compare import ROUNDED_ATOL, TOLERANCES

    options = work.options
    least = ROUNDED_ATOL if work.captured.details.get("rounds") else 0.0
    return {
        dtype: (
            max(atol, least) if options.atol is None else options.atol,
            rtol if options.rtol is None else options.rtol,
        )
        for dtype, (atol, rtol) in TOLERANCES.items()
    }


def _narrowest(work: _Work) -> str:
    """The narrowest floating-point type among the stored weights."""
    params = work.captured.program.forward.params.values()
    found = {p.tensor.dtype.value for p in params if p.tensor.dtype.is_float}
    narrowest = next((n for n in ("bfloat16", "float16") if DTYPES[n] in found), "float32")
    return work.options.dtype or narrowest


def _reference_cases(work: _Work) -> list[Case]:
    """Runs of the source for reference.safetensors: at the captured sizes and at others."""
    from .cases import Case, captured_sizes, run_case, run_cases, size_sets

    captured = work.captured
    work.progress("running the source", 0, 0)
    sets: list[dict[str, int]] = size_sets(captured.program.forward, captured_sizes(captured)) or [
        {}
    ]
    sets = [sets[0], *reversed(sets[1:3]), *sets[3:]]
    cases: list[Case] = []
    for case in run_cases(captured, sets, REFERENCE_SEED):
        if isinstance(case, Case):
            cases.append(case)
        if len(cases) == REFERENCE_CASES:
            break
    if not cases:
        inputs = captured.example_inputs
        cases.append(_source_run(lambda: run_case(captured, captured_sizes(captured), inputs)))
    return cases


def _source_run(run: Callable[[], Case]) -> Case:
    try:
        return run()
    except TranspileError:
        raise
    except Exception as error:
        raise TranspileError(
            f"the source does not run on inputs that were made up for it: {error}",
            hint="give example inputs that it takes (example_inputs of transpile())",
        ) from error


def _measure(work: _Work, folder: Path, emitted: Emitted) -> Report | None:
    """Validation and benchmark, as asked for, with their report in the folder."""
    options = work.options
    if not options.validate and not options.benchmark:
        return None
    from .benchmark import benchmark
    from .compare import Tolerance
    from .manifest import drawing_notes
    from .report import write_report
    from .validate import Report

    tolerance = Tolerance(*_tolerances(work)[_narrowest(work)])
    report = Report(tolerance, [], dtype=options.dtype)
    with tempfile.TemporaryDirectory(prefix="mlx-transpile-build-") as build_dir:
        cpp = _build_cpp(work, folder, Path(build_dir))
        if options.validate:
            report = _validate(work, folder, emitted, tolerance, cpp)
            report.notes = (
                *work.captured.details.get("integers", ()),
                *drawing_notes(work.captured),
            )
        if work.choice:
            size = (folder / "weights.safetensors").stat().st_size
            report.quantization = {
                **work.choice.report(size, _float_bytes(work, emitted)),
                "summary": work.choice.counted(),
            }
        if options.benchmark:
            work.progress("measuring", 0, 0)
            report.benchmark = benchmark(work.captured, folder, cpp)
    write_report(folder, report)
    return report


def _build_cpp(work: _Work, folder: Path, build_dir: Path) -> CppBuild | None:
    if "cpp" not in work.options.emit:
        return None
    from .validate_cpp import build_cpp

    work.progress("building the C++", 0, 0)
    return build_cpp(folder / "cpp", build_dir)


def _validate(
    work: _Work, folder: Path, emitted: Emitted, tolerance: Tolerance, cpp: CppBuild | None
) -> Report:
    """The emitted Python against the source, and the C++ against both."""
    from .report_parts import sizes_text
    from .validate import validate
    from .validate_cpp import validate_cpp

    def tell(sizes: Mapping[str, int]) -> None:
        work.progress(f"validating {sizes_text(sizes)}", 0, 0)

    def keep(run: CaseRun) -> None:
        if cpp is not None:
            runs.append(run)

    runs: list[CaseRun] = []
    dtype = work.options.dtype
    anew = work.choice is not None and not work.choice.own
    report = validate(work.captured, emitted.modules, folder, tolerance, dtype, tell, keep, anew)
    if cpp is not None:
        work.progress("validating the C++", 0, 0)
        graph, weights = work.captured.program.forward, folder / "weights.safetensors"
        report.cpp = validate_cpp(
            cpp, graph, weights, runs, tolerance, _narrowest(work), work.choice is not None, anew
        )
    return report


def _float_bytes(work: _Work, emitted: Emitted) -> int:
    """The size of the weights as if nothing were quantized."""
    from .codegen.weights import shape_of, stored

    dtype = _dtype(work.options)
    return sum(
        stored(p.tensor.dtype, dtype).numpy.itemsize * math.prod(shape_of(p))
        for p in emitted.parameters.values()
    )


def _write_manifest(
    work: _Work, folder: Path, emitted: Emitted, rules: Rules, sources: Mapping[str, Path]
) -> None:
    from .codegen.project import files_of, write_json
    from .manifest import manifest

    data = manifest(
        work.captured,
        emitted,
        rules,
        work.runs,
        work.options.recorded(),
        sources,
        _dtype(work.options),
        work.choice,
    )
    write_json(folder / "manifest.json", {**data, "files": files_of(folder)})
