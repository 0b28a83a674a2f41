"""The first pass that moves the numbers, and the one replacement within it that does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ir import Graph
from .ir.clone import clone
from .ir.verify import VerifyError, verify
from .numbers import Moved, Numbers
from .passes.pipeline import apply
from .passes.record import Entry, Log, Record
from .passes.table import Pass

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Culprit:
    """A pass that moves the numbers, or fails.

    Replacement `number` of `total` does it: `application`, or None where the pass fails in the
    midst of it. `number` is 0 where the pass moves them with all replacements left out. `before`
    and `after` are the IR around the replacement, or around the pass.
    """

    pass_: Pass
    moved: Moved
    application: Entry | None
    number: int
    total: int
    before: Graph
    after: Graph


@dataclass(frozen=True)
class _Trial:
    """A graph after a pass, perhaps limited, and what was replaced."""

    graph: Graph
    moved: Moved | None
    applied: Log
    raised: bool = False


def bisect(
    graph: Graph,
    numbers: Numbers,
    passes: Sequence[Pass],
    progress: Progress = lambda text: None,
) -> Culprit | None:
    """Run the passes on a copy of the graph until the numbers move; None where they never do."""
    for pass_ in passes:
        progress(f"after {pass_.name}")
        trial = _try(graph, numbers, pass_)
        if trial.moved:
            return _narrow(graph, trial, numbers, pass_, progress)
        graph = trial.graph
    return None


def _try(before: Graph, numbers: Numbers, pass_: Pass, limit: int | None = None) -> _Trial:
    """Run the pass on a copy of the graph; how the numbers moved, or that it failed."""
    graph, record = clone(before), Record(limit=limit)
    try:
        changed = apply(graph, pass_, record=record).changed
    except Exception as error:
        what = f"the pass fails with {type(error).__name__}: {error}"
        return _Trial(graph, Moved("any inputs", "", None, what), record.applied, raised=True)
    try:
        if changed:
            verify(graph)
    except VerifyError as error:
        what = f"the graph is malformed: {error}"
        return _Trial(graph, Moved("any inputs", "", None, what), record.applied)
    return _Trial(graph, numbers.moved(graph) if changed else None, record.applied)


def _narrow(
    before: Graph, whole: _Trial, numbers: Numbers, pass_: Pass, progress: Progress
) -> Culprit:
    """Halve the replacements that are made, between none (right) and all (wrong)."""
    assert whole.moved is not None
    total = len(whole.applied) + whole.raised
    none = _try(before, numbers, pass_, 0)
    if total == 0 or none.moved:
        moved = none.moved or whole.moved
        return Culprit(pass_, moved, None, 0, total, before, whole.graph)
    right, wrong, good, bad = 0, total, none, whole
    while wrong - right > 1:
        middle = (right + wrong) // 2
        progress(f"{pass_.name}: the first {middle} of {total} replacements")
        trial = _try(before, numbers, pass_, middle)
        if trial.moved:
            wrong, bad = middle, trial
        else:
            right, good = middle, trial
    assert bad.moved is not None
    entry = bad.applied[wrong - 1] if len(bad.applied) >= wrong else None
    return Culprit(pass_, bad.moved, entry, wrong, total, good.graph, bad.graph)
