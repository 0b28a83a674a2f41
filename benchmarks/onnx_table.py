"""Library models as ONNX files by both of torch's exporters, transpiled and run: a table.

    python benchmarks/onnx_table.py [MODEL...] [--exporter dynamo] [--cpp] [-o FILE]

Each model is built with random weights, exported with the axes free that its author calls free,
transpiled with `--validate` (and with `--emit cpp`, built and run, where `--cpp` is given) and held
against onnxruntime on the same file. The models come from the file that MLX_TRANSPILE_ZOO names
(see zoo_table.py).
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import torch
from zoo_table import ROOT, zoo

sys.path.insert(0, str(ROOT / "tests" / "zoo"))
from onnx_runs import EXPORTERS, MODELS, OnnxRow, run

COLUMNS = (
    "model", "exporter", "max abs err", "rel err", "sizes", "symbolic", "classes", "names kept",
    "lines", "transposes", "fused", "C++", "s",
)  # fmt: skip
HEAD = """\
# ONNX files of library models

Made by `benchmarks/onnx_table.py` with
{versions}.

Errors are the largest over outputs and sizes, of the emitted Python model against onnxruntime on
the same file, in float32; *C++*: the largest relative difference of the built C++ model from the
Python one. *sizes*: where each free size of the emitted model was compared. *symbolic*: axes that
stay free, of those the model's author calls free. *classes*: emitted, and in parentheses the module
types of the source without those of `torch.nn`. *names kept*: tensors of the checkpoint that the
emitted model has under the same name, and in parentheses those that the file has so (exporters fold
batch norms away, and leave turned matrices without a name). *transposes*: in the text of the model.
*fused*: calls and layers in the text. Seconds are of processor time from reading to the end of the
validation.
"""


def rows(models: Sequence[str], exporters: Sequence[str], cpp: bool) -> Iterator[OnnxRow]:
    """One row for each model and exporter; what fails says why.

    Each in a process of its own: torch's exporter, having exported one recurrent layer, fixes the
    length of the next.
    """
    for name in models:
        for exporter in exporters:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                row = pool.submit(one, name, exporter, cpp).result()
            print(*cells(row), row.failure, sep=" | ", file=sys.stderr, flush=True)
            yield row


def one(name: str, exporter: str, cpp: bool) -> OnnxRow:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        try:
            return run(zoo(), name, exporter, Path(folder), cpp)
        except Exception as error:
            text = " ".join(str(error).split())
            return OnnxRow(name, exporter, failure=f"{type(error).__name__}: {text}")


def cells(row: OnnxRow) -> list[str]:
    if row.failure:
        return [row.model, row.exporter, "fails", *[""] * (len(COLUMNS) - 3)]
    return [
        row.model,
        row.exporter,
        f"{row.max_abs:.1e}",
        f"{row.max_rel:.1e}",
        ", ".join(f"{name} {' '.join(map(str, sizes))}" for name, sizes in row.sizes.items()),
        f"{len(row.free) - len(row.fixed)} of {len(row.free)}",
        f"{len(row.classes)} ({len(row.module_types)})",
        f"{row.tensors - len(row.lost)} of {row.tensors} ({row.in_file})",
        str(row.lines),
        str(row.transposes),
        ", ".join(f"{name} {count}" for name, count in row.fused.items()),
        "" if row.cpp is None else f"{row.cpp:.1e}",
        f"{row.seconds:.1f}",
    ]


def page(found: Sequence[OnnxRow]) -> str:
    """The table, and what fails or was lost, as Markdown."""
    packages = ("torch", "onnx", "onnxscript", "onnxruntime", "mlx")
    versions = ", ".join(f"{name} {version(name).partition('+')[0]}" for name in packages)
    lines = [
        HEAD.format(versions=f"{versions}, Python {platform.python_version()}"),
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in found),
    ]
    done = [row for row in found if not row.failure]
    lines += ["", f"{len(done)} of {len(found)} runs agree."]
    lines += section("What fails", [(r, r.failure) for r in found if r.failure])
    lines += section(
        "Axes that do not stay free", [(r, "; ".join(r.fixed)) for r in done if r.fixed]
    )
    lines += section("Tensors under another name", [(r, some(r.lost)) for r in done if r.lost])
    return "\n".join([*lines, ""])


def section(title: str, entries: Sequence[tuple[OnnxRow, str]]) -> list[str]:
    if not entries:
        return []
    return ["", f"## {title}", "", *(f"- {r.model}, {r.exporter}: {text}" for r, text in entries)]


def some(names: Sequence[str], most: int = 4) -> str:
    """The first few of the names."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"`{name}`" for name in names[:most]) + more


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--exporter", action="append", choices=EXPORTERS, help="both by default")
    parser.add_argument("--cpp", action="store_true", help="build and run the C++ model too")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    args = parser.parse_args()
    found = list(rows(args.models or MODELS, args.exporter or EXPORTERS, args.cpp))
    text = page(found)
    if args.o:
        args.o.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 1 if any(row.failure for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
