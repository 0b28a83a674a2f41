"""`prim::If` and `prim::Loop`: resolved and written out where that is known, else the domain's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import TranspileError
from . import host
from .plan import Block, Instruction
from .torch_loops import Peel
from .walk import Frame, Walk, where

_MOST_TURNS = 100_000


def branch(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    if walk.domain.decided(values[0]):
        return _either(walk, frame, op, values[0])
    truth = walk.domain.truth(values[0], f"a branch at {where(frame, op)}")
    if truth is None:
        return _every_branch(walk, frame, op, values[0])
    return walk.block(op.blocks[0 if truth else 1], frame, [])


def _either(walk: Walk, frame: Frame, op: Instruction, condition: Any) -> list[Any]:
    """Both sides, by a condition that the data decides."""
    calls = Counter(walk.calls)

    def side(block: Block) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            walk.calls = Counter(calls)
            return walk.block(block, frame, [])

        return run

    return walk.domain.branch(condition, frame.env, [side(block) for block in op.blocks])


def _every_branch(walk: Walk, frame: Frame, op: Instruction, unknown: Any) -> list[Any]:
    """All branches, for what they lack: the condition hangs on a call that could not be lowered."""
    for block in op.blocks:
        with suppress(TranspileError):
            walk.block(block, frame, [])
    return [unknown] * len(op.outputs)


def loop(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    """Turn by turn where it is known when to stop, and that is soon; else as a loop of the domain.

    A long one that is no loop of the domain is written out all the same.
    """
    for unknown in values[:2]:
        if walk.domain.is_unknown(unknown):
            return _every_branch(walk, frame, op, unknown)
    start = walk.domain.mark(frame.env, walk.calls)
    found = _unrolled(walk, frame, op, values, start, short=True)
    if found is not None:
        return found
    walk.calls = walk.domain.rewind(start)
    try:
        return _turns(walk, frame, op, values)
    except TranspileError:
        walk.calls = walk.domain.rewind(start)
        found = _unrolled(walk, frame, op, values, start, short=False)
        if found is None:
            raise
        return found


def _unrolled(
    walk: Walk, frame: Frame, op: Instruction, values: list[Any], start: Any, short: bool
) -> list[Any] | None:
    """The carried variables; None where the end is not known, or (if `short`) far away."""
    count, running, *carried = values
    what, turn = f"a loop at {where(frame, op)}", 0
    while not walk.domain.open_ended(count, running, turn if short else 0, start):
        if not (turn < count and walk.domain.truth(running, what)):
            return carried
        running, *carried = walk.block(op.blocks[0], frame, [turn, *carried])
        turn += 1
        if turn > _MOST_TURNS:
            raise TranspileError(f"{what} runs more than {_MOST_TURNS} times")
    return None


def _turns(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    count, running, *carried = values
    calls = Counter(walk.calls)

    def body(turn: Any, variables: list[Any]) -> tuple[Any, list[Any]]:
        walk.calls = Counter(calls)
        going, *results = walk.block(op.blocks[0], frame, [turn, *variables])
        return going, results

    try:
        return walk.domain.loop(count, running, carried, frame.env, body)
    except Peel as reason:
        if not walk.domain.has_turn(count, running):
            raise
        running, carried = body(0, carried)
        if walk.domain.is_unknown(running):
            raise
        shifted = lambda turn, variables: body(turn + 1, variables)  # noqa: E731
        try:
            return walk.domain.loop(host.subtract(count, 1), running, carried, frame.env, shifted)
        except Peel:
            raise TranspileError(reason.what, where=where(frame, op)) from None
