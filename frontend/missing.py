"""Collects what a walk could not lower, and reports it at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..errors import TranspileError
from ..ir import Builder

_SHOWN = 3


@dataclass
class _Entry:
    count: int = 0
    modules: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    reason: TranspileError | None = None


class Missing:
    """Ops without a row, and calls that a row refused: counts, modules, source lines."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], _Entry] = {}
        self.tainted = False

    def add(self, op: str, b: Builder, reason: TranspileError | None = None) -> None:
        entry = self.entries.setdefault((op, reason.what if reason else ""), _Entry())
        entry.count += 1
        entry.reason = entry.reason or reason
        entry.modules[b.scope.path or b.graph.name] += 1
        if b.source:
            entry.lines[b.source.at] += 1

    def report(self) -> None:
        """TranspileError with all of them; nothing where there are none."""
        if not self.entries:
            return
        if len(self.entries) == 1 and (only := next(iter(self.entries.values()))).reason:
            raise only.reason
        raise TranspileError(
            "\n".join([self._headline(), *(self._line(*item) for item in self.entries.items())]),
            hint=self._hints(),
        )

    def _headline(self) -> str:
        calls = sum(e.count for e in self.entries.values())
        ops = len({op for op, _ in self.entries})
        return f"{ops} unsupported op{'s' * (ops > 1)} in {calls} call{'s' * (calls > 1)}:"

    def _line(self, key: tuple[str, str], entry: _Entry) -> str:
        op, why = key
        places = ", ".join(_some(entry.modules))
        lines = f" ({', '.join(_some(entry.lines))})" if entry.lines else ""
        return f"  {op} x{entry.count} in {places}{lines}" + (f": {why}" if why else "")

    def _hints(self) -> str:
        own = dict.fromkeys(
            e.reason.hint for e in self.entries.values() if e.reason and e.reason.hint
        )
        if any(not e.reason for e in self.entries.values()):
            own[
                "express the ops with supported ones, or add a row for each (docs/adding-an-op.md)"
            ] = None
        return "; ".join(own)


def _some(names: Counter[str]) -> list[str]:
    shown = list(names)[:_SHOWN]
    return [*shown, f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else shown
