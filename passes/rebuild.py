"""The walk that most passes share: every node once, in order, kept or replaced.

    def step(out: Rebuild, node: Node) -> Operand | list[Operand] | None

A step returns None to keep the node, or what stands in its place (one operand, or one a result).
New nodes come from `out.emit`, which copies scope, source and name from the node they replace.
Operands of a node are already replaced when its step runs, so that chains collapse in one walk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import TABLE, Graph, Node, Scope, Value
from ..ir.graph import Operand, Param, joined
from .dce import sweep
from .record import current_record, entry

Replacement = Any  # None, one operand, or a list of operands
Step = Callable[["Rebuild", Node], Replacement]


class Rebuild:
    """A graph's nodes being written anew. `replaced` maps old values to their replacements."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.nodes: list[Node] = []
        self.replaced: dict[Value, Operand] = {}
        self.outputs = set(graph.outputs)
        self.rule = ""  # the rule that replaces, where the step has several
        self._uses: dict[Value, list[tuple[Node, int]]] | None = None

    def emit(
        self,
        op: str,
        *operands: Operand,
        like: Node,
        scope: Scope | None = None,
        hint: str | None = None,
        **attrs: Any,
    ) -> Any:
        """A new node in the place of `like`; its value, or a tuple of several."""
        node = make_node(op, operands, attrs, like, scope, hint)
        self.nodes.append(node)
        return tuple(node.results) if node.row.several else node.out

    def used_once(self, value: Value) -> bool:
        """Whether one operand and no output of the graph reads the value (as the walk found it)."""
        if self._uses is None:
            self._uses = self.graph.uses()
        return value not in self.outputs and len(self._uses.get(value, ())) == 1

    def current(self, operand: Operand) -> Operand:
        while isinstance(operand, Value) and operand in self.replaced:
            operand = self.replaced[operand]
        return operand


def make_node(
    op: str,
    operands: Any,
    attrs: dict[str, Any],
    like: Node,
    scope: Scope | None = None,
    hint: str | None = None,
) -> Node:
    """A node with the scope, source and name of `like`; it stands in no graph yet."""
    row = TABLE[op]
    attrs = row.complete(attrs)
    types = row.infer_types([o.type if isinstance(o, Value) else o for o in operands], attrs)
    name = like.out.hint if hint is None else hint
    node = Node(op, operands, attrs, types, scope or like.scope, like.source, name)
    node.by, node.via = like.by, like.via
    return node


def walk(graph: Graph, step: Step) -> bool:
    """Run the step on every node and drop what is dead then; whether anything changed."""
    out = Rebuild(graph)
    record = current_record()
    changed = False
    made: list[tuple[Node, list[Node]]] = []
    old = graph.nodes
    for node in old:
        _update(node, out)
        before = len(out.nodes)
        replacement = None if record.full else step(out, node)
        if len(out.nodes) > before or replacement is not None:
            changed = True
            record.applied.append(entry(out.rule or _owner(step) or record.pass_name, node))
            made.append((node, out.nodes[before:]))
        if replacement is None:
            out.nodes.append(node)
        else:
            _record(out, node, replacement if isinstance(replacement, list) else [replacement])
    if changed:
        graph.nodes = out.nodes
        graph.replace(out.replaced)
        sweep(graph)
        known = {*old, *(n for _, new in made for n in new)}
        _inherit(made, known.difference(graph.nodes))
    return changed


def _inherit(made: list[tuple[Node, list[Node]]], gone: set[Node]) -> None:
    """New nodes stand for those that they made needless: they know their lines and passes, too."""
    for node, new in made:
        if new and node in gone:
            needed = [node, *_needed(node, gone)]
            source = joined(n.source for n in needed)
            via = [name for n in needed for name in n.via]
            for fresh in new:
                fresh.source = joined([fresh.source, source])
                fresh.via = tuple(dict.fromkeys([*fresh.via, *via]))


def _needed(node: Node, among: set[Node]) -> list[Node]:
    """The nodes that the node's operands come from, as far as they are among these."""
    found: dict[Node, None] = {}
    left = [node]
    while left:
        for value in left.pop().values:
            if value.node in among and value.node not in found:
                found[value.node] = None
                left.append(value.node)
    return list(found)


def _owner(step: Step) -> str:
    """The pass whose closure the step is: passes call others."""
    outer, _, inner = getattr(step, "__qualname__", "").partition(".")
    return outer.strip("_") if inner else ""


def _update(node: Node, out: Rebuild) -> None:
    """Read the replaced operands; types follow where an operand's type changed."""
    operands = [out.current(o) for o in node.operands]
    stale = any(
        a is not b and not (isinstance(a, Value) and isinstance(b, Value) and a.type == b.type)
        for a, b in zip(node.operands, operands)
    )
    node.operands = operands
    if stale:
        retype(node)


def retype(node: Node) -> None:
    """Infer the result types again."""
    operands = [o.type if isinstance(o, Value) else o for o in node.operands]
    for value, kind in zip(node.results, node.row.infer_types(operands, node.attrs), strict=True):
        value.type = kind


def _record(out: Rebuild, node: Node, values: list[Operand]) -> None:
    for old, new in zip(node.results, values, strict=True):
        out.replaced[old] = new
        lend_name(old, new)


def lend_name(old: Value, new: Operand) -> None:
    """An unnamed value that replaces a named one of its own scope takes the name."""
    if (
        isinstance(new, Value)
        and new.node
        and not new.hint
        and old.node
        and new.node.scope is old.node.scope
    ):
        new.hint = old.hint


def producer(operand: Operand, *ops: str, scope: Scope | None = None) -> Node | None:
    """The node that makes the operand, if it is one of these ops (and in the given scope)."""
    node = operand.node if isinstance(operand, Value) else None
    if (
        node is None
        or (ops and node.op not in ops)
        or (scope is not None and node.scope is not scope)
    ):
        return None
    return node


def is_number(operand: Operand, value: float | None = None) -> bool:
    """Whether the operand is a Python number (the given one)."""
    number = isinstance(operand, int | float) and not isinstance(operand, bool)
    return number and (value is None or operand == value)


def is_param(operand: Operand) -> bool:
    return isinstance(operand, Param)


def common_scope(scopes: list[Scope]) -> Scope:
    """The innermost scope that holds them all."""
    chains = [s.chain() for s in scopes]
    joint = chains[0][0]
    for level in zip(*chains, strict=False):
        if any(s is not level[0] for s in level):
            break
        joint = level[0]
    return joint
