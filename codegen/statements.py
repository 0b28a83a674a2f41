"""The statements of a method over bound trees, and how Python prints them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .bound import Apply, Bound, Local, Member
from .render import access, render_tree

Target = Any  # a Local, None for a result that nobody reads, or a tuple of targets


@dataclass(frozen=True)
class Open:
    """Takes a nested argument apart: `first_state, second_state = state`.

    `path` leads from the argument to the part: keys of dicts, places in tuples.
    """

    targets: Local | tuple[Local, ...]
    argument: Local
    path: tuple[str | int, ...]


@dataclass(frozen=True)
class Assign:
    """`h = x + y`, or `first, second = mx.split(x, 2)`."""

    target: Target
    value: Bound


@dataclass(frozen=True)
class For:
    """`for layer in self.layers: h = layer(h, mask)`, over the elements from start to stop."""

    each: Local
    list: Member
    start: int
    stop: int
    size: int  # of the whole list
    targets: tuple[Local, ...]
    call: Apply


@dataclass(frozen=True)
class Return:
    """What the method returns: a tree, or a nesting of them in dicts, tuples and lists.

    A method other than the model's own returns several values as `bare` tuple.
    """

    result: Any
    bare: bool = False


Statement = Open | Assign | For | Return


def python_lines(statement: Statement) -> list[tuple[int, str]]:
    """(indent, code) of each line."""
    match statement:
        case Open(targets, argument, path):
            code = render_tree(argument).code + "".join(f"[{step!a}]" for step in path)
            return [(0, f"{_targets(targets)} = {code}")]
        case Assign(target, value):
            return [(0, f"{_targets(target)} = {render_tree(value).code}")]
        case For(each=each, targets=targets, call=call):
            names = ", ".join(render_tree(t).code for t in targets)
            return [
                (0, f"for {render_tree(each).code} in {_part(statement)}:"),
                (1, f"{names} = {render_tree(call).code}"),
            ]
        case Return(result, True):
            return [(0, f"return {', '.join(render_tree(v).code for v in result)}")]
        case Return(result):
            return [(0, f"return {_structure(result)}")]


def _part(loop: For) -> str:
    """The list, or the part of it that is looped over."""
    code = access(loop.list)
    if (loop.start, loop.stop) == (0, loop.size):
        return code
    return f"{code}[{loop.start or ''}:{loop.stop if loop.stop < loop.size else ''}]"


def _targets(target: Target) -> str:
    """Targets of an assignment; a part that nobody reads is one `_`."""
    if not isinstance(target, tuple):
        return _target(target)
    parts = [_target(t) for t in target]
    return f"{parts[0]}," if len(parts) == 1 else ", ".join(parts)


def _target(target: Target) -> str:
    if target is None:
        return "_"
    if not isinstance(target, tuple):
        return render_tree(target).code
    parts = [_target(t) for t in target]
    return "_" if all(p == "_" for p in parts) else f"({', '.join(parts)})"


def _structure(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k!a}: {_structure(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, tuple | list):
        inner = ", ".join(map(_structure, tree))
        if isinstance(tree, list):
            return f"[{inner}]"
        return f"({inner}{',' if len(tree) == 1 else ''})"
    return render_tree(tree).code
