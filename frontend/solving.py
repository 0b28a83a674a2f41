"""What making two sizes equal says about their symbols: pure functions of dims.

`equations.py` decides with them what the sizes of a captured call allow, `onnx_dims.py` what an
ONNX file allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..ir.dims import Atom, Expr, divide_exact, rebuild, symbol, symbols

Dim = int | Expr
Limits = tuple[int, int | None]


def chosen_extremes(difference: Dim) -> Iterator[list[Dim]]:
    """Each way in which a minimum or maximum that is one of its arguments makes the difference 0.

    A way is the list of dims that must be at least 0 for it.
    """
    for atom in sorted(_extremes(difference), key=str):
        for chosen in atom.args:
            if _put(difference, atom, chosen) == 0:
                rest = [a for a in atom.args if a != chosen]
                yield [a - chosen if atom.kind == "min" else chosen - a for a in rest]


def _extremes(dim: Dim) -> set[Atom]:
    found: set[Atom] = set()

    def visit(atom: Any) -> None:
        if isinstance(atom, Atom):
            if atom.kind in ("min", "max"):
                found.add(atom)
            for arg in atom.args:
                rebuild(arg, visit)

    if isinstance(dim, Expr):
        rebuild(dim, visit)
    return found


def _put(dim: Dim, atom: Atom, value: Dim) -> Dim:
    """The dim with the atom replaced."""
    return rebuild(dim, lambda a: value if a == atom else None)


def without_common_symbols(difference: Expr) -> Expr:
    """The difference divided by the symbols that are factors of it: sizes are positive."""
    for sym in symbols(difference):
        factor = symbol(sym.name, sym.low, sym.high)
        quotient = divide_exact(difference, factor)
        while isinstance(quotient, Expr):
            difference = quotient
            quotient = divide_exact(difference, factor)
    return difference


def at_least_zero(limits: Limits, constant: int, slope: int) -> Limits:
    """The limits of n where constant + slope * n must be at least 0. slope: not 0."""
    low, high = limits
    if slope > 0:
        return max(low, -(constant // slope)), high
    bound = constant // -slope
    return low, bound if high is None else min(high, bound)
