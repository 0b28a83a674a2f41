"""Bounds of input sizes from the guards that torch.export took: beyond them the program is another.

A guard is text such as `(L['x'].size()[2] // 4) + 3 > 4`. Those over one size bound it around its
value at capture; `L['x'].size()[2] % 4 == 0` says what it is a multiple of. Left out: inequalities
that keep a size from being 0 or 1, which are torch's caution and not the model's, and what is said
of several sizes at once.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..ir.dims import Expr, evaluate, parse_dim, symbol, symbols

Dim = int | Expr

_SIZE = re.compile(r"L\['(\w+)'\]\.size\(\)\[(\d+)\]")
_COMPARE: dict[type, Callable[[int, int], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip
_CAUTION = 2  # a size of at least that is one that is not 0 or 1
_MOST = 1 << 20


def guarded_limits(
    guards: Iterable[str], captured: Mapping[str, int]
) -> dict[str, tuple[int, int | None]]:
    """Bounds by name (`x.2`): where all guards on that size hold, around the captured size."""
    limits: dict[str, tuple[int, int | None]] = {}
    for guard in guards:
        names = {f"{m[1]}.{m[2]}" for m in _SIZE.finditer(guard)}
        name = names.pop() if len(names) == 1 else ""
        holds = _condition(_SIZE.sub("size", guard)) if name in captured else None
        try:
            if holds is None or not holds(captured[name]):
                continue
            least, most = _interval(holds, captured[name])
        except ZeroDivisionError:
            continue
        low, high = limits.get(name, (1, None))
        high = most if high is None else high if most is None else min(high, most)
        limits[name] = max(low, least), high
    return limits


def guarded_equations(guards: Iterable[str]) -> Iterator[tuple[str, Dim, str]]:
    """Names (`x.2`) with a dim over the symbol of that name which must be 0, and the guard."""
    for guard in guards:
        names = {f"{m[1]}.{m[2]}" for m in _SIZE.finditer(guard)}
        if len(names) != 1 or "==" not in guard:
            continue
        (name,) = names
        try:
            tree = ast.parse(_SIZE.sub("size", guard), mode="eval").body
            if isinstance(tree, ast.Compare) and [type(op) for op in tree.ops] == [ast.Eq]:
                known = {"size": symbol(name)}
                left, right = (parse_dim(s, known) for s in (tree.left, tree.comparators[0]))
                if {s.name for s in symbols(left - right)} == {name}:
                    yield name, left - right, _SIZE.sub("size", guard)
        except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError):
            continue


def _condition(guard: str) -> Callable[[int], bool] | None:
    """The inequality as a function of the one size; None where it is none, or mere caution."""
    try:
        tree = ast.parse(guard, mode="eval").body
        if not isinstance(tree, ast.Compare) or type(tree.ops[0]) not in _COMPARE or tree.ops[1:]:
            return None
        known = {"size": symbol("size")}
        left, right = (parse_dim(side, known) for side in (tree.left, tree.comparators[0]))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    compare = _COMPARE[type(tree.ops[0])]
    names = {s.name for side in (left, right) for s in symbols(side)}
    if names != {"size"} or _is_caution(tree, compare):
        return None
    return lambda size: compare(evaluate(left, {"size": size}), evaluate(right, {"size": size}))


def _is_caution(tree: ast.Compare, compare: Callable[[int, int], bool]) -> bool:
    """Whether it says that a size is at least 2, or that so many times a size is at least that."""
    least, size = tree.comparators[0], tree.left
    if compare in (operator.lt, operator.le):
        least, size = size, least
    unit = 1
    if isinstance(size, ast.BinOp) and isinstance(size.op, ast.Mult):
        unit = _number(size.left) or 1
    bound = _number(least)
    if bound is None:
        return False
    return bound + (compare in (operator.gt, operator.lt)) <= _CAUTION * unit


def _number(node: ast.expr) -> int | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def _interval(holds: Callable[[int], bool], start: int) -> tuple[int, int | None]:
    """The sizes around `start` where it holds, found by trying; None: no end was met."""
    low = start
    while low > 1 and holds(low - 1):
        low -= 1
    good, bad = start, start
    while bad < _MOST and holds(bad):
        good, bad = bad, 2 * bad
    if holds(bad):
        return low, None
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return low, good
