"""Control flow of exported graphs: `cond` and `while_loop` of sub-graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import control, torch_loops
from .world import World

if TYPE_CHECKING:
    from .export_graph import Walk


def cond(walk: Walk, args: Sequence[Any]) -> list[Any]:
    """One of two sub-graphs on the same operands."""
    predicate, yes, no, operands = args
    condition = walk.lowering.compute("Bool", [predicate])
    sides = [lambda graph=graph: _run(walk, graph, operands) for graph in (yes, no)]
    if isinstance(condition, bool):
        return sides[not condition]()
    return control.branch(walk.lowering, condition, _world(operands), sides)


def while_loop(walk: Walk, args: Sequence[Any]) -> list[Any]:
    """The body while the condition, a sub-graph as well, holds for what is carried."""
    test, body, carried, others = args

    def going(values: Sequence[Any]) -> Any:
        (found,) = _run(walk, test, [*values, *others])
        return walk.lowering.compute("Bool", [found])

    def turn(number: Any, values: list[Any]) -> tuple[Any, list[Any]]:
        results = _run(walk, body, [*values, *others])
        return going(results), results

    world = _world([*carried, *others])
    loop = torch_loops.Loop(None, going(carried), list(carried), world, turn)
    return torch_loops.run_loop(walk.lowering, loop)


def _run(walk: Walk, graph: Any, operands: Sequence[Any]) -> list[Any]:
    holders = [n.name for n in graph.graph.nodes if n.op == "placeholder"]
    found = walk.run(graph, dict(zip(holders, operands, strict=True)))
    return list(found) if isinstance(found, list | tuple) else [found]


def _world(values: Sequence[Any]) -> World:
    return World({str(i): v for i, v in enumerate(values)})


CONTROL = {"cond": cond, "while_loop": while_loop}
