"""The command `transpile-opt`: passes on IR text, and what finds their errors."""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .command import DONE, FAILED, guarded, items, printable
from .errors import BadRequest, TranspileError

if TYPE_CHECKING:
    import numpy as np

    from .bisect import Culprit
    from .frontend.source import Captured
    from .ir import Graph
    from .ir_files import IrFile
    from .numbers import Numbers
    from .passes.pipeline import Run

PROGRAM = "transpile-opt"
DESCRIPTION = """\
Run passes on IR text, or find what is wrong with them:

    transpile-opt FILE.ir --passes a,b,c [-o FILE]   run these passes
    transpile-opt FILE.ir                            run what a reproducer's first line says
    transpile-opt bisect MODEL                       the first pass, and the single replacement
                                                     in it, that moves the numbers
    transpile-opt reduce FILE.ir --check CMD         a smaller graph for which CMD still fails
    transpile-opt diff A.ir B.ir                     what changed, node by node

Each has its own --help."""
EPILOG = """\
Exit status: 0 done, and nothing is wrong; 1 a pass fails or moves the numbers, or files differ;
2 the request or a file is bad."""


def _row(*flags: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    return flags, settings


_TRACEBACK = _row("--traceback", action="store_true", help="show the Python traceback of an error")
_PIPELINE = [
    _row("--passes", metavar="LIST", help="these passes, in this order, with commas"),
    _row("-O", dest="level", type=int, choices=[0, 1, 2], help="the passes of a level"),
    _row("--disable-pass", metavar="PASS", action="append", default=[], help="leave it out"),
    _row("--stop-after", metavar="PASS", help="run no pass after this one"),
]
_NUMBERS = [
    _row("--weights", metavar="FILE", help="what recipes read (.safetensors); else random"),
    _row("--data", metavar="FILE", action="append", default=[],
         help="inputs by name (.safetensors); may be repeated; else random ones"),
    _row("--sets", type=int, default=2, help="sets of random inputs, each of other sizes (2)"),
    _row("--seed", type=int, default=0, help="of random inputs and weights (0)"),
    _row("--rtol", type=float, help="relative tolerance (1e-5); numbers are in double precision"),
    _row("--atol", type=float, help="absolute one, relative to an array's largest value (1e-5)"),
]  # fmt: skip
_TABLES: dict[str, list[tuple[tuple[str, ...], dict[str, Any]]]] = {
    "run": [
        _row("file", metavar="FILE.ir", nargs="?", help="IR text; its constants lie beside it"),
        *_PIPELINE,
        _row("-o", "--output", metavar="FILE", help="where the IR goes; else to stdout"),
        _row("--print-after", metavar="PASS", help="print the IR after this pass"),
        _row("--dump-ir", metavar="DIR", help="the IR after each pass that changed it, an index"),
        _row("--verify-each", action="store_true", help="IR and numbers after every pass"),
        _row("--explain-fusions", action="store_true", help="which rewrite applied, or refused"),
        _row("--list-passes", action="store_true", help="print the passes in order"),
        *_NUMBERS,
    ],
    "bisect": [
        _row("model", metavar="MODEL", help="whatever transpile takes, or IR text"),
        *_PIPELINE,
        _row("--input", metavar="NAME=DIMS[:DTYPE]", action="append", dest="inputs",
             help="as for transpile"),
        *_NUMBERS,
        _row("--save", metavar="DIR", help="write the IR before and after the replacement"),
    ],
    "reduce": [
        _row("file", metavar="FILE.ir", help="IR text for which the check fails"),
        _row("--check", metavar="CMD", required=True,
             help="a command; {} in it is the candidate's file, else it is the last argument. "
             "It fails as long as its exit status is that for FILE.ir"),
        _row("--message", metavar="TEXT", default="", help="what the check has to print as well"),
        _row("-o", "--output", metavar="FILE", help="default: FILE.reduced.ir"),
        _row("--tries", type=int, default=2000, help="candidates at the most (2000)"),
        _row("--timeout", type=float, default=120, help="seconds for one check (120)"),
    ],
    "diff": [
        _row("old", metavar="A.ir", help="IR text"),
        _row("new", metavar="B.ir", help="IR text"),
    ],
}  # fmt: skip


def build_parser(command: str) -> argparse.ArgumentParser:
    """The parser of one of the commands of `_TABLES`."""
    style = argparse.RawDescriptionHelpFormatter
    name = PROGRAM if command == "run" else f"{PROGRAM} {command}"
    text = DESCRIPTION if command == "run" else COMMANDS[command].__doc__
    parser = argparse.ArgumentParser(name, description=text, epilog=EPILOG, formatter_class=style)
    for flags, settings in [*_TABLES[command], _TRACEBACK]:
        parser.add_argument(*flags, **settings)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments.pop(0) if arguments and arguments[0] in COMMANDS else "run"
    parser = build_parser(command)
    options = parser.parse_args(arguments)
    action = COMMANDS.get(command, _run)
    return guarded(PROGRAM, lambda: action(options), options.traceback)


# ---- FILE.ir --passes


def _run(options: argparse.Namespace) -> int:
    """Run passes on IR text."""
    if options.list_passes:
        from .cli import list_passes

        return list_passes()
    if options.file is None:
        raise BadRequest("no file is given", hint="transpile-opt FILE.ir --passes a,b,c")
    from .ir_files import read_ir, write_ir_file
    from .passes import pipeline

    file = read_ir(options.file)
    dumps: list[tuple[int, str, Graph]] = []
    passes = _passes(options, file.facts)
    numbers = _numbers_of_file(file, options) if _verified(options, file.facts) else None
    runs = []
    with _known_passes(), _reproduced(options, numbers):
        runs = pipeline.run(
            file.graph,
            passes=passes,
            print_after=options.print_after,
            dump=_dumper(options, file.graph, dumps),
            verify_each=numbers is not None,
            check=numbers.check if numbers else None,
        )
    _finish(options, file.graph, runs, dumps)
    if options.output:
        write_ir_file(options.output, file.graph, _kept(file.facts))
    return DONE


def _verified(options: argparse.Namespace, facts: Mapping[str, Any]) -> bool:
    return bool(options.verify_each or (_own_pipeline(options) and facts.get("verify_each")))


def _own_pipeline(options: argparse.Namespace) -> bool:
    """Whether the passes are those that the file states."""
    return options.passes is None and options.level is None


def _passes(options: argparse.Namespace, facts: Mapping[str, Any]) -> list[str]:
    """The names of the passes that run."""
    from .passes import pipeline

    if options.passes is not None and options.level is not None:
        raise BadRequest("--passes and -O exclude each other")
    names = items(options.passes) if options.passes is not None else facts.get("passes")
    if names is None and options.level is None:
        raise BadRequest(
            "no passes are given, and the file's first line states none",
            where=str(options.file) if "file" in options else "",
            hint="--passes a,b,c, or -O 1",
        )
    with _known_passes():
        chosen = pipeline.choose(
            1 if options.level is None else options.level,
            passes=names if options.level is None else None,
            disable=options.disable_pass,
            stop_after=options.stop_after,
        )
    return [p.name for _, p in chosen]


@contextmanager
def _known_passes() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise BadRequest(str(error), hint="--list-passes") from None


@contextmanager
def _reproduced(options: argparse.Namespace, numbers: Numbers | None) -> Iterator[None]:
    """A pass that fails is told; its reproducer is new unless the file is one of it."""
    from .passes.pipeline import PassError
    from .reproducer import pass_failed

    try:
        yield
    except PassError as error:
        if _own_pipeline(options):
            where = f"{options.file}, pass {error.pass_.name}"
            raise TranspileError(str(error), where=where) from error
        raise pass_failed(error, None, numbers.tensors if numbers else None) from error


def _dumper(
    options: argparse.Namespace, graph: Graph, dumps: list[tuple[int, str, Graph]]
) -> Callable[[int, Any, str], None] | None:
    from .ir.clone import clone

    if not options.dump_ir and not options.print_after:
        return None
    return lambda number, pass_, text: dumps.append((number, pass_.name, clone(graph)))


def _finish(
    options: argparse.Namespace,
    graph: Graph,
    runs: Sequence[Run],
    dumps: Sequence[tuple[int, str, Graph]],
) -> None:
    """What is printed, and the folder of --dump-ir."""
    from .ir.text import print_graph

    if options.explain_fusions:
        from .explain import print_table

        print_table(runs)
    if options.print_after:
        for _, name, after in dumps:
            if name == options.print_after:
                print(print_graph(after), end="")
    if options.dump_ir:
        _dump(Path(options.dump_ir), runs, dumps)
    quiet = options.output or options.print_after or options.explain_fusions or options.dump_ir
    if not quiet:
        print(print_graph(graph), end="")


def _dump(folder: Path, runs: Sequence[Run], dumps: Sequence[tuple[int, str, Graph]]) -> None:
    from .ir_files import write_ir_file
    from .ir_index import write_index

    folder.mkdir(parents=True, exist_ok=True)
    for number, name, graph in dumps:
        write_ir_file(folder / f"{number:02}-{name}.ir", graph)
    write_index(folder, [(number, name, "") for number, name, _ in dumps], runs)


def _kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that hold for the graph after other passes as well."""
    return {k: v for k, v in facts.items() if k == "tensors"}


# ---- numbers


def _numbers_of_file(file: IrFile, options: argparse.Namespace) -> Numbers:
    from .ir_files import read_tensors
    from .numbers import random_tensors

    tensors = random_tensors(file.graph, file.facts.get("tensors"), options.seed)
    if options.weights:
        tensors |= read_tensors(options.weights)
    return _numbers(file.graph, tensors, options, {})


def _numbers(
    graph: Graph,
    tensors: Mapping[str, np.ndarray],
    options: argparse.Namespace,
    captured: Mapping[str, int],
) -> Numbers:
    from .compare import Tolerance
    from .numbers import TOLERANCE, numbers

    for name in ("rtol", "atol"):
        value = getattr(options, name)
        if value is not None and not 0 <= value < float("inf"):
            raise BadRequest(f"{value} is no tolerance", where=f"--{name}")
    if options.sets < 1:
        raise BadRequest(f"{options.sets} sets of inputs", where="--sets", hint="1 or more")
    tolerance = Tolerance(
        TOLERANCE.atol if options.atol is None else options.atol,
        TOLERANCE.rtol if options.rtol is None else options.rtol,
    )
    given = [_input_set(graph, path) for path in options.data]
    return numbers(
        graph, tensors, captured=captured, given=given, sets=options.sets, seed=options.seed,
        tolerance=tolerance,
    )  # fmt: skip


def _input_set(graph: Graph, path: str) -> Any:
    from .ir_files import read_tensors
    from .numbers import InputSet

    arrays = read_tensors(path)
    names = [v.hint for v in graph.inputs]
    missing = [n for n in names if n not in arrays]
    if missing:
        raise BadRequest(
            f"no data for the input {missing[0]}",
            where=path,
            hint=f"the inputs: {', '.join(names)}",
        )
    return InputSet(path, [arrays[n] for n in names])


# ---- bisect


def _bisect(options: argparse.Namespace) -> int:
    """The first pass that moves the numbers of a model, and the single replacement that does.

    The model is captured and evaluated in double precision on several sets of inputs, before
    the passes and after each of them.
    """
    from .bisect import bisect
    from .passes.pipeline import PASSES

    facts: Mapping[str, Any]
    graph, numbers, facts = _model(options)
    if options.passes is None and options.level is None and "passes" not in facts:
        options.level = 1
    names = _passes(options, facts)
    passes = [next(p for p in PASSES if p.name == name) for name in names]
    for skipped in numbers.skipped:
        print(f"left out: {printable(skipped.splitlines()[0])}", file=sys.stderr)
    with _status() as tell:
        culprit = bisect(graph, numbers, passes, tell)
    sets = "; ".join(s.name for s in numbers.sets)
    if culprit is None:
        print(f"no pass moves the numbers: {len(passes)} passes, inputs {sets}")
        return DONE
    for line in _report(culprit, [p.name for p in passes]):
        print(printable(line))
    if options.save:
        _save(culprit, Path(options.save))
    return FAILED


def _model(options: argparse.Namespace) -> tuple[Graph, Numbers, Mapping[str, Any]]:
    """The graph to bisect, what it computes, and the facts of its file."""
    from .ir_files import is_ir, read_ir

    if is_ir(options.model):
        file = read_ir(options.model)
        return file.graph, _numbers_of_file(file, options), file.facts
    from .cases import captured_sizes
    from .driver import input_specs
    from .frontend import capture

    specs = input_specs(options.inputs)
    captured = capture(options.model, inputs=specs, weights=options.weights)
    graph = captured.program.forward
    numbers = _numbers(graph, captured.tensors, options, captured_sizes(captured))
    for line in _against_source(captured, numbers):
        print(printable(line), file=sys.stderr)
    return graph, numbers, {}


def _against_source(captured: Captured, numbers: Numbers) -> Iterator[str]:
    """A line for each set of inputs on which the captured IR differs from the source already."""
    from .compare import TOLERANCES, Tolerance
    from .numbers import differences, evaluate

    tolerance = Tolerance(*TOLERANCES["float16"])  # the source rounds, the IR does not
    for given, got in zip(numbers.sets, numbers.results, strict=True):
        try:
            if captured.run_drawing is None:
                want = captured.run(given.inputs)
            else:
                want, drawn = captured.run_drawing(given.inputs)
                got = evaluate(captured.program.forward, given.inputs, captured.tensors, drawn)
        except Exception as error:
            yield f"the source does not run at {given.name}: {type(error).__name__}"
            continue
        for name, found in differences(got, want, tolerance):
            yield (
                f"before any pass, {name} differs from the source's by {found.max_abs:.2g} at "
                f"{given.name}: the frontend is wrong, or the reference of an op"
            )


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Shows on a terminal what is tried; says nothing into a pipe."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield lambda text: status.update(text)


def _report(culprit: Culprit, passes: Sequence[str]) -> Iterator[str]:
    from .ir_diff import diff, print_diff

    place = passes.index(culprit.pass_.name)
    yield f"pass: {culprit.pass_.name} (number {place + 1} of {len(passes)})"
    yield f"  {culprit.moved}"
    entry = culprit.application
    if entry is not None:
        yield f"rewrite: {entry.rewrite} (replacement {culprit.number} of {culprit.total})"
        name = f" {entry.name}" if entry.name else ""
        yield f"  at {entry.op}{name} in {entry.where}"
    elif culprit.number:
        yield f"rewrite: the one after {culprit.number - 1} replacements, which fails"
    else:
        yield "rewrite: none; the pass changes the graph otherwise than by single replacements"
    yield "what it changed:"
    for line in print_diff(diff(culprit.before, culprit.after)):
        yield f"  {line}"


def _save(culprit: Culprit, folder: Path) -> None:
    from .ir_files import write_ir_file

    folder.mkdir(parents=True, exist_ok=True)
    facts = {"passes": [culprit.pass_.name], "verify_each": True}
    write_ir_file(folder / "before.ir", culprit.before, facts)
    write_ir_file(folder / "after.ir", culprit.after)


# ---- reduce


def _reduce(options: argparse.Namespace) -> int:
    """A smaller graph for which a command still fails with the same exit status."""
    from .ir_files import read_ir, write_ir_file
    from .reduce import reduce

    file = read_ir(options.file)
    output = Path(options.output or Path(options.file).with_suffix(".reduced.ir"))
    with tempfile.TemporaryDirectory(prefix="mlx-transpile-reduce-") as folder, _status() as tell:
        candidate = Path(folder) / "candidate.ir"

        def outcome(graph: Graph) -> tuple[int, str]:
            candidate.with_suffix(".constants.safetensors").unlink(missing_ok=True)
            write_ir_file(candidate, graph, file.facts)
            return _check(options.check, candidate, options.timeout)

        wanted, text = outcome(file.graph)
        if wanted == 0 or options.message not in text:
            said = "does not fail" if wanted == 0 else f"does not say {options.message!r}"
            raise BadRequest(f"the check {said} for the file", where=options.check)

        def fails(graph: Graph) -> bool:
            status, text = outcome(graph)
            return status == wanted and options.message in text

        def progress(nodes: int, seen: int) -> None:
            tell(f"{nodes} nodes, {seen} tried")

        small = reduce(file.graph, fails, progress, options.tries)
    write_ir_file(output, small, file.facts)
    print(f"{len(file.graph.nodes)} nodes, now {len(small.nodes)}: {output}")
    return DONE


def _check(command: str, file: Path, timeout: float) -> tuple[int, str]:
    """The exit status of the check on a file, and what it prints."""
    name = shlex.quote(str(file))
    line = command.replace("{}", name) if "{}" in command else f"{command} {name}"
    try:
        done = subprocess.run(
            line, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, ""
    return done.returncode, done.stdout.decode(errors="replace")


# ---- diff


def _diff(options: argparse.Namespace) -> int:
    """What changed from one graph to another: `-` gone, `+` new, `~` changed."""
    from .ir_diff import diff, print_diff
    from .ir_files import read_ir

    old, new = (read_ir(p, constants=False).graph for p in (options.old, options.new))
    changes = diff(old, new)
    for line in print_diff(changes):
        print(printable(line))
    return FAILED if changes else DONE


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "bisect": _bisect,
    "reduce": _reduce,
    "diff": _diff,
}

if __name__ == "__main__":
    sys.exit(main())
