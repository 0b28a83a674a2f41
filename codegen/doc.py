"""Writes the page of names: `python -m mlx_transpile.codegen.doc docs/names.md`."""

from __future__ import annotations

import sys
from pathlib import Path

from .fields import FIELD_ROLES, PARAMETER_ROLES
from .names import ROLE_OF_OP

_HEAD = """# Names in the emitted code

Written by `python -m mlx_transpile.codegen.doc docs/names.md` from `codegen/fields.py` and
`codegen/names.py`; a test holds that it is up to date. A name is never semantic: it may read badly,
but it cannot make a model wrong.

## Fields of ModelArgs

A size is one field wherever the data carries it: sizes are joined along the ops, not because the
numbers are equal. What attention shows comes first: `num_attention_heads`, `num_key_value_heads`,
`num_key_value_groups` and `head_dim`, and products of them. Then the first row below whose patterns
fit what the size is used for (layer and constructor argument) and the attribute's name. Then
`num_channels` or `input_size` for a size of the model's input, and `intermediate_size` for a width
that one linear makes and another takes back. Sizes of one role and one value share a field; of one
role and several values they are told apart by a component of the module path, or are the items of a
list field.
Fields that configurations have stand first, in their order; the others follow as they are used.

| used as | attribute | field |
|---|---|---|
"""
_PARAMETERS = """
Without a role the field is `<attribute>_<word>`, and `num_<attribute>` for the length of a list. A
constructor argument, which is what a number becomes that instances of a class have differently, is
named alike.

| used as | word |
|---|---|
"""
_LOCALS = """
## Classes

The source's class names. A class with several bodies gives several classes, told apart by the
enclosing module, the place in a list (`First`, `Even`, `Odd`) or the attribute, whatever suffices.
The model itself is `Model`.

## Local variables

In this order: the role that an analysis proved (`queries`, `keys`, `values`, `mask`), the callee's
own argument name, the source's variable, what the value becomes at the end of a chain of single
uses, what it is a view of, and the role of the op below. Nothing is numbered; a name is taken again
once its holder is dead.

| op | name |
|---|---|
"""


def names_page() -> str:
    """The page as Markdown."""
    rows = [f"| `{role}` | `{attr or 'any'}` | `{name}` |" for role, attr, name in FIELD_ROLES]
    words = [f"| `{role}` | `{word}` |" for role, word in PARAMETER_ROLES.items()]
    ops = [f"| `{op}` | `{name}` |" for op, name in ROLE_OF_OP.items()]

    return _HEAD + _cells(rows) + _PARAMETERS + _cells(words) + _LOCALS + _cells(ops)


def _cells(rows: list[str]) -> str:
    return "".join(f"{_escape(row)}\n" for row in rows)


def _escape(row: str) -> str:
    """Alternatives in a pattern must not end the table's cell."""
    inner = row.removeprefix("| ").removesuffix(" |").split(" | ")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in inner) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(names_page(), encoding="utf-8")
