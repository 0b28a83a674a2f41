"""Rewrites as rows: a pattern, a guard that may give a reason against, a builder.

A pattern is a tree of `Is` (a node of one of these ops), `Bind` (any operand, under a name),
`Number` (a Python scalar, under a name) and `Perhaps` (through a node of these ops where there is
one). Commutative ops match both ways round. Interior nodes whose results something else reads
refuse the rewrite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..ir import TABLE, Graph, Node, Value
from ..ir.graph import Operand
from .rebuild import Rebuild, common_scope, walk
from .record import Entry, Log, entry

__all__ = [
    "Bind", "Entry", "Is", "Log", "Match", "Number", "Pattern", "Perhaps", "Rewrite", "rewrite"
]  # fmt: skip


@dataclass(frozen=True)
class Bind:
    """Any operand; the same name twice must meet the same operand."""

    name: str


@dataclass(frozen=True)
class Number:
    """A Python number."""

    name: str


@dataclass(frozen=True)
class Is:
    """A node of one of the ops (`"sum|mean"`), with patterns for its first operands."""

    ops: str
    operands: tuple[Pattern, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Perhaps:
    """The pattern, possibly below a node of these ops (on its first operand)."""

    ops: str
    of: Pattern
    name: str = ""


Pattern = Bind | Number | Is | Perhaps


@dataclass(frozen=True)
class Match:
    """Operands and nodes by name, and every node that the pattern went through, the root first."""

    bound: dict[str, Any] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.bound[name]

    def get(self, name: str) -> Any:
        return self.bound.get(name)

    @property
    def root(self) -> Node:
        return self.nodes[0]

    def bind(self, name: str, value: Any) -> Match | None:
        if not name:
            return self
        if name in self.bound:
            same = self.bound[name] is value or (
                not isinstance(value, Value | Node) and self.bound[name] == value
            )
            return self if same else None
        return Match({**self.bound, name: value}, self.nodes)

    def through(self, node: Node) -> Match:
        return self if node in self.nodes else Match(self.bound, (*self.nodes, node))


@dataclass(frozen=True)
class Rewrite:
    """One row. `guard` gives the reason against, or None; `build` emits the replacement."""

    name: str
    pattern: Is
    guard: Callable[[Match], str | None]
    build: Callable[[Rebuild, Match, Node], Operand]
    doc: str = ""


def rewrite(graph: Graph, rows: Sequence[Rewrite], log: Log | None = None) -> bool:
    """Apply the rows at every node, the first row that fits; whether any did."""
    log = log if log is not None else []
    uses = graph.uses()
    outputs = set(graph.outputs)

    def step(out: Rebuild, node: Node) -> Any:
        for row in rows:
            if node.op in row.pattern.ops.split("|"):
                for match in _match_node(row.pattern, node, Match()):
                    reason = _outside_use(match, uses, outputs) or row.guard(match)
                    log.append(entry(row.name, node, reason))
                    if reason is None:
                        out.rule = row.name
                        before = len(out.nodes)
                        value = _build(out, row, match)
                        _follow(match, value, out.nodes[before:], uses, outputs)
                        return value
        return None

    return walk(graph, step)


def _follow(
    match: Match,
    value: Value,
    new: list[Node],
    uses: dict[Value, list[tuple[Node, int]]],
    outputs: set[Value],
) -> None:
    """Keep the uses right: the matched nodes are dead, readers of the root read the new value."""
    for node in match.nodes:
        for operand in node.values:
            uses[operand] = [u for u in uses.get(operand, ()) if u[0] is not node]
    for node in new:
        for place, read in enumerate(node.operands):
            if isinstance(read, Value):
                uses.setdefault(read, []).append((node, place))
    uses.setdefault(value, []).extend(uses.get(match.root.out, ()))
    if match.root.out in outputs:
        outputs.add(value)


def _outside_use(
    match: Match, uses: dict[Value, list[tuple[Node, int]]], outputs: set[Value]
) -> str | None:
    inside = set(match.nodes)
    for node in match.nodes[1:]:
        for value in node.results:
            if value in outputs or any(user not in inside for user, _ in uses.get(value, ())):
                return f"the result of {node.op} is used elsewhere"
    return None


def _build(out: Rebuild, row: Rewrite, match: Match) -> Value:
    """The replacement, in the innermost scope that holds the whole match."""
    root = match.root
    like = Node(
        root.op,
        root.operands,
        root.attrs,
        [r.type for r in root.results],
        root.scope,
        root.source,
        root.out.hint,
    )
    like.scope = common_scope([n.scope for n in match.nodes])
    like.by, like.via = (*root.by, row.name), root.via
    value = row.build(out, match, like)
    if not isinstance(value, Value) or value.type != root.out.type:
        raise TypeError(f"{row.name} put {value!r} in the place of {root.out!r}")
    return value


# ---- matching


def _match(pattern: Pattern, operand: Operand, so_far: Match) -> Iterator[Match]:
    match pattern:
        case Bind(name):
            bound = so_far.bind(name, operand)
            if bound is not None:
                yield bound
        case Number(name):
            if isinstance(operand, int | float) and not isinstance(operand, bool):
                bound = so_far.bind(name, operand)
                if bound is not None:
                    yield bound
        case Is():
            if isinstance(operand, Value) and operand.node:
                yield from _match_node(pattern, operand.node, so_far)
        case Perhaps(ops, of, name):
            node = operand.node if isinstance(operand, Value) else None
            if node is not None and node.op in ops.split("|"):
                inner = so_far.through(node).bind(name, node)
                if inner is not None:
                    yield from _match(of, node.operands[0], inner)
            yield from _match(of, operand, so_far)


def _match_node(pattern: Is, node: Node, so_far: Match) -> Iterator[Match]:
    if node.op not in pattern.ops.split("|") or len(node.operands) < len(pattern.operands):
        return
    start = so_far.through(node).bind(pattern.name, node)
    if start is None:
        return
    orders = [node.operands]
    if TABLE[node.op].commutative and len(pattern.operands) == 2:
        orders.append(node.operands[::-1])
    for operands in orders:
        yield from _match_all(pattern.operands, operands, start)


def _match_all(
    patterns: Sequence[Pattern], operands: Sequence[Operand], so_far: Match
) -> Iterator[Match]:
    if not patterns:
        yield so_far
        return
    for first in _match(patterns[0], operands[0], so_far):
        yield from _match_all(patterns[1:], operands[1:], first)
