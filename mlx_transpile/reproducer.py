"""A pass that failed, in files that `transpile-opt` runs again."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import TranspileError

if TYPE_CHECKING:
    from .passes.pipeline import PassError


def pass_failed(
    error: PassError,
    options: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> TranspileError:
    """The user's error for a pass that failed; a reproducer is written to a folder of its own."""
    file = write_reproducer(error, options, tensors)
    return TranspileError(
        f"internal error: {error}",
        where=f"the IR before the pass is in {file}",
        hint=f"transpile-opt {file} shows it again; --disable-pass {error.pass_.name} goes "
        "around it; please report it with that file",
    )


def write_reproducer(
    error: PassError,
    options: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """The IR before the pass, its constants beside it; the first line has all that it takes.

    `tensors` is what recipes read: of those whose types the recipes do not tell, the types are
    written down, so that random data can stand for them.
    """
    from .ir_files import write_ir_text
    from .numbers import NumbersMoved

    folder = Path(tempfile.mkdtemp(prefix=f"mlx-transpile-{error.pass_.name}-"))
    file = folder / f"before-{error.pass_.name}.ir"
    facts: dict[str, Any] = {"passes": error.remaining, "error": str(error).splitlines()[0]}
    if options:
        facts["options"] = dict(options)
    if isinstance(error.__cause__, NumbersMoved):
        facts["verify_each"] = True
    types = _untold_types(error, tensors or {})
    if types:
        facts["tensors"] = types
    write_ir_text(file, error.ir_before, error.constants, facts)
    return file


def _untold_types(error: PassError, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    from .ir import recipe as rcp
    from .ir.text import parse_graph
    from .ir.types import dtype_of
    from .numbers import source_types

    graph = parse_graph(error.ir_before, error.constants)
    told = source_types(graph)
    names = dict.fromkeys(n for p in graph.params.values() for n in rcp.reads(p.recipe))
    untold = {n: tensors[n] for n in names if n not in told and n in tensors}
    return {n: [str(dtype_of(a)), list(a.shape)] for n, a in untold.items()}
