"""Library models, from a saved file to MLX and back to a comparison: a table.

    python benchmarks/zoo_table.py [MODEL...] [--further] [--route pt] [-o FILE]

Each model is built with random weights, saved as a traced `.pt` and as a `.pt2`, transpiled with
the public API, imported from the output folder and compared with the original module at batch 1,
3 and 17 and two lengths. `--further` adds the models that are tested beyond the promised ones.
The models themselves come from outside of the repository: MLX_TRANSPILE_ZOO names the file.
Seconds are of processor time, torch on one thread.
"""

import argparse
import importlib.util
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "zoo"))
from zoo_runs import FURTHER, MODULE_ROUTE, PROMISED, ROUTES, Row, run  # noqa: E402

COLUMNS = (
    "model", "route", "max abs err", "rel err", "symbolic dims", "sizes compared", "classes",
    "lines", "capture", "passes", "emit", "total s",
)  # fmt: skip
HEAD = """\
# Library models in MLX

Made by `benchmarks/zoo_table.py`: {versions}. Errors are of the emitted model against the original
module in float32, the largest over all outputs and sizes; `rel err` is relative to the largest
magnitude of the output. Seconds are of processor time on one core, from reading to writing, weights
included. The route `module` is the `nn.Module` through the Python API. Models that draw random
numbers are given those that the original drew. kokoro_decoder is compared with the phases of its
source signal taken without their sign: rounding decides it in the first and in the last frame.
"""


def zoo() -> ModuleType:
    path = Path(os.environ.get("MLX_TRANSPILE_ZOO", ROOT.parent / "shared" / "zoo" / "zoo.py"))
    spec = importlib.util.spec_from_file_location("model_zoo", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def rows(models: Sequence[str], routes: Sequence[str]) -> Iterator[Row]:
    """One row for each model and route; what fails says why."""
    source = zoo()
    for name in models:
        for route in (*routes, *(("module",) if name in MODULE_ROUTE else ())):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    row = run(source, name, route, Path(folder))
                except Exception as error:
                    text = " ".join(str(error).split())
                    row = Row(name, route, failure=f"{type(error).__name__}: {text}")
            print(cells(row), file=sys.stderr, flush=True)
            yield row


def cells(row: Row) -> list[str]:
    if row.failure:
        return [row.model, row.route, "fails", *[""] * (len(COLUMNS) - 3)]
    return [
        row.model,
        row.route,
        f"{row.max_abs:.1e}",
        f"{row.max_rel:.1e}",
        ", ".join(row.symbols),
        ranges(row),
        str(row.classes),
        str(row.lines),
        *(f"{row.seconds[stage]:.1f}" for stage in ("capture", "passes", "emit", "total")),
    ]


def ranges(row: Row) -> str:
    """`B 1 3 17, L 1 10`: the sizes that each symbol was compared at."""
    found = {s: sorted({sizes[s] for sizes in row.sizes}) for s in row.symbols}
    return ", ".join(f"{s} {' '.join(map(str, sizes))}" for s, sizes in found.items())


def page(found: Sequence[Row]) -> str:
    """The table, what fails, and the dims that are fixed, as Markdown."""
    versions = (
        f"torch {torch.__version__.partition('+')[0]}, MLX {mx.__version__}, "
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    )
    lines = [
        HEAD.format(versions=versions),
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in found),
    ]
    failed = [row for row in found if row.failure]
    done = [row for row in found if not row.failure]
    worst = max((row.max_abs for row in done), default=0.0)
    lines += ["", f"{len(done)} of {len(found)} runs agree; the largest error is {worst:.1e}."]
    if failed:
        lines += ["", "## What fails", ""]
        lines += [f"- {row.model}, {row.route}: {row.failure}" for row in failed]
    return "\n".join([*lines, "", *fixed(done), ""])


def fixed(done: Sequence[Row]) -> list[str]:
    """Runs in which a batch or a length is fixed, with the evidence."""
    entries = [
        f"- {row.model}, {row.route}: {dim}: {why}"
        for row in done
        for dim, why in row.fixed.items()
        if dim in row.dynamic
    ]
    if not entries:
        return []
    head = "Dims that the model's author calls free and that the source has fixed:"
    return ["## Fixed by the source", "", head, "", *entries]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--further", action="store_true", help="models beyond the promised ones")
    parser.add_argument("--route", action="append", choices=ROUTES, help="both by default")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    models = args.models or [*PROMISED, *(FURTHER if args.further else ())]
    found = list(rows(models, args.route or ROUTES))
    text = page(found)
    if args.o:
        args.o.write_text(text)
    else:
        print(text)
    return 1 if any(row.failure for row in found if row.model in PROMISED) else 0


if __name__ == "__main__":
    sys.exit(main())
