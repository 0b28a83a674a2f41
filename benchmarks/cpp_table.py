"""Library models as C++: built, run, and held against the emitted Python and the source: a table.

    python benchmarks/cpp_table.py [MODEL...] [--further] [--route pt] [-o FILE]

Each model is transpiled with `--emit cpp --validate`, which builds out/cpp and runs it on the
inputs of the validation. Errors are relative to the largest magnitude of an output. The models come
from the file that MLX_TRANSPILE_ZOO names (see zoo_table.py).
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from zoo_table import FURTHER, MODULE_ROUTE, PROMISED, zoo

from mlx_transpile import transpile

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "zoo"))
from zoo_runs import build, save

COLUMNS = (
    "model", "route", "against Python", "against source", "sizes", "build s", "warnings",
    "model.h", "model.cpp", "nn.h",
)  # fmt: skip
HEAD = """\
# Library models in C++

Made by `benchmarks/cpp_table.py`. Each model was transpiled with `--emit cpp --validate`, built in
Release mode and run at all sizes of the validation from one start of the program. Errors are the
largest over outputs and sizes, relative to the largest magnitude of the output. `build s` is the
wall clock of CMake and compiler on two cores ({compiler}); the last columns are lines.
"""


def routes_of(name: str, routes: Sequence[str]) -> list[str]:
    return [*routes, *(["module"] if name in MODULE_ROUTE else [])]


def measured(name: str, route: str, folder: Path) -> dict[str, Any]:
    """The C++ part of the report, and whether the whole passed."""
    source, out = build(zoo(), name, route), folder / "out"
    options: dict[str, Any] = {"emit": ("python", "cpp"), "validate": True}
    if route == "module":
        example = (source.args, source.kwargs)
        transpile(source.module, out, example_inputs=example, **options)
    else:
        transpile(save(source, route, folder / f"model.{route}"), out, **options)
    return dict(json.loads((out / "report.json").read_text())["cpp"])


def rows(models: Sequence[str], routes: Sequence[str]) -> Iterator[tuple[str, str, Any]]:
    for name in models:
        for route in routes_of(name, routes):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    found: Any = measured(name, route, Path(folder))
                except Exception as error:
                    found = f"{type(error).__name__}: {' '.join(str(error).split())}"
            print(*cells(name, route, found), file=sys.stderr, flush=True)
            yield name, route, found


def cells(name: str, route: str, found: Any) -> list[str]:
    if isinstance(found, str):
        return [name, route, "fails", *[""] * (len(COLUMNS) - 3)]
    if found["not_built"] or found["error"]:
        return [name, route, "not built", *[""] * (len(COLUMNS) - 3)]
    sides = (worst(found["cases"], f"against_{side}") for side in ("python", "source"))
    lines = (str(found["lines"][f]) for f in ("model.h", "model.cpp", "nn.h"))
    return [
        name, route, *sides, str(len(found["cases"])), f"{found['build_seconds']:.1f}",
        str(len(found["warnings"])), *lines,
    ]  # fmt: skip


def worst(cases: list[Any], side: str) -> str:
    errors = [output["max_rel"] for case in cases for output in case[side]]
    return f"{max(errors, default=0.0):.1e}"


def page(found: list[tuple[str, str, Any]]) -> str:
    good = [f for *_, f in found if not isinstance(f, str) and f["passed"]]
    compiler = next((f["compiler"] for f in good), "none")
    lines = [
        HEAD.format(compiler=compiler),
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(*row)) + " |" for row in found),
        "",
        f"{len(good)} of {len(found)} runs pass.",
    ]
    failed = [(n, r, f) for n, r, f in found if isinstance(f, str) or not f["passed"]]
    if failed:
        lines += ["", "## What fails", ""]
        lines += [f"- {n}, {r}: {f if isinstance(f, str) else why(f)}" for n, r, f in failed]
    return "\n".join([*lines, ""])


def why(found: dict[str, Any]) -> str:
    reasons = [found["not_built"], found["error"], *(c["error"] for c in found["cases"])]
    return next((str(r) for r in reasons if r), "outputs differ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--further", action="store_true", help="models beyond the promised ones")
    parser.add_argument("--route", action="append", choices=("pt", "pt2"), help="pt by default")
    parser.add_argument("-o", type=Path, metavar="FILE", help="write the page there")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    models = args.models or [*PROMISED, *(FURTHER if args.further else ())]
    text = page(list(rows(models, args.route or ["pt"])))
    if args.o:
        args.o.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
