"""Tensors and modules of an exported program that have several names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def aliases(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Other names of tensors that are one: name -> first name."""
    first: dict[Any, str] = {}
    out: dict[str, str] = {}
    for name, t in tensors.items():
        place = (
            t.untyped_storage().data_ptr(),
            t.storage_offset(),
            tuple(t.shape),
            t.stride(),
            t.dtype,
        )
        if t.numel() and first.setdefault(place, name) != name:
            out[name] = first[place]
    return out


def modules_by_identity(origin: Any) -> dict[str, str]:
    """Other names of modules that are one: path -> first path."""
    first: dict[int, str] = {}
    return {
        path: first[id(module)]
        for path, module in origin.named_modules(remove_duplicate=False)
        if path and first.setdefault(id(module), path) != path
    }


def modules_by_tensors(
    state: Sequence[str], aliases: Mapping[str, str], classes: Mapping[str, str]
) -> dict[str, str]:
    """Modules of one class whose tensors all are other names of another's: path -> its path."""
    out: dict[str, str] = {}
    for name, other in aliases.items():
        left, right = name.split("."), other.split(".")
        while left and right and left[-1] == right[-1]:
            left, right = left[:-1], right[:-1]
            a, b = ".".join(left), ".".join(right)
            inside = [n for n in state if n.startswith(f"{a}.")]
            alike = a in classes and classes[a] == classes.get(b)
            if alike and a != b and all(aliases.get(n) == b + n[len(a) :] for n in inside):
                out[a] = b
    return out
