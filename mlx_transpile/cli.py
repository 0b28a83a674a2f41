"""The command `transpile`. Nothing heavy is imported before the arguments are read."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .errors import TranspileError

if TYPE_CHECKING:
    from .driver import Progress, Result

DONE, FAILED, BAD_REQUEST, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = """\
Write the MLX source of a trained PyTorch or ONNX model: classes that a person would have
written, weights, and tests."""
MODEL_HELP = (
    "a TorchScript .pt, a torch.export .pt2 or an .onnx file, found by content; or "
    "package.module:factory, a callable that returns an nn.Module, or a module with its "
    "example inputs"
)
EPILOG = """\
Exit status: 0 done; 1 the model cannot be transpiled, or validation failed (the folder is
complete and has the report); 2 the request or the file is bad. Except after a failed
validation, a failed run leaves OUT as it was."""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "transpile",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help=MODEL_HELP)
    add(
        "-o",
        "--output",
        metavar="OUT",
        help="the output folder: new, or one that this command made",
    )
    add(
        "--weights",
        metavar="FILE",
        help="weights for package.module:factory: a state dict or .safetensors file",
    )
    add(
        "--emit",
        metavar="LIST",
        default="python",
        help="what to write: python (default), cpp, or both with a comma",
    )
    add(
        "--input",
        metavar="NAME=DIMS[:DTYPE]",
        action="append",
        default=[],
        dest="inputs",
        help="an input that the file does not describe, as in ids=batch,seq:int64: sizes, or "
        "names of free sizes; once for each",
    )
    add(
        "--dtype",
        choices=["float16", "bfloat16", "float32"],
        help="store floating-point weights in this type",
    )
    add(
        "-O",
        dest="level",
        type=int,
        choices=[0, 1, 2],
        default=1,
        help="0: only what MLX needs to run; 1: idiomatic, the checkpoint's tensors stay "
        "(default); 2: may merge and fold weights",
    )
    add(
        "--validate",
        action="store_true",
        help="run source and output on random inputs and write report.md and report.json",
    )
    add("--rtol", type=float, help="relative tolerance of --validate and of the output's test")
    add(
        "--atol",
        type=float,
        help="absolute tolerance, relative to the largest magnitude in an array",
    )
    add("--benchmark", action="store_true", help="time source and output, into the report")
    add("--no-weights", action="store_true", help="leave weights.safetensors to remap_weights.py")
    add("--name", help="the model's name in the output")
    add(
        "--check",
        action="store_true",
        help="print the plan (ops, dims, parameters) and write nothing",
    )
    add("--traceback", action="store_true", help="show the Python traceback of an error")
    passes = parser.add_argument_group("passes")
    add = passes.add_argument
    add(
        "--list-passes",
        action="store_true",
        help="print the passes in order, with the level from which each runs",
    )
    add(
        "--dump-ir",
        action="store_true",
        help="write OUT/ir/NN-pass.ir after every pass that changed something",
    )
    add("--print-after", metavar="PASS", help="print the IR after this pass")
    add("--stop-after", metavar="PASS", help="run no pass after this one")
    add(
        "--disable-pass",
        metavar="PASS",
        action="append",
        default=[],
        help="leave this pass out; may be given again",
    )
    add(
        "--verify-each",
        action="store_true",
        help="verify the IR after every pass, also after those that changed nothing",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if argv is None:
        # Ended from outside, a run cleans up as after an error.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if options.list_passes:
            return _list_passes()
        if options.model is None:
            parser.error("the following arguments are required: MODEL")
        if options.output is None and not options.check:
            parser.error("the following arguments are required: -o OUT (or --check)")
        return _run(options)
    except TranspileError as error:
        return _fail(str(error), error.status, options.traceback)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, options.traceback)
    except BrokenPipeError:
        # The reader of our output has gone: nothing to tell, and nothing more to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        text = f"internal error: {type(error).__name__}: {error}"
        return _fail(
            f"{text}\n  what would work: a report of this error with --traceback",
            FAILED,
            options.traceback,
        )


def _fail(message: str, status: int, traceback: bool) -> int:
    if traceback:
        import traceback as module

        module.print_exc()
    print(f"transpile: {_printable(message)}", file=sys.stderr)
    return status


def _printable(text: str) -> str:
    """Names in models may hold anything; a terminal must not obey them."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _list_passes() -> int:
    from .passes.pipeline import list_passes

    for p in list_passes():
        print(f"-O{p.level}  {p.name:<24} {p.doc}")
    return DONE


def _run(options: argparse.Namespace) -> int:
    from .driver import transpile

    with _progress() as progress:
        result = transpile(
            options.model,
            options.output,
            inputs=options.inputs,
            emit=[e.strip() for e in options.emit.split(",") if e.strip()],
            dtype=options.dtype,
            level=options.level,
            validate=options.validate,
            rtol=options.rtol,
            atol=options.atol,
            benchmark=options.benchmark,
            weights=options.weights,
            no_weights=options.no_weights,
            name=options.name,
            check=options.check,
            dump_ir=options.dump_ir,
            print_after=options.print_after,
            stop_after=options.stop_after,
            disable_pass=options.disable_pass,
            verify_each=options.verify_each,
            progress=progress,
        )
    if result.plan is not None:
        print(result.plan, end="")
    return _finish(options, result)


def _finish(options: argparse.Namespace, result: Result) -> int:
    if not result.ok:
        message = (
            f"validation failed: see {result.out}/report.md (the output was written all the same)"
        )
        return _fail(message, FAILED, False)
    if result.out is not None and sys.stdout.isatty():
        checked = (
            f", max abs error {result.report.max_abs:.2g}"
            if result.report and result.report.cases
            else ""
        )
        print(f"{result.out}/model.py{checked}")
    return DONE


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Shows the stage on a terminal; says nothing into a pipe."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield lambda stage, done, total: status.update(_stage(stage, done, total))


def _stage(stage: str, done: int, total: int) -> str:
    return f"{stage} {done + 1}/{total}" if total else stage


if __name__ == "__main__":
    sys.exit(main())
