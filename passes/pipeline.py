"""The pass manager: one ordered list of passes, run and verified."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..ir import Graph, Program
from ..ir.text import print_graph
from ..ir.verify import verify
from .rewrite import Log
from .table import PASSES, Pass

_logger = logging.getLogger(__name__)

Dump = Callable[[int, Pass, str], None]


class PassError(Exception):
    """A pass failed or left a malformed graph: a bug of this package. Holds the IR before it."""

    def __init__(self, pass_: Pass, ir_before: str, cause: BaseException):
        super().__init__(f"the pass {pass_.name} failed: {type(cause).__name__}: {cause}")
        self.pass_, self.ir_before = pass_, ir_before


@dataclass(frozen=True)
class Run:
    """What one pass did: whether it changed the graph, nodes after it, time, log of rewrites."""

    pass_: Pass
    changed: bool
    nodes: int
    ms: float
    log: Log


def list_passes(level: int | None = None) -> list[Pass]:
    """All passes in order, or those of one optimization level."""
    return [p for p in PASSES if level is None or p.level <= level]


def run(
    source: Program | Graph,
    level: int = 1,
    *,
    disable: Iterable[str] = (),
    stop_after: str | None = None,
    print_after: str | None = None,
    dump: Dump | None = None,
    verify_each: bool = False,
    passes: Iterable[str] | None = None,
) -> list[Run]:
    """Run the passes of a level (or the named ones, in that order) on the graphs, in place.

    `dump(number, pass, text)` gets the IR after `print_after`, and without it after every pass
    that changed something. The graph is verified after passes that changed it, with `verify_each`
    after every pass.
    ValueError on an unknown pass name; PassError where a pass fails.
    """
    names = [n for n in (*disable, stop_after, print_after, *(passes or ())) if n is not None]
    _check_names(names)
    chosen = list_passes(level) if passes is None else [_named(name) for name in passes]
    runs = []
    for graph in [source] if isinstance(source, Graph) else list(source.graphs.values()):
        runs += _run(graph, chosen, set(disable), stop_after, print_after, dump, verify_each)
    return runs


def _check_names(names: Iterable[str]) -> None:
    known = {p.name for p in PASSES}
    unknown = [n for n in names if n not in known]
    if unknown:
        raise ValueError(
            f"no pass is called {', '.join(unknown)}; there are {', '.join(p.name for p in PASSES)}"
        )


def _named(name: str) -> Pass:
    return next(p for p in PASSES if p.name == name)


def _run(
    graph: Graph, chosen: list[Pass], disable: set[str], stop_after: str | None,
    print_after: str | None, dump: Dump | None, verify_each: bool,
) -> list[Run]:  # fmt: skip
    runs = []
    text = print_graph(graph)
    for number, pass_ in enumerate(chosen, 1):
        if pass_.name not in disable:
            done = _apply(graph, pass_, text, verify_each)
            text = print_graph(graph) if done.changed else text
            if dump and (done.changed if print_after is None else pass_.name == print_after):
                dump(number, pass_, text)
            runs.append(done)
        if pass_.name == stop_after:
            break
    return runs


def _apply(graph: Graph, pass_: Pass, text: str, verify_each: bool) -> Run:
    log: Log = []
    start = time.perf_counter()
    try:
        changed = pass_.function(graph, log) if pass_.logs else pass_.function(graph)
        if changed or verify_each:
            verify(graph)
    except Exception as error:
        raise PassError(pass_, text, error) from error
    ms = (time.perf_counter() - start) * 1000
    for entry in log:
        _logger.debug("%s: %s", pass_.name, entry)
    return Run(pass_, changed, len(graph.nodes), ms, log)
