"""Names that a model's author chose to break whoever prints them, or that collide with MLX's."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .case import Case, floats, seeded

# A TorchScript archive is source text itself: names with a double quote, a newline, a backslash or
# a letter outside of ASCII do not survive saving. These do.
ARCHIVE_NAMES = (
    "x' or exit(1) or '",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "0",
    "x-y",
    "a b",
    "#",
    "self",
    "mx",
)
# torch.export keeps any string without a dot; a .pt2 only those with balanced parentheses and no
# comma. `ExportedProgram.module()` writes names into source text unescaped: torch cannot run a
# program with one of the names from `a"b` on.
EXPORT_NAMES = (
    *ARCHIVE_NAMES,
    "é",
    "\u202egnp",
    'a"b',
    "a\nimport os\nos",
    '"""\nraise SystemExit\n"""',
    "back\\slash\\",
    "class",
)
# Keys of an output dict are constants, which both formats keep.
OUTPUT_KEYS = (
    'logits"]; import os; ["',
    '"""\nraise SystemExit\n"""',
    "it's",
    "back\\slash\\",
    "\u2028line",
    "{{ 7 * 7 }}",
    "",
)
# Attributes that mlx.nn.Module, which is a dict, has as methods.
METHOD_NAMES = ("keys", "items", "update", "pop", "freeze", "leaf_modules", "state")
# Classes whose names the emitted file needs for itself, or that differ from mlx.nn's layer.
CLASS_NAMES = ("Model", "ModelArgs", "load", "mx", "nn", "Path", "Linear", "dataclass", "json")


class Scale(nn.Module):
    """One parameter, under any name."""

    def __init__(self, dim: int, name: str):
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.ones(dim)))

    def forward(self, x: Tensor) -> Tensor:
        return x * getattr(self, self.name)


def class_named(name: str) -> type[nn.Module]:
    """A class of this name that adds one to the output of a linear layer."""

    def __init__(self: nn.Module, dim: int) -> None:
        nn.Module.__init__(self)
        self.proj = nn.Linear(dim, dim)

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return self.proj(x) + 1

    return type(name, (nn.Module,), {"__init__": __init__, "forward": forward})


class Hostile(nn.Module):
    """A chain of children with the given names and classes; the output's keys are given too."""

    def __init__(self, names: Sequence[str], classes: Sequence[str], keys: Sequence[str], dim: int):
        super().__init__()
        self.names, self.output_keys = list(dict.fromkeys(names)), list(keys)
        for name in self.names:
            self.add_module(name, Scale(dim, name))
        self.parts = nn.Sequential(*(class_named(name)(dim) for name in classes))

    def forward(self, mx: Tensor, args: Tensor) -> dict[str, Tensor]:
        nn = mx + args
        for name in self.names:
            nn = getattr(self, name)(nn)
        nn = self.parts(nn)
        return {key: nn + i for i, key in enumerate(self.output_keys)}


class MethodNames(nn.Module):
    """Children under names that are methods of mlx.nn.Module."""

    def __init__(self, names: Sequence[str], dim: int):
        super().__init__()
        for name in names:
            self.add_module(name, nn.Linear(dim, dim))
        self.names = tuple(names)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = self._modules[name](x)
        return x


def hostile_names(
    names: Sequence[str] = ARCHIVE_NAMES,
    classes: Sequence[str] = CLASS_NAMES,
    keys: Sequence[str] = OUTPUT_KEYS,
) -> Case:
    module = seeded(Hostile(names, classes, keys, dim=6))
    rows = {0: "B", 1: "L"}
    return Case(module, (floats(2, 5, 6), floats(2, 5, 6, seed=1)), (rows, rows))


def hostile_names_export() -> Case:
    """For torch.export only: an archive cannot hold these names. Run the module, not the program."""
    return hostile_names(names=EXPORT_NAMES)


def method_names(names: Sequence[str] = METHOD_NAMES) -> Case:
    return Case(seeded(MethodNames(names, dim=6)), (floats(2, 5, 6),), ({0: "B", 1: "L"},))
