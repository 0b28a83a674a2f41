"""Which nodes each line of the emitted code computes: the source lines, passes and rules of them.

A method is printed once for all instances of its class, so that a line stands for the nodes of all
of them. The lines are found in the formatted text by its statements, whose order formatting keeps.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..ir import Node
from .regions import Region

if TYPE_CHECKING:
    from .classes import Printed
    from .cpp_methods import Method
    from .structure import Group, Structure

Span = tuple[int, int]


@dataclass(frozen=True)
class Line:
    """A statement: its first and last line, and what it computes.

    `source` are lines of the source's code, `passes` and `rules` what made or changed its nodes,
    `calls` the classes whose methods it calls; the nodes inside of these calls are among its own.
    """

    first: int
    last: int
    source: tuple[str, ...]
    passes: tuple[str, ...]
    rules: tuple[str, ...]
    calls: tuple[str, ...]


@dataclass(frozen=True)
class MethodLines:
    """The lines of a method, and the source modules it stands for, layers as `*`."""

    method: str
    modules: tuple[str, ...]
    lines: tuple[Line, ...]


def python_lines(
    source: str, printed: Sequence[Printed], structure: Structure
) -> list[MethodLines]:
    """The lines of every class's constructor and method in the formatted file."""
    classes = {c.name: c for c in ast.parse(source).body if isinstance(c, ast.ClassDef)}
    found = []
    for part in printed:
        methods = {m.name: m for m in classes[part.name].body if isinstance(m, ast.FunctionDef)}
        align = Alignment(part.group, structure)
        made = list(_constructor(methods.get("__init__"), part.group, structure))
        body = zip(_statements(methods["__call__"].body), part.origins, strict=True)
        for name, lines in (("__init__", made), ("__call__", body)):
            found.append(align.method(f"{part.name}.{name}", lines))
    return [m for m in found if m.lines]


def _statements(body: list[ast.stmt]) -> Iterator[Span]:
    """The lines of each statement; of a block those of its head, then those inside."""
    for statement in body:
        match statement:
            case ast.For(iter=head) | ast.If(test=head) | ast.While(test=head):
                yield statement.lineno, head.end_lineno or statement.lineno
                yield from _statements([*statement.body, *statement.orelse])
            case _:
                yield statement.lineno, statement.end_lineno or statement.lineno


def _constructor(
    method: ast.FunctionDef | None, group: Group, structure: Structure
) -> Iterator[tuple[Span, list[Any]]]:
    """Statements that make layers, with the calls of these layers."""
    made = layers_made(group, structure)
    for statement in method.body if method else []:
        match statement:
            case ast.Assign(targets=[ast.Attribute(attr=name)]) if made.get(name):
                yield (statement.lineno, statement.end_lineno or statement.lineno), made[name]


def cpp_lines(
    source: str, methods: Sequence[tuple[Method, Group, str]], structure: Structure
) -> list[MethodLines]:
    """The lines of every class's method in the formatted file. Formatting moves white space only,
    and divides strings.
    """
    lines = source.splitlines()
    text = "".join(_dense(line) for line in lines)
    line_of = [n for n, line in enumerate(lines, 1) for _ in _dense(line)]
    text, line_of = _undivided(text, line_of)
    found = []
    for method, group, name in methods:
        at = text.index(f"{name}::operator()(")
        spans = []
        for code, items in zip(method.lines, method.origins, strict=True):
            dense = _dense(code).replace('""', "")
            at = text.index(dense, at) + len(dense)
            if items and dense != "}":
                spans.append(((line_of[at - len(dense)], line_of[at - 1]), items))
        found.append(Alignment(group, structure).method(f"{name}::operator()", spans))
    return [m for m in found if m.lines]


def _dense(code: str) -> str:
    return re.sub(r"\s", "", code)


def _undivided(text: str, line_of: list[int]) -> tuple[str, list[int]]:
    """The text without `""`, which stands where a string was divided."""
    gone = {i for m in re.finditer('""', text) for i in range(*m.span())}
    kept = [i for i in range(len(text)) if i not in gone]
    return "".join(text[i] for i in kept), [line_of[i] for i in kept]


def layers_made(group: Group, structure: Structure) -> dict[str, list[Region]]:
    """The calls of layers by the attribute that holds the layer, of the class's first instance."""
    modules, path = structure.modules, group.paths[0]
    made: dict[str, list[Region]] = {}
    for rel, entry in modules.tree[path].items():
        name = modules.attribute(path, rel.split(".")[0])
        made.setdefault(name, []).extend([entry.what] if entry.kind == "layer" else [])
    return made


class Alignment:
    """The nodes of all instances of a class by those of the first."""

    def __init__(self, group: Group, structure: Structure):
        self.structure, self.paths = structure, group.paths
        calls = [r for path in group.paths for r in structure.modules.classes[path]]
        keyed = [dict(_keyed(region)) for region in calls]
        self.same = {
            item: [k[key] for k in keyed if key in k]
            for key, item in (keyed[0] if keyed else {}).items()
        }

    def method(self, name: str, lines: Iterable[tuple[Span, list[Any]]]) -> MethodLines:
        paths = tuple(dict.fromkeys(re.sub(r"(?<![^.])\d+(?![^.])", "*", p) for p in self.paths))
        return MethodLines(name, paths, tuple(self.line(*line) for line in lines))

    def line(self, span: Span, items: list[Any]) -> Line:
        every = [other for item in items for other in self.same.get(item, [item])]
        nodes = [n for item in every for n in ([item] if isinstance(item, Node) else item.nodes())]
        groups = self.structure.modules.groups
        calls = [groups[i.path].name for i in every if isinstance(i, Region) and not i.layer]
        return Line(
            *span,
            _distinct(at for n in nodes if n.source for at in n.source.lines),
            _distinct(name for n in nodes for name in n.via),
            _distinct(name for n in nodes for name in n.by),
            _distinct(calls),
        )


def _keyed(region: Region) -> Iterator[tuple[Any, Any]]:
    """The region's items, each under what tells it from the others: its kind and number."""
    counts: dict[Any, int] = {}
    for item in region.items:
        node = item if isinstance(item, Node) else next(iter(item.nodes()))
        kind = (isinstance(item, Node), node.op)
        counts[kind] = counts.get(kind, 0) + 1
        yield (kind, counts[kind]), item


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
