"""Which rewrite applied where, and which refused and why: `--explain-fusions`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .passes.pipeline import Run
    from .passes.record import Entry

APPLIED = ""
# Wide enough for a row where the output is no terminal: a row is a line there.
_WIDTH = 200


@dataclass(frozen=True)
class Row:
    """A rule in one kind of place: how often it applied, or was refused for one reason.

    `scope` has `*` for the number of a layer.
    """

    pass_name: str
    rule: str
    reason: str
    op: str
    scope: str
    source: str
    count: int

    @property
    def applied(self) -> bool:
        return self.reason == APPLIED


def explain(runs: Sequence[Run]) -> list[Row]:
    """The rows in the order of the passes, the applied ones of a rule first."""
    counts: Counter[tuple[str, str, str, str, str, str]] = Counter()
    order: dict[tuple[str, str], int] = {}
    for run in runs:
        for entry in told(run.log):
            order.setdefault((run.pass_.name, entry.rewrite), len(order))
            layer = re.sub(r"(?<=\.)\d+(?=\.|$)", "*", entry.scope)
            reason = entry.reason or APPLIED
            kind = (run.pass_.name, entry.rewrite, reason, entry.op, layer, entry.source)
            counts[kind] += 1
    rows = [Row(*kind, count) for kind, count in counts.items()]
    return sorted(rows, key=lambda r: (order[r.pass_name, r.rule], not r.applied))


def told(log: Iterable[Entry]) -> list[Entry]:
    """Each refusal of a rule at a node once, and none where another spelling applied there."""
    found: dict[tuple[str, object], dict[str, Entry]] = {}
    for entry in log:
        place = entry.node or entry.where
        found.setdefault((entry.rewrite, place), {})[entry.reason or APPLIED] = entry
    return [
        entry
        for outcomes in found.values()
        for entry in ([outcomes[APPLIED]] if APPLIED in outcomes else outcomes.values())
    ]


def print_table(runs: Sequence[Run]) -> None:
    """Print the rows as a table, and the refusals of each rule by reason."""
    from rich.console import Console
    from rich.table import Table

    rows = explain(runs)
    table = Table(title="fusions", title_justify="left")
    for column, side in (("pass", "left"), ("rule", "left"), ("times", "right"), ("at", "left"),
                         ("source", "left"), ("outcome", "left")):  # fmt: skip
        table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        outcome = "applied" if row.applied else f"refused: {row.reason}"
        at = " in ".join(filter(None, (row.op, row.scope or "the root")))
        cells = (row.pass_name, row.rule, str(row.count), at, row.source, outcome)
        table.add_row(*map(_plain, cells))
    console = Console(soft_wrap=False)
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    console.print(table)
    for line in summary(rows):
        console.print(_plain(line), soft_wrap=True)


def _plain(text: str) -> str:
    """Names of a model are no mark-up, and a terminal must not obey them."""
    from rich.markup import escape

    return escape("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


def summary(rows: Sequence[Row]) -> list[str]:
    """A line a rule: applied and refused, the reasons with their counts."""
    lines = []
    for rule in dict.fromkeys(r.rule for r in rows):
        applied = sum(r.count for r in rows if r.rule == rule and r.applied)
        reasons: Counter[str] = Counter()
        for row in rows:
            if row.rule == rule and not row.applied:
                reasons[row.reason] += row.count
        text = "; ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
        refused = f", refused {sum(reasons.values())}: {text}" if reasons else ""
        lines.append(f"{rule}: applied {applied}{refused}")
    return lines or ["no rule found anything to rewrite"]
