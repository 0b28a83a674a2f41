"""What making two sizes equal says about their symbols: pure functions of dims.

`equations.py` decides with them what the sizes of a captured call allow, `onnx_dims.py` what an
ONNX file allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..ir import Unequal
from ..ir.dims import (
    Atom,
    Expr,
    Sym,
    bounds,
    data_decides,
    divide_exact,
    maximum,
    rebuild,
    substitute,
    symbol,
    symbols,
)

Dim = int | Expr
Limits = tuple[int, int | None]
_MOST_EXTREMES = 8
_LARGEST = 1 << 40  # no size is larger


def chosen_extremes(difference: Dim) -> Iterator[list[Dim]]:
    """Each way in which minima and maxima that are one of their arguments make the difference 0.

    A way is the list of dims that must be at least 0 for it. Those that choose once come first.
    """
    atoms = sorted(_extremes(difference), key=str)
    for atom in atoms:
        for chosen in atom.args:
            if _put(difference, atom, chosen) == 0:
                yield _chosen_if(atom, chosen)
    if 1 < len(atoms) <= _MOST_EXTREMES:
        yield from _chosen_together(difference, [])


def _chosen_together(difference: Dim, needs: list[Dim]) -> Iterator[list[Dim]]:
    """The same for extremes that are chosen one after the other, the innermost first."""
    if difference == 0:
        yield needs
        return
    inner = [a for a in _extremes(difference) if not any(_extremes(arg) for arg in a.args)]
    for atom in sorted(inner, key=str)[:1]:
        for chosen in atom.args:
            further = _chosen_if(atom, chosen)
            yield from _chosen_together(_put(difference, atom, chosen), needs + further)


def _chosen_if(atom: Atom, chosen: Dim) -> list[Dim]:
    """What must be at least 0 where the minimum or maximum is this argument."""
    rest = [a for a in atom.args if a != chosen]
    return [a - chosen if atom.kind == "min" else chosen - a for a in rest]


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


def kept_quotients(difference: Dim, at_capture: Callable[[Dim], int]) -> list[Dim]:
    """What must be at least 0 for the quotients in it to keep their captured values.

    Empty where that does not make the difference 0.
    """
    atoms = {
        a
        for monomial, _ in (difference.terms if isinstance(difference, Expr) else ())
        for a, _ in monomial
        if isinstance(a, Atom) and a.kind == "floordiv"
    }
    values = {a: at_capture(_dim(a)) for a in atoms}
    if rebuild(difference, lambda a: values.get(a) if isinstance(a, Atom) else None) != 0:
        return []
    return [d for a, n in sorted(values.items(), key=str) for d in (_dim(a) - n, n - _dim(a))]


def _dim(atom: Atom) -> Expr:
    return Expr(((((atom, 1),), 1),))


def without_common_symbols(difference: Expr) -> Expr:
    """The difference divided by the symbols that are factors of it: sizes are positive."""
    for sym in symbols(difference):
        factor = symbol(sym.name, sym.low, sym.high)
        quotient = divide_exact(difference, factor)
        while isinstance(quotient, Expr):
            difference = quotient
            quotient = divide_exact(difference, factor)
    return difference


def learn_limits(needs: Iterable[Dim], limits: Mapping[str, Limits]) -> dict[str, Limits] | None:
    """New limits of symbols under which every one of the dims is at least 0.

    None where that needs more than limits, or no size is left.
    """
    out: dict[str, Limits] = {}
    for need in needs:
        names = {s.name for s in symbols(need)}
        if not names and isinstance(need, int) and need >= 0:
            continue
        if len(names) != 1:
            return None
        (name,) = names
        found = _limits(need, name, out.get(name, limits.get(name, (1, None))))
        if found is None or (found[1] is not None and found[1] < found[0]):
            return None
        out[name] = found
    return {n: found for n, found in out.items() if found != limits.get(n, (1, None))}


def known_sign(dim: Dim) -> Dim:
    """The dim, never negative: where some sizes make it so, an equation asks for others.

    Nothing is asked where no limits of the symbols help, or the data decides.
    """
    limits = {s.name: (s.low, s.high) for s in symbols(dim)}
    low, _ = bounds(dim)
    if (low is None or low < 0) and not data_decides(dim) and learn_limits([dim], limits):
        raise Unequal(maximum(dim, 0), dim)
    return dim


def _limits(need: Dim, name: str, old: Limits) -> Limits | None:
    """The limits of the dim's only symbol where it must be at least 0: one end of them moves."""
    rises = _direction(need)
    if not rises:
        return None

    def holds(n: int) -> bool:
        value = substitute(need, {name: n})
        return isinstance(value, int) and value >= 0

    low, high = old
    top = _LARGEST if high is None else high
    if rises > 0:
        return (_first(holds, low, top), high) if holds(top) else None
    if not holds(low):
        return None
    last = _first(lambda n: not holds(n), low, top + 1) - 1
    return low, high if last == top else last


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first number from `low` on for which it holds, if it holds from there on; else `high`."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _direction(dim: Dim) -> int:
    """1 where a dim never falls as its symbols grow, -1 where it never rises, 0 where unknown."""
    if isinstance(dim, int):
        return 0
    found = set()
    for monomial, factor in dim.terms:
        if monomial:
            found.add(_monomial_direction([a for a, _ in monomial]) * (1 if factor > 0 else -1))
    return found.pop() if len(found) == 1 else 0


def _monomial_direction(atoms: Sequence[Any]) -> int:
    """Products of sizes grow; a quotient, a minimum or a maximum goes as its arguments do."""
    if all(not isinstance(a, Atom) for a in atoms):
        return 1
    if len(atoms) != 1:
        return 0
    (atom,) = atoms
    if atom.kind == "floordiv":
        return _direction(atom.args[0]) if isinstance(atom.args[1], int) else 0
    found = {_direction(a) for a in atom.args if not isinstance(a, int)}
    return found.pop() if len(found) == 1 else 0


def divisors(dim: Dim) -> list[int]:
    """The numbers by which quotients in the dim divide, in ascending order."""
    found: set[int] = set()

    def visit(atom: Any) -> None:
        if isinstance(atom, Atom):
            if atom.kind == "floordiv" and isinstance(atom.args[1], int):
                found.add(atom.args[1])
            for arg in atom.args:
                rebuild(arg, visit)

    rebuild(dim, visit)
    return sorted(found)


def coefficient(dim: Expr, sym: Sym) -> Dim | None:
    """The factor of the symbol where the dim is linear in it and it hides in no atom, else None."""
    slope: Dim = 0
    for monomial, factor in dim.terms:
        power = sum(p for atom, p in monomial if atom == sym)
        inside = any(
            sym in symbols(a) for atom, _ in monomial if isinstance(atom, Atom) for a in atom.args
        )
        if power > 1 or inside:
            return None
        if power == 1:
            rest = tuple((atom, p) for atom, p in monomial if atom != sym)
            slope = slope + (Expr(((rest, factor),)) if rest else factor)
    return slope


def falls(dim: Expr) -> bool:
    """Whether the dim gets smaller as its symbol gets larger."""
    slopes = [coefficient(dim, s) for s in symbols(dim)]
    return any(isinstance(slope, int) and slope < 0 for slope in slopes)


def solution(difference: Dim, sym: Sym) -> Dim | None:
    """The value of the symbol that makes the difference zero, where it is an expression."""
    if isinstance(difference, int):
        return None
    slope = coefficient(difference, sym)
    if slope is None or slope == 0:
        return None
    rest = substitute(difference, {sym.name: 0})
    return divide_exact(-rest, slope)
