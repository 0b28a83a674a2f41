"""The command `transpile`. Nothing heavy is imported before the arguments are read."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .command import DONE, FAILED, fail, guarded, items, printable
from .options import DTYPES

if TYPE_CHECKING:
    from .driver import Progress, Result

PROGRAM = "transpile"

DESCRIPTION = """\
Write the MLX source of a trained PyTorch or ONNX model: classes that a person would have
written, weights, and tests."""
MODEL_HELP = (
    "a TorchScript .pt, a torch.export .pt2 or an .onnx file, found by content; or "
    "package.module:factory, a callable that returns an nn.Module, or a module with its "
    "example inputs"
)
WEIGHTS_HELP = "weights for package.module:factory: a state dict or .safetensors file"
EMIT_HELP = (
    "python (default), cpp, or both with a comma; cpp adds OUT/cpp, which reads the same "
    "weights: model.py, config.json and remap_weights.py are written with it all the same"
)
INPUT_HELP = (
    "an input that the file does not describe, as in ids=batch,seq:int64: sizes, names of free "
    "sizes, or multiples of such (x=batch,3,4*h,4*w); once for each"
)
QUANTIZE_HELP = (
    "quantize the weights of linear and embedding layers as mlx-lm does: 4 or 8 bits (also 2, 3, "
    "5, 6) in groups of 64 (default), 32 or 128. Layers whose width the group does not divide "
    "stay float and are listed. Weights that the source holds as whole numbers stay so without "
    "it where MLX can; none makes them float. remap_weights.py has the option, too"
)
KEEP_HELP = (
    "layers that --quantize leaves float, with commas: embeddings, head (the linears that give "
    "the results), or names in model.py, as in 'lm_head' or '*.down_proj'; default: none"
)
LEVEL_HELP = (
    "0: only what MLX needs to run; 1: idiomatic, the checkpoint's tensors stay (default); "
    "2: may merge and fold weights"
)
EPILOG = """\
Exit status: 0 done; 1 the model cannot be transpiled, or validation failed (the folder is
complete and has the report); 2 the request or the file is bad. Except after a failed
validation, a failed run leaves OUT as it was."""


def _row(*flags: str, **settings: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """A row of the option tables: what `add_argument` takes."""
    return flags, settings


def _switch(flag: str, help: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    return _row(flag, action="store_true", help=help)


OPTIONS = [
    _row("model", metavar="MODEL", nargs="?", help=MODEL_HELP),
    _row("-o", "--output", metavar="OUT", help="new, or a folder that this command made"),
    _row("--weights", metavar="FILE", help=WEIGHTS_HELP),
    _row("--emit", metavar="LIST", default="python", help=EMIT_HELP),
    _row("--input", metavar="NAME=DIMS[:DTYPE]", action="append", dest="inputs", help=INPUT_HELP),
    _row("--dtype", choices=list(DTYPES), help="store floating-point weights in this type"),
    _row("--quantize", metavar="BITS[:GROUP]|none", help=QUANTIZE_HELP),
    _row("--keep-float", metavar="LAYERS", default="", help=KEEP_HELP),
    _row("-O", dest="level", type=int, choices=[0, 1, 2], default=1, help=LEVEL_HELP),
    _switch("--validate", "compare source and output on random inputs, into report.md and .json"),
    _row("--rtol", type=float, help="relative tolerance of --validate and of the output's test"),
    _row("--atol", type=float, help="absolute one, relative to an array's largest magnitude"),
    _switch("--benchmark", "time source and output, into the report"),
    _switch("--no-weights", "leave weights.safetensors to remap_weights.py"),
    _row("--name", help="the model's name in the output"),
    _switch("--check", "print the plan (ops, dims, parameters) and write nothing"),
    _switch("--traceback", "show the Python traceback of an error"),
]
PASS_OPTIONS = [
    _switch("--list-passes", "print the passes in order, with the level from which each runs"),
    _switch("--dump-ir", "write OUT/ir: the IR after each pass that changed it, and an index"),
    _row("--print-after", metavar="PASS", help="print the IR after this pass"),
    _row("--stop-after", metavar="PASS", help="run no pass after this one"),
    _row("--disable-pass", metavar="PASS", action="append", help="leave it out; may be repeated"),
    _switch("--verify-each", "after every pass, verify the IR and the numbers that it computes"),
    _switch("--explain-fusions", "print which rewrite applied where, and which refused and why"),
]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the tables above."""
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        PROGRAM, description=DESCRIPTION, epilog=EPILOG, formatter_class=style
    )
    for flags, settings in OPTIONS:
        parser.add_argument(*flags, **settings)
    passes = parser.add_argument_group("passes")
    for flags, settings in PASS_OPTIONS:
        passes.add_argument(*flags, **settings)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = build_parser()
    options = parser.parse_args(argv)
    if argv is None:
        # Ended from outside, a run cleans up as after an error.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    return guarded(PROGRAM, lambda: _command(parser, options), options.traceback)


def _command(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.list_passes:
        return list_passes()
    if options.model is None:
        parser.error("the following arguments are required: MODEL")
    if options.output is None and not options.check:
        parser.error("the following arguments are required: -o OUT (or --check)")
    return _run(options)


def list_passes() -> int:
    from .passes.pipeline import PASSES

    for p in PASSES:
        print(f"-O{p.level}  {p.name:<24} {p.doc}")
    return DONE


def _run(options: argparse.Namespace) -> int:
    from .driver import transpile

    with _progress() as progress:
        result = transpile(
            options.model,
            options.output,
            inputs=options.inputs,
            emit=items(options.emit),
            dtype=options.dtype,
            quantize=options.quantize,
            keep_float=items(options.keep_float),
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
            disable_pass=options.disable_pass or (),
            verify_each=options.verify_each,
            explain_fusions=options.explain_fusions,
            progress=progress,
        )
    if result.plan is not None:
        print(result.plan, end="")
    for line in result.quantization.summary() if result.quantization else []:
        print(printable(line))
    return _finish(options, result)


def _finish(options: argparse.Namespace, result: Result) -> int:
    if not result.ok:
        message = (
            f"validation failed: see {result.out}/report.md (the output was written all the same)"
        )
        return fail(PROGRAM, message, FAILED)
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
