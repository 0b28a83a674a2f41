"""The pass manager: one ordered list of passes, run and verified."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..ir import Graph, Node, Program
from ..ir.blocks import blocks
from ..ir.clone import clone
from ..ir.graph import Param
from ..ir.text import constants_of, print_graph
from ..ir.verify import verify
from .record import Log, Record, recording
from .table import PASSES, Pass

_logger = logging.getLogger(__name__)

Dump = Callable[[int, Pass, str], None]
Check = Callable[[Graph, Pass], None]


class PassError(Exception):
    """A pass failed or left a wrong graph: a bug of this package.

    Holds the IR before it with the data of its constants, and the passes from this one on.
    """

    def __init__(
        self,
        pass_: Pass,
        ir_before: str,
        cause: BaseException,
        constants: Mapping[str, np.ndarray] | None = None,
        remaining: Sequence[str] = (),
    ):
        super().__init__(f"the pass {pass_.name} failed: {type(cause).__name__}: {cause}")
        self.pass_, self.ir_before = pass_, ir_before
        self.constants, self.remaining = dict(constants or {}), list(remaining)


@dataclass(frozen=True)
class Run:
    """What one pass did: whether it changed the graph, nodes and parameters after it, time.

    `log` has the rewrites that applied and those that were refused, `applied` everything that
    was replaced, in order.
    """

    pass_: Pass
    changed: bool
    nodes: int
    ms: float
    log: Log
    number: int = 0
    params: int = 0
    applied: Log = field(default_factory=list)


def list_passes(level: int | None = None) -> list[Pass]:
    """All passes in order, or those of one optimization level."""
    return [p for p in PASSES if level is None or p.level <= level]


def choose(
    level: int = 1,
    *,
    passes: Iterable[str] | None = None,
    disable: Iterable[str] = (),
    stop_after: str | None = None,
) -> list[tuple[int, Pass]]:
    """The passes that run, with their numbers. ValueError on an unknown name."""
    names = [n for n in (*disable, stop_after, *(passes or ())) if n is not None]
    _check_names(names)
    chosen = list_passes(level) if passes is None else [_named(name) for name in passes]
    out = []
    for number, pass_ in enumerate(chosen, 1):
        if pass_.name not in disable:
            out.append((number, pass_))
        if pass_.name == stop_after:
            break
    return out


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
    check: Check | None = None,
) -> list[Run]:
    """Run the passes of a level (or the named ones, in that order) on the graphs, in place.

    `dump(number, pass, text)` gets the IR after `print_after`, and without it after every pass
    that changed something. The graph is verified after passes that changed it, with `verify_each`
    after every pass; `check` is called then, too, and raises what it finds wrong.
    ValueError on an unknown pass name; PassError where a pass fails.
    """
    _check_names([print_after] if print_after else [])
    chosen = choose(level, passes=passes, disable=list(disable), stop_after=stop_after)
    runs = []
    for graph in [source] if isinstance(source, Graph) else list(source.graphs.values()):
        runs += _run(graph, chosen, print_after, dump, verify_each, check)
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
    graph: Graph, chosen: list[tuple[int, Pass]], print_after: str | None, dump: Dump | None,
    verify_each: bool, check: Check | None,
) -> list[Run]:  # fmt: skip
    runs: list[Run] = []
    start = clone(graph)
    for place, (number, pass_) in enumerate(chosen):
        try:
            done = apply(graph, pass_, number)
            if done.changed or verify_each:
                verify(graph)
                if check:
                    check(graph, pass_)
        except BadRequest:  # what a pass reads of the file is damaged
            raise
        except Exception as error:
            passes = [p for _, p in chosen]
            raise _failed(start, passes[:place], passes[place:], error) from error
        if dump and (done.changed if print_after is None else pass_.name == print_after):
            dump(number, pass_, print_graph(graph))
        runs.append(done)
    return runs


def apply(graph: Graph, pass_: Pass, number: int = 0, record: Record | None = None) -> Run:
    """Run one pass, unverified. The record, where one is given, may limit what is replaced."""
    log: Log = []
    before = {node: _state(node) for node in graph.nodes}
    start = time.perf_counter()
    with recording(record or Record()) as record:
        record.pass_name = pass_.name
        changed = _changed(graph, pass_, log)
    ms = (time.perf_counter() - start) * 1000
    for node in graph.nodes:
        if before.get(node) != _state(node) and pass_.name not in node.via:
            node.via = (*node.via, pass_.name)
    for entry in log:
        _logger.debug("%s: %s", pass_.name, entry)
    return Run(pass_, changed, len(graph.nodes), ms, log, number, len(graph.params), record.applied)


def _state(node: Node) -> tuple[Any, ...]:
    """What a pass may change in place, less the values that other nodes make."""
    params = [o for o in node.operands if isinstance(o, Param)]
    return dict(node.attrs), node.by, params


def _changed(graph: Graph, pass_: Pass, log: Log) -> bool:
    """Run the pass on a graph, then on each of the blocks of its nodes."""
    changed = bool(pass_.function(graph, log) if pass_.logs else pass_.function(graph))
    for node in graph.nodes:
        for block in blocks(node):
            changed |= _changed(block, pass_, log)
    return changed


def _failed(start: Graph, done: list[Pass], remaining: list[Pass], error: Exception) -> PassError:
    """The error of the first remaining pass. The IR before it is made again, from the start.

    That costs nothing where nothing fails; text after every pass would.
    """
    for pass_ in done:
        apply(start, pass_)
    names = [p.name for p in remaining]
    return PassError(remaining[0], print_graph(start), error, constants_of(start), names)
