"""What code generation returns; the project writer and the validator consume it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..ir import Param

if TYPE_CHECKING:
    from .fields import Fields
    from .lines import MethodLines
    from .structure import Group, Structure


@dataclass(frozen=True)
class Recovered:
    """What another language prints from: the classes in their order, and the names of fields."""

    structure: Structure
    fields: Fields
    order: list[Group]
    config: dict[str, Any]


@dataclass
class Emitted:
    """The Python model. `precise` names the parameters that stay float32 in any precision.

    `config` holds the constructor arguments (config.json). `parameters` maps each parameter's path
    in the emitted module tree to its IR parameter (type and recipe). `modules` maps (source module
    path, call number) to the path of the emitted module that computes it, for the modules that
    exist in the output. `log` says which bodies were merged into which class, and why others were
    not. `layers` maps the path of each emitted layer to its class (`nn.Linear`),
    and `recovered` is what the C++ is printed from. `lines` says for each file where its lines
    come from.
    """

    source: str
    config: dict[str, Any]
    parameters: dict[str, Param]
    modules: dict[tuple[str, int], str] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    layers: dict[str, str] = field(default_factory=dict)
    precise: list[str] = field(default_factory=list)
    recovered: Recovered | None = None
    lines: dict[str, list[MethodLines]] = field(default_factory=dict)
