"""The passes, in the order they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cleanup import cleanup
from .cse import cse
from .dce import dce
from .fold_parameters import fold_parameters


@dataclass(frozen=True)
class Pass:
    """A pass: `function(graph) -> changed`; with `logs`, `function(graph, log)`. It runs from `level` on."""

    name: str
    function: Callable[..., Any]
    level: int
    doc: str
    logs: bool = False


PASSES = [
    Pass("dce", dce, 0, "drop nodes and parameters that nothing needs"),
    Pass("cleanup", cleanup, 1, "drop casts, views and arithmetic that change nothing"),
    Pass("cse", cse, 1, "compute equal nodes of a scope once"),
    Pass("fold_parameters", fold_parameters, 1, "fold layout changes of parameters into their recipes"),
]
