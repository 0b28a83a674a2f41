"""Operators that libraries register for what an operator of torch's own does.

An archive that calls them could be run only where that library is imported: they are replaced by
their twins when it is read, and have their twins' rows in a walk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Twin:
    """torch's operator with the same results, and the names of its arguments that differ."""

    name: str
    overload: str = "default"
    arguments: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return f"torch.ops.aten.{self.name}.{self.overload}"


TWINS: Mapping[str, Twin] = {
    # transformers: mixtures of experts exported in another type than bfloat16
    "transformers::grouped_mm_fallback": Twin(
        "_grouped_mm", arguments={"input": "self", "weight": "mat2"}
    ),
}


def twin_schema(name: str) -> Any:
    """The schema of the operator that stands for `namespace::name`; None where there is none."""
    import torch

    twin = TWINS.get(name)
    return getattr(getattr(torch.ops.aten, twin.name), twin.overload)._schema if twin else None


def replace_library_ops(program: Any) -> None:
    """Calls of library operators become calls of torch's own in an archive's JSON."""
    for call in _calls(program):
        namespace, _, name = call["target"].removeprefix("torch.ops.").partition(".")
        twin = TWINS.get(f"{namespace}::{name.partition('.')[0]}")
        if twin is not None:
            call["target"] = twin.target
            for given in call["inputs"]:
                given["name"] = twin.arguments.get(given["name"], given["name"])


def _calls(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("target"), str) and isinstance(value.get("inputs"), list):
            yield value
        for item in value.values():
            yield from _calls(item)
    elif isinstance(value, list):
        for item in value:
            yield from _calls(item)
