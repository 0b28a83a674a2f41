"""Sizes of an exported program: torch's symbols become ours, and equations between sizes are solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import TranspileError
from ..ir.dims import Expr, floordiv, maximum, minimum, symbol, symbols

Dim = int | Expr


def to_dim(size: Any, known: Mapping[str, Dim]) -> Dim:
    """The dim of a size of a fake tensor (an int or a SymInt); symbols come from `known`."""
    if isinstance(size, int):
        return size
    return from_sympy(size.node.expr, known)


def from_sympy(expr: Any, known: Mapping[str, Dim]) -> Dim:
    """A sum of products of symbols, with floor divisions, minima and maxima."""
    if expr.is_Integer:
        return int(expr)
    if expr.is_Symbol:
        return known.get(str(expr), symbol(str(expr)))
    args = [from_sympy(a, known) for a in expr.args]
    kind = type(expr).__name__
    total = args[0]
    match kind:
        case "Add":
            for arg in args[1:]:
                total = total + arg
            return total
        case "Mul":
            for arg in args[1:]:
                total = total * arg
            return total
        case "Pow" if isinstance(args[1], int) and args[1] > 0:
            for _ in range(args[1] - 1):
                total = total * args[0]
            return total
        case "FloorDiv" | "CleanDiv":
            return floordiv(args[0], args[1])
        case "Mod" | "PythonMod":
            return args[0] % args[1]
        case "Max":
            return maximum(*args)
        case "Min":
            return minimum(*args)
    raise TranspileError(f"an input has the size {expr}, which is no arithmetic of sizes")


def hint_of(size: Any) -> int:
    """The size at capture."""
    return size if isinstance(size, int) else int(size.node.hint)


# ---- equations


def solve(left: Dim, right: Dim) -> dict[str, Dim] | None:
    """Values for symbols under which the two sizes are equal; None where there is no simple solution."""
    for a, b in ((left, right), (right, left)):
        bound = _bounded(a, b)
        if bound is not None:
            return bound
    difference = left - right
    if isinstance(difference, int):
        return {} if difference == 0 else None
    common = _without_common_factor(difference)
    return _linear(common)


def _bounded(a: Dim, b: Dim) -> dict[str, Dim] | None:
    """`min(512, L) == L` bounds L from above, `min(3, L) == 3` from below."""
    if not isinstance(a, Expr) or len(a.terms) != 1 or a.terms[0][1] != 1:
        return None
    monomial = a.terms[0][0]
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    if getattr(atom, "kind", "") not in ("min", "max") or len(atom.args) != 2 or b not in atom.args:
        return None
    other = next((x for x in atom.args if x != b), None)
    lower = (atom.kind == "max") == isinstance(b, Expr)  # b is the larger of the two
    size, limit = (b, other) if isinstance(b, Expr) else (other, b)
    if not isinstance(limit, int) or not isinstance(size, Expr):
        return None
    name = _single(size)
    if name is None:
        return None
    sym = next(iter(symbols(size)))
    if lower:
        return {name: symbol(name, max(sym.low, limit), sym.high)}
    return {name: symbol(name, sym.low, limit if sym.high is None else min(limit, sym.high))}


def _single(size: Expr) -> str | None:
    names = [s.name for s in symbols(size)]
    return names[0] if len(names) == 1 and str(size) == names[0] else None


def _without_common_factor(difference: Expr) -> Expr:
    """`64*B*L - 64*B*T` is zero where `L - T` is: sizes are positive."""
    factors = set(dict(difference.terms[0][0]))
    for monomial, _ in difference.terms[1:]:
        factors &= set(dict(monomial))
    for atom in sorted((f for f in factors if not hasattr(f, "kind")), key=lambda f: f.key):
        reduced = tuple(
            (tuple((a, p - (a == atom)) for a, p in m if p - (a == atom)), c)
            for m, c in difference.terms
        )
        total: Dim = 0
        for monomial, coefficient in reduced:
            total = total + (Expr(((monomial, coefficient),)) if monomial else coefficient)
        if isinstance(total, Expr):
            return _without_common_factor(total)
    return difference


def _linear(difference: Expr) -> dict[str, Dim] | None:
    """A symbol that occurs once, as `c * symbol`, and is a whole number in terms of the others."""
    plain = [
        (m[0][0].name, c)
        for m, c in difference.terms
        if len(m) == 1 and m[0][1] == 1 and hasattr(m[0][0], "name")
    ]
    for name, coefficient in sorted(plain, reverse=True):
        rest = difference - symbol_of(difference, name) * coefficient
        if isinstance(rest, Expr) and name in {s.name for s in symbols(rest)}:
            continue
        value = floordiv(-rest, coefficient) if coefficient > 0 else floordiv(rest, -coefficient)
        exact = value * coefficient == -rest
        if exact and (isinstance(value, Expr) or value > 0):
            return {name: value}
    return None


def symbol_of(dim: Expr, name: str) -> Expr:
    """The symbol with its bounds, as it stands in the expression."""
    sym = next(s for s in symbols(dim) if s.name == name)
    return symbol(name, sym.low, sym.high)
