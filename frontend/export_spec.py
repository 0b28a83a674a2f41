"""Nested inputs and outputs of an exported program, as tuples, lists and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..errors import TranspileError
from .export_check import field_names


def unflatten(spec: Any, leaves: Iterator[Any]) -> Any:
    """The leaves nested as the spec says. Data classes become dicts, named tuples tuples."""
    if spec.is_leaf():
        return next(leaves)
    children = [unflatten(child, leaves) for child in spec.children()]
    kind = spec.type
    if kind is list:
        return children
    if kind is tuple:
        return tuple(children)
    if issubclass(kind, tuple):
        return tuple(children)
    names = field_names(spec.context, len(children))
    if names is not None:
        return dict(zip(names, children, strict=True))
    if issubclass(kind, dict) and isinstance(spec.context, list | tuple):
        raise TranspileError(
            f"a dict has keys that are no strings: {spec.context}", hint="use strings as keys"
        )
    raise TranspileError(f"the model takes or returns a {kind.__name__}, which has no known fields")


def map_tree(fn: Callable[[Any], Any], tree: Any) -> Any:
    """The same nesting with `fn` applied to each leaf; None stays None."""
    if isinstance(tree, dict):
        return {k: map_tree(fn, v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map_tree(fn, v) for v in tree)
    return None if tree is None else fn(tree)


def call_arguments(
    call_spec: Any, names: list[str] | None, leaves: list[Any]
) -> list[tuple[str, Any]]:
    """(name, nested leaves) for every argument of the call, positional ones first."""
    positional, keyword = call_spec.in_spec.children()
    values = iter(leaves)
    out: list[tuple[str, Any]] = []
    for i, child in enumerate(positional.children()):
        name = names[i] if names and i < len(names) else f"input_{i}"
        out.append((name, unflatten(child, values)))
    for name, child in zip(keyword.context or [], keyword.children(), strict=True):
        out.append((name, unflatten(child, values)))
    return out
