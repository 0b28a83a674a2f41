"""What changed from one graph to another, node by node."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from .ir import Graph, Node, Value
from .ir.graph import Param, leaves


@dataclass(frozen=True)
class Change:
    """A node that is gone (`new` is None), new (`old` is None), or other than it was.

    `notes` says for a changed node what is different.
    """

    old: Node | None
    new: Node | None
    notes: tuple[str, ...] = ()

    @property
    def node(self) -> Node:
        node = self.new or self.old
        assert node is not None
        return node


@dataclass
class Diff:
    """All changes in the order of the graphs; notes about parameters, inputs and results."""

    changes: list[Change]
    notes: list[str]

    def __bool__(self) -> bool:
        return bool(self.changes or self.notes)


def diff(old: Graph, new: Graph) -> Diff:
    """Nodes are aligned by scope, op, source line and name, first with their attributes."""
    pairs = _align(old.nodes, new.nodes)
    partner = {id(a): b for a, b in pairs}
    values = _value_pairs(old, new, pairs)
    taken = {id(b) for _, b in pairs}
    changes: list[Change] = []
    place = 0
    for node in old.nodes:
        match = partner.get(id(node))
        if match is None:
            changes.append(Change(node, None))
            continue
        while place < len(new.nodes) and new.nodes[place] is not match:
            if id(new.nodes[place]) not in taken:
                changes.append(Change(None, new.nodes[place]))
                taken.add(id(new.nodes[place]))
            place += 1
        notes = tuple(_notes(node, match, values))
        if notes:
            changes.append(Change(node, match, notes))
    changes += [Change(None, n) for n in new.nodes if id(n) not in taken]
    return Diff(changes, [*_border(old, new), *_results(old, new, values)])


# ---- alignment


def _align(old: Sequence[Node], new: Sequence[Node]) -> list[tuple[Node, Node]]:
    """Pairs in the order of `old`: by ever fewer properties, each time among those left over."""
    pairs: list[tuple[Node, Node]] = []
    left, right = list(old), list(new)
    for key in (_exact, _named, _placed):
        matcher = SequenceMatcher(None, [key(n) for n in left], [key(n) for n in right], False)
        found = [
            (left[a + i], right[b + i])
            for a, b, size in matcher.get_matching_blocks()
            for i in range(size)
        ]
        pairs += found
        gone = {id(n) for pair in found for n in pair}
        left = [n for n in left if id(n) not in gone]
        right = [n for n in right if id(n) not in gone]
    order = {id(n): i for i, n in enumerate(old)}
    return sorted(pairs, key=lambda pair: order[id(pair[0])])


def _scope(node: Node) -> tuple[Any, ...]:
    return node.scope.path, node.scope.call


def _at(node: Node) -> str:
    return node.source.at if node.source else ""


def _params(node: Node) -> tuple[str, ...]:
    return tuple(o.name for o in node.operands if isinstance(o, Param))


def _exact(node: Node) -> Any:
    return *_named(node), str(node.attrs), str([r.type for r in node.results])


def _named(node: Node) -> Any:
    return *_scope(node), node.op, _at(node), node.out.hint, _params(node)


def _placed(node: Node) -> Any:
    return *_scope(node), node.op, _at(node)


def _value_pairs(old: Graph, new: Graph, pairs: Sequence[tuple[Node, Node]]) -> dict[Value, Value]:
    """The values of the old graph that are in the new one."""
    values = {a.name: a for a in old.params.values()}
    found: dict[Value, Value] = {values[n]: p for n, p in new.params.items() if n in values}
    found.update(zip(old.inputs, new.inputs))
    for a, b in pairs:
        found.update(zip(a.results, b.results))
    return found


# ---- what is different


def _notes(old: Node, new: Node, values: dict[Value, Value]) -> Iterator[str]:
    if len(old.operands) != len(new.operands):
        yield f"{len(old.operands)} operands, now {len(new.operands)}"
    known = set(values.values())
    names = old.row.operand_names
    for place, (a, b) in enumerate(zip(old.operands, new.operands)):
        if not _same_operand(a, b, values, known):
            name = names[place] if place < len(names) else f"operand {place}"
            yield f"{name}: {show(a)}, now {show(b)}"
    for attr in dict.fromkeys([*old.attrs, *new.attrs]):
        before, now = old.attrs.get(attr), new.attrs.get(attr)
        if before != now or type(before) is not type(now):
            yield f"{attr}={before}, now {now}"
    for r, s in zip(old.results, new.results):
        if r.type != s.type:
            yield f"{r.type}, now {s.type}"


def _same_operand(a: Any, b: Any, values: dict[Value, Value], known: set[Value]) -> bool:
    """A new node's result in the place of a gone one's is a change of those, not of the reader."""
    if isinstance(a, Value) and isinstance(b, Value):
        return values[a] is b if a in values else b not in known
    if isinstance(a, Value) or isinstance(b, Value):
        return False
    return a == b and type(a) is type(b)


def _border(old: Graph, new: Graph) -> Iterator[str]:
    for name in dict.fromkeys([*old.params, *new.params]):
        a, b = old.params.get(name), new.params.get(name)
        if a is None or b is None:
            yield f"{'new' if a is None else 'gone'}: the parameter {name}"
        elif (a.type, a.recipe) != (b.type, b.recipe):
            yield f"the parameter {name}: {a.type} {a.recipe}, now {b.type} {b.recipe}"
    before, now = ([f"{n}: {_types(t)}" for n, t in g.arguments] for g in (old, new))
    if before != now:
        yield f"the inputs: {', '.join(before)}; now {', '.join(now)}"


def _types(tree: Any) -> str:
    return ", ".join(str(v.type) if isinstance(v, Value) else repr(v) for v in leaves(tree))


def _results(old: Graph, new: Graph, values: dict[Value, Value]) -> Iterator[str]:
    a, b = list(leaves(old.result)), list(leaves(new.result))
    if len(a) != len(b):
        yield f"{len(a)} results, now {len(b)}"
    known = set(values.values())
    for place, (x, y) in enumerate(zip(a, b)):
        if not _same_operand(x, y, values, known):
            yield f"result {place}: {show(x)}, now {show(y)}"


# ---- text


def show(operand: Any) -> str:
    """An operand in a few words."""
    if isinstance(operand, Param):
        return operand.name
    if isinstance(operand, Value):
        return operand.hint or (operand.node.op if operand.node else "an input")
    return repr(operand) if not hasattr(operand, "terms") else str(operand)


def show_node(node: Node) -> str:
    """One node as a line: as in the IR text, with names that need not be distinct."""
    args = [show(o) for o in node.operands]
    args += [f"{k}={v}" for k, v in node.attrs.items() if v != node.row.attrs[k].default]
    types = ", ".join(str(r.type) for r in node.results)
    return f"{node.out.hint or node.op}: {types} = {node.op}({', '.join(args)})"


def print_diff(changes: Diff) -> Iterator[str]:
    """Lines: the place, then `-` for what is gone, `+` for what is new, `~` for what changed."""
    place = None
    for change in changes.changes:
        node = change.node
        here = (node.scope.path or "the root") + (f" ({_at(node)})" if node.source else "")
        if here != place:
            yield here
            place = here
        if change.old is None:
            by = f"  by {', '.join(node.by)}" if node.by else ""
            yield f"  + {show_node(node)}{by}"
        elif change.new is None:
            yield f"  - {show_node(node)}"
        else:
            yield f"  ~ {show_node(node)}"
            yield from (f"      {note}" for note in change.notes)
    yield from changes.notes
