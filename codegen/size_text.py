"""Arithmetic on sizes as Python writes it: `-(-L // 4)`, `-L % 4`, few parentheses."""

from __future__ import annotations

from ..ir import dims
from ..ir.dims import Atom, Expr, Sym

Code = tuple[str, int]  # an expression and how tightly it binds
ATOM, UNARY, PRODUCT, SUM = 100, 80, 70, 60


def size_code(dim: int | Expr) -> Code:
    """The expression of a size."""
    if not isinstance(dim, Expr):
        return str(dim), UNARY if dim < 0 else ATOM
    if len(dim.terms) == 1 and dim.terms[0][1] == 1 and len(dim.terms[0][0]) == 1:
        ((atom, power),) = dim.terms[0][0]
        if power == 1:
            return _atom(atom)
    rest = _remainder(dim)
    if rest:
        return f"{_inside(size_code(rest[0]), PRODUCT)} % {rest[1]}", PRODUCT
    first, *others = sorted(dim.terms, key=lambda term: not term[0] or term[1] < 0)
    out, binds = _product(first[0], abs(first[1]))
    if first[1] < 0:
        plain = binds == ATOM or out[0].isdigit()
        out, binds = f"-{out}" if plain else f"-({out})", min(binds, UNARY) if plain else UNARY
    for monomial, coefficient in others:
        out += f" {'-' if coefficient < 0 else '+'} {_product(monomial, abs(coefficient))[0]}"
        binds = SUM
    return out, binds


def _product(monomial: dims.Monomial, count: int) -> Code:
    """`4 * L * (T // 2)`: a division is in parentheses where something stands before it."""
    ordered = sorted(monomial, key=lambda factor: isinstance(factor[0], Atom))
    factors = [_atom(atom) for atom, power in ordered for _ in range(power)]
    if count != 1 or not factors:
        factors.insert(0, (str(count), ATOM))
    if len(factors) == 1:
        return factors[0]
    start, *rest = factors
    return " * ".join([_inside(start, PRODUCT), *(_inside(f, UNARY) for f in rest)]), PRODUCT


def _atom(atom: Sym | Atom) -> Code:
    if not isinstance(atom, Atom):
        return str(atom), ATOM
    if atom.kind == "floordiv":
        whole, part = (size_code(a) for a in atom.args)
        return f"{_inside(whole, PRODUCT)} // {_inside(part, UNARY)}", PRODUCT
    return f"{atom.kind}({', '.join(size_code(a)[0] for a in atom.args)})", ATOM


def _inside(code: Code, least: int) -> str:
    return code[0] if code[1] >= least else f"({code[0]})"


def is_remainder(dim: Expr) -> bool:
    """Whether the size is written `e % n`."""
    return _remainder(dim) is not None


def _remainder(dim: Expr) -> tuple[int | Expr, int] | None:
    """`(e, n)` where the size is `e % n`, written as a difference.

    That is `e - n * (e // n)`, and with the quotient rounded up `n * ((x + n - 1) // n) - x`,
    which is `-x % n`.
    """
    for atom in dims.atoms(dim):
        if not isinstance(atom, Atom) or atom.kind != "floordiv":
            continue
        whole, part = atom.args
        if not isinstance(part, int):
            continue
        multiple = part * dims.lone(atom)
        if dim == whole - multiple:
            return whole, part
        rest = multiple - dim
        if rest == whole - (part - 1):
            return -rest, part
    return None
