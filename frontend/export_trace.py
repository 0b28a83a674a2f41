"""Where the nodes of an exported graph come from: module scopes, source lines, variable names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..ir import Graph, Scope, Source

_FRAME = re.compile(r'^\s*File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)$')
_LIBRARY = re.compile(r"(^|[/\\])torch[/\\]")


@dataclass(frozen=True)
class Frame:
    """One line of the source that was being executed."""

    file: str
    line: int
    function: str
    code: str

    @property
    def at(self) -> str:
        return f"{self.file.replace(chr(92), '/').rpartition('/')[2]}:{self.line}"


@lru_cache(maxsize=65536)
def frames(trace: str | None) -> tuple[Frame, ...]:
    """The frames of a stack trace, outermost first, without those inside of torch itself."""
    found: list[Frame] = []
    lines = (trace or "").splitlines()
    for number, text in enumerate(lines):
        match = _FRAME.match(text)
        if not match:
            continue
        code = lines[number + 1].strip() if number + 1 < len(lines) else ""
        code = "" if _FRAME.match(code) else code
        found.append(Frame(match["file"], int(match["line"]), match["function"], code))
    own = tuple(f for f in found if not _LIBRARY.search(f.file))
    return own or (() if any("runtime_assert" in f.file for f in found) else tuple(found))


def source_of(trace: str | None) -> Source | None:
    """The innermost line of the user's own code."""
    found = frames(trace)
    return Source(found[-1].at) if found else None


# ---- variable names

_ASSIGNMENT = re.compile(r"^(?P<left>.+?)\s*(?:\*\*|//|>>|<<|[-+*/@|&^%])?(?<![=!<>])=(?!=)")


@lru_cache(maxsize=65536)
def assigned(code: str) -> tuple[str, ...]:
    """Names on the left of an assignment, flat; attributes by their last part, "" for others.

    The line may be the first of several: only its left side has to be Python.
    """
    match = _ASSIGNMENT.match(code)
    if not match:
        return ()
    left = re.sub(r"^([\w.]+)\s*:.*", r"\1", match["left"])  # less an annotation
    try:
        return tuple(_names(ast.parse(left.strip(), mode="eval").body))
    except (SyntaxError, ValueError):
        return ()


def _names(target: ast.expr) -> Iterator[str]:
    match target:
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            for part in parts:
                yield from _names(part)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield "" if set(name) == {"_"} else name
        case _:
            yield ""


@lru_cache(maxsize=65536)
def _returns_one(code: str) -> bool:
    """Whether the line returns one value: `return self.down(x)`."""
    try:
        (statement,) = ast.parse(code).body
    except (SyntaxError, ValueError):
        return False
    return isinstance(statement, ast.Return) and not isinstance(
        statement.value, ast.Tuple | ast.Dict
    )


def hints(traces: Sequence[str | None]) -> list[tuple[str, ...]]:
    """For each of consecutive nodes the variables that its results are assigned to.

    A line such as `h = f(x) * y` runs several ops: the last one gives the value that `h` names.
    Where it stands in a `return`, the caller's line names it.
    """
    stacks = [frames(t) for t in traces]
    out: list[tuple[str, ...]] = []
    following: tuple[Frame, ...] = ()
    for stack in reversed(stacks):
        out.append(_hint(stack, following))
        following = stack or following
    return out[::-1]


def _hint(stack: tuple[Frame, ...], following: tuple[Frame, ...]) -> tuple[str, ...]:
    for depth in range(len(stack), 0, -1):
        if following[:depth] == stack[:depth]:
            return ()
        names = assigned(stack[depth - 1].code)
        if names:
            return names if len(names) == 1 or depth == len(stack) else ()
        if not _returns_one(stack[depth - 1].code):
            return ()
    return ()


# ---- scopes

_NO_STACK = "_empty_nn_module_stack_from_metadata_hook"


class Scopes:
    """The scope tree: one Scope for each call of a module.

    `same` gives the first name of modules that stand in the tree under several.
    """

    def __init__(self, graph: Graph, same: Mapping[str, str]):
        self.root = graph.root
        self.same = same
        self.made: dict[tuple[str, ...], Scope] = {}
        self.calls: dict[str, int] = {}
        self.current = graph.root

    def enter(self, stack: Mapping[str, Any] | None) -> Scope:
        """The scope of a node's `nn_module_stack`; that of the node before where it has none."""
        if stack is None or _NO_STACK in stack:
            return self.current
        scope = self.root
        key: tuple[str, ...] = ()
        for path, cls in _entries(stack):
            key = (*key, path)
            if path:
                scope = self._child(key, path, cls, scope)
        self.current = scope
        return scope

    def _child(self, key: tuple[str, ...], path: str, cls: str, parent: Scope) -> Scope:
        if key not in self.made:
            name = path.partition("@")[0]
            name = self.same.get(name, name)
            number = self.calls[name] = self.calls.get(name, -1) + 1
            self.made[key] = Scope(name, cls, parent, number)
        return self.made[key]


def _entries(stack: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(path, unqualified class) from the root on."""
    for key, (path, cls) in stack.items():
        text = cls if isinstance(cls, str) else cls.__qualname__
        call = re.search(r"@\d+$", key)
        path = path if not call or path.endswith(call[0]) or not path else path + call[0]
        yield path, text.rsplit(".", 1)[-1].partition("[")[0]


def module_classes(graph: Any) -> dict[str, str]:
    """The unqualified class of every module that the graph's nodes stand in, by path."""
    out: dict[str, str] = {}
    for node in graph.nodes:
        stack = node.meta.get("nn_module_stack")
        if stack and _NO_STACK not in stack:
            out.update((path.partition("@")[0], cls) for path, cls in _entries(stack))
    return out


def root_class(stacks: Iterable[Mapping[str, Any] | None]) -> str:
    """The unqualified class of the module that was exported, or "" where no node tells."""
    for stack in stacks:
        if stack and _NO_STACK not in stack:
            for path, cls in _entries(stack):
                return cls if not path else ""
    return ""
