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

    `op` and `name` tell the node, `scope` its module path, `source` its file:line.
    """

    rewrite: str
    op: str
    name: str
    scope: str
    source: str
    reason: str | None = None

    @property
    def where(self) -> str:
        return (self.scope or "the root") + (f" ({self.source})" if self.source else "")

    def __str__(self) -> str:
        outcome = f"refused, {self.reason}" if self.reason else "applied"
        return f"{self.rewrite} at {self.where}: {outcome}"


Log = list[Entry]


def entry(rewrite: str, node: Node, reason: str | None = None) -> Entry:
    """The entry of a rewrite at a node."""
    source = node.source.at if node.source else ""
    return Entry(rewrite, node.op, node.out.hint, node.scope.path, source, reason)


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
