"""The record of what passes do, application by application; and a limit to it, for bisection.

A pass takes a graph, perhaps a log, and nothing else. The pass manager therefore opens a record
around each pass, and the walk that passes share writes to it and asks it: when the limit is
reached, nothing is replaced any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ..ir import Node


@dataclass(frozen=True)
class Entry:
    """A rewrite that applied at a node (`reason` is None) or was refused there.

    `where` is the node's module path with its source line, `op` and `name` tell the node itself.
    `node` only keeps entries of different nodes apart: it may be no part of the graph any more.
    """

    rewrite: str
    where: str
    reason: str | None = None
    op: str = ""
    name: str = ""
    node: Node | None = field(default=None, compare=False, repr=False)

    @property
    def scope(self) -> str:
        """The module path; "" is the root."""
        path = self.where.partition(" (")[0]
        return "" if path == _ROOT else path

    @property
    def source(self) -> str:
        """file:line, where it is known."""
        return self.where.partition(" (")[2].rstrip(")")

    def __str__(self) -> str:
        outcome = f"refused, {self.reason}" if self.reason else "applied"
        return f"{self.rewrite} at {self.where}: {outcome}"


Log = list[Entry]
_ROOT = "the root"


def place_of(node: Node) -> str:
    """The module path and the source line of a node."""
    return (node.scope.path or _ROOT) + (f" ({node.source.at})" if node.source else "")


def entry(rewrite: str, node: Node, reason: str | None = None) -> Entry:
    """The entry of a rewrite at a node."""
    return Entry(rewrite, place_of(node), reason, node.op, node.out.hint, node)


@dataclass
class Record:
    """The applications of one pass in order; at `limit` applications no more are allowed."""

    pass_name: str = ""
    limit: int | None = None
    applied: Log = field(default_factory=list)

    @property
    def full(self) -> bool:
        return self.limit is not None and len(self.applied) >= self.limit


_RECORD: ContextVar[Record | None] = ContextVar("record", default=None)


@contextmanager
def recording(record: Record) -> Iterator[Record]:
    """Passes that run inside write to this record."""
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)


def current_record() -> Record:
    """The open record; without one, a record that nobody reads."""
    return _RECORD.get() or Record()


def applies(rule: str, node: Node) -> bool:
    """Whether a change at the node may be made; if so it is recorded.

    For passes that change a graph other than by `walk`. To be asked last, when the change is
    otherwise decided.
    """
    record = _RECORD.get()
    if record is None:
        return True
    if record.full:
        return False
    record.applied.append(entry(rule, node))
    return True
