"""IR text in files: constants in a safetensors file beside it, a line of facts at its top.

    # mlx-transpile: {"passes": ["raise_linear", "cse"], "error": "..."}
    @graph('Net')
    def forward(...):

The data of constants is in NAME.constants.safetensors beside NAME.ir, or in
constants.safetensors for all files of a folder that `--dump-ir` wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import BadRequest
from .ir import Graph
from .ir.text import ParseError, constants_of, parse_graph, print_graph
from .ir.verify import VerifyError, verify

_MARK = "# mlx-transpile: "
SHARED = "constants.safetensors"


@dataclass
class IrFile:
    """A graph read from a file, with the facts at its top."""

    path: Path
    graph: Graph
    facts: dict[str, Any] = field(default_factory=dict)


def is_ir(path: str) -> bool:
    """Whether the file is IR text: told by its content."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    lines = [line for line in head.splitlines() if line.strip() and not line.startswith(b"#")]
    return bool(lines) and lines[0].startswith((b"@graph(", b"def forward("))


def read_ir(path: str | Path, *, constants: bool = True) -> IrFile:
    """The graph of a file, verified. BadRequest where it is none or lacks its constants."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadRequest(f"the IR cannot be read: {reason}", where=str(path)) from None
    known = _constants_beside(path)
    try:
        graph = parse_graph(text, known)
        verify(graph)
    except (ParseError, VerifyError) as error:
        raise BadRequest(f"not a graph: {error}", where=str(path)) from None
    except (ValueError, TypeError, KeyError, AssertionError, RecursionError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadRequest(f"not a graph: {what}", where=str(path)) from None
    if constants:
        _check_constants(graph, known, path)
    return IrFile(path, graph, _facts(text, path))


def _facts(text: str, path: Path) -> dict[str, Any]:
    lines = [line[len(_MARK) :] for line in text.splitlines() if line.startswith(_MARK)]
    try:
        found = json.loads(lines[0]) if lines else {}
    except ValueError as error:
        raise BadRequest(f"its first line is no JSON: {error}", where=str(path)) from None
    return found if isinstance(found, dict) else {}


def _constants_beside(path: Path) -> dict[str, np.ndarray]:
    for file in (path.with_suffix(".constants.safetensors"), path.parent / SHARED):
        if file.is_file():
            return read_tensors(file)
    return {}


def _check_constants(graph: Graph, known: Mapping[str, np.ndarray], path: Path) -> None:
    missing = [digest for digest in constants_of(graph) if digest not in known]
    if missing:
        own = path.with_suffix(".constants.safetensors").name
        raise BadRequest(
            f"the data of {len(missing)} of its constants is missing",
            where=str(path),
            hint=f"{own} or {SHARED} beside it",
        )


def write_ir_file(path: str | Path, graph: Graph, facts: Mapping[str, Any] | None = None) -> None:
    """Write the graph with its facts, and the data of its constants beside it."""
    write_ir_text(path, print_graph(graph), constants_of(graph), facts)


def write_ir_text(
    path: str | Path,
    text: str,
    constants: Mapping[str, np.ndarray],
    facts: Mapping[str, Any] | None = None,
) -> None:
    from .codegen import tensorfile
    from .codegen.weights import narrow

    path = Path(path)
    head = f"{_MARK}{json.dumps(facts)}\n" if facts else ""
    try:
        path.write_text(head + text, encoding="utf-8", newline="\n")
        if constants:
            entries = tensorfile.entries({k: narrow(v) for k, v in constants.items()})
            tensorfile.write_tensors(path.with_suffix(".constants.safetensors"), entries, {})
    except OSError as error:
        raise BadRequest(f"cannot write: {error.strerror}", where=str(path)) from None


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file (bfloat16 as ml_dtypes). BadRequest where it is none."""
    from .codegen.tensorfile import read_arrays

    try:
        return read_arrays(Path(path))
    except OSError as error:
        raise BadRequest(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest(f"not a safetensors file: {error}", where=str(path)) from None
