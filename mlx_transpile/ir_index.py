"""The index of the IR that `--dump-ir` writes: a line a pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .explain import told

if TYPE_CHECKING:
    from .passes.pipeline import Run

INDEX = "index.txt"
_HEAD = ("file", "level", "nodes", "params", "replaced", "refused", "ms", "what it does")


def write_index(folder: Path, dumps: Sequence[tuple[int, str, str]], runs: Sequence[Run]) -> None:
    """index.txt: passes in order; one that changed nothing has no file."""
    (folder / INDEX).write_text(index(dumps, runs), encoding="utf-8", newline="\n")


def index(dumps: Sequence[tuple[int, str, str]], runs: Sequence[Run]) -> str:
    files = {number: f"{number:02}-{name}.ir" for number, name, _ in dumps}
    rows = [_HEAD, *(_row(run, files) for run in runs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    lines = ["  ".join(_cell(c, w, i) for i, (c, w) in enumerate(zip(r, widths))) for r in rows]
    first = f"{files[0]} is the IR before the first pass\n" if 0 in files else ""
    return first + "".join(f"{line.rstrip()}\n" for line in lines)


def _row(run: Run, files: dict[int, str]) -> tuple[str, ...]:
    refused = sum(entry.reason is not None for entry in told(run.log))
    return (
        files.get(run.number, f"   {run.pass_.name}: no change"),
        f"-O{run.pass_.level}",
        str(run.nodes),
        str(run.params),
        str(len(run.applied)) if run.changed else "",
        str(refused or ""),
        f"{run.ms:.1f}",
        run.pass_.doc,
    )


def _cell(text: str, width: int, column: int) -> str:
    return text.rjust(width) if column in range(2, 7) else text.ljust(width)
