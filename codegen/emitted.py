"""What code generation returns; the project writer and the validator consume it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..ir import Param


@dataclass
class Emitted:
    """The Python model.

    `config` holds the constructor arguments (config.json). `parameters` maps each parameter's path
    in the emitted module tree to its IR parameter (type and recipe). `modules` maps (source module
    path, call number) to the path of the emitted module that computes it, for the modules that
    exist in the output. `log` says which bodies were merged into which class, and why others were
    not.
    """

    source: str
    config: dict[str, Any]
    parameters: dict[str, Param]
    modules: dict[tuple[str, int], str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
