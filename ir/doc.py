"""The op table as a page of documentation: `python -m mlx_transpile.ir.doc > docs/ops.md`."""

from __future__ import annotations

from .op import REQUIRED, Attr, Op
from .ops import GROUPS

_INTRO = """# Ops of the IR

Written by `python -m mlx_transpile.ir.doc` from the op table (`ir/ops.py`); a test holds that it
is up to date.

Operands marked `?` may be left out (None), `*` takes the rest. Scalars and sizes may stand directly
where an arithmetic op takes a tensor; they are weak: the result has the tensors' type. Operands of
one op share their element type unless its text says otherwise. Images and sequences of features
are channels last (`[N, *spatial, C]`). Axes are counted from the front. An attribute with `=` has a
default.
"""


def ops_page() -> str:
    """Markdown with one table for each group of rows."""
    parts = [_INTRO]
    for title, rows in GROUPS:
        lines = [
            f"## {title}",
            "",
            "| op | operands | attributes | meaning |",
            "|---|---|---|---|",
            *map(_line, rows),
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(row: Op) -> str:
    operands = " ".join(f"`{name}`" for name in row.operands.split())
    attributes = ", ".join(_attribute(name, attr) for name, attr in row.attrs.items())
    meaning = (row.doc or "").replace("|", "\\|") + (
        " Prints as an mlx.nn layer." if row.layer else ""
    )
    return f"| `{row.name}` | {operands} | {attributes} | {meaning.strip()} |"


def _attribute(name: str, attr: Attr) -> str:
    default = "" if attr.default is REQUIRED else f" = {attr.default}"
    return f"`{name}: {attr.kind}{default}`"


if __name__ == "__main__":
    print(ops_page(), end="")
