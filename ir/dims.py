"""Symbolic sizes: integers and polynomials with integer coefficients over named symbols.

A dim is an `int` or an `Expr`. An `Expr` is kept in one normal form (a sorted sum of
monomials whose atoms are symbols, floor divisions, minima and maxima), so that equal
expressions compare equal. Every symbol is a size: a positive integer, with optional
bounds that minima, maxima and floor divisions use to simplify themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, reduce
from math import gcd, lcm

Dim = "int | Expr"


@dataclass(frozen=True)
class Sym:
    """A named size between `low` and `high` (inclusive; None is unbounded)."""

    name: str
    low: int = 1
    high: int | None = None

    @property
    def key(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Atom:
    """`floordiv(a, b)`, `min(a, b, ...)` or `max(a, b, ...)`, not reducible any further."""

    kind: str
    args: tuple[int | Expr, ...]

    @cached_property
    def key(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.kind == "floordiv":
            return f"{_group(self.args[0])}//{_group(self.args[1])}"
        return f"{self.kind}({', '.join(map(str, self.args))})"


Monomial = tuple[tuple["Sym | Atom", int], ...]


class Expr:
    """A sum of monomials: not a constant (those are plain ints)."""

    __slots__ = ("__dict__", "terms")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]):
        self.terms = terms

    def __add__(self, other: int | Expr) -> int | Expr:
        sums = dict(self.terms)
        for monomial, coefficient in _terms(other):
            sums[monomial] = sums.get(monomial, 0) + coefficient
        return _make(sums)

    __radd__ = __add__

    def __neg__(self) -> int | Expr:
        return self * -1

    def __sub__(self, other: int | Expr) -> int | Expr:
        return self + (-other)

    def __rsub__(self, other: int | Expr) -> int | Expr:
        return -self + other

    def __mul__(self, other: int | Expr) -> int | Expr:
        products: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = _multiply(left, right)
                products[monomial] = products.get(monomial, 0) + a * b
        return _make(products)

    __rmul__ = __mul__

    def __floordiv__(self, other: int | Expr) -> int | Expr:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> int | Expr:
        return floordiv(other, self)

    def __mod__(self, other: int | Expr) -> int | Expr:
        return self - other * floordiv(self, other)

    def __rmod__(self, other: int) -> int | Expr:
        return other - self * floordiv(other, self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and self.terms == other.terms

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _text(self) -> str:
        return _format(self.terms)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def symbol(name: str, low: int = 1, high: int | None = None) -> Expr:
    """The size called `name`."""
    return lone(Sym(name, low, high))


def _terms(dim: int | Expr) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(dim, Expr):
        return dim.terms
    return (((), dim),) if dim else ()


def _make(sums: Mapping[Monomial, int]) -> int | Expr:
    terms = tuple(sorted(((m, c) for m, c in sums.items() if c), key=lambda t: _order(t[0])))
    if not terms:
        return 0
    if len(terms) == 1 and terms[0][0] == ():
        return terms[0][1]
    return Expr(terms)


def _order(monomial: Monomial) -> tuple[int, list[tuple[str, int]]]:
    """Sort key: higher degree first, then by name; the constant comes last."""
    degree = sum(power for _, power in monomial)
    return (-degree, [(atom.key, power) for atom, power in monomial])


def _multiply(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for atom, power in right:
        powers[atom] = powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].key))


def _format(terms: tuple[tuple[Monomial, int], ...]) -> str:
    out = ""
    for monomial, coefficient in terms:
        factors = [_factor(atom) for atom, power in monomial for _ in range(power)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        sign = "-" if coefficient < 0 else "+"
        text = "*".join(factors)
        out += f" {sign} {text}" if out else (f"-{text}" if sign == "-" else text)
    return out


def _factor(atom: Sym | Atom) -> str:
    text = str(atom)
    return f"({text})" if isinstance(atom, Atom) and atom.kind == "floordiv" else text


def _group(dim: int | Expr) -> str:
    simple = isinstance(dim, int) or (
        len(dim.terms) == 1 and dim.terms[0][1] == 1 and len(dim.terms[0][0]) == 1
    )
    return str(dim) if simple else f"({dim})"


# ---- division, minimum, maximum


def divide_exact(a: int | Expr, b: int | Expr) -> int | Expr | None:
    """`a / b` where it is a polynomial with integer coefficients, else None."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    if b == 0:
        return None
    quotient: int | Expr = 0
    rest: int | Expr = a
    lead_monomial, lead = _terms(b)[0]
    for _ in range(64):
        if rest == 0:
            return quotient
        monomial, coefficient = _terms(rest)[0]
        factor = _divide_monomial(monomial, lead_monomial)
        if factor is None or coefficient % lead:
            return None
        step = _make({factor: coefficient // lead})
        quotient, rest = quotient + step, rest - b * step
    return None


def _divide_monomial(a: Monomial, b: Monomial) -> Monomial | None:
    powers = dict(a)
    for atom, power in b:
        powers[atom] = powers.get(atom, 0) - power
        if powers[atom] < 0:
            return None
    return tuple((atom, power) for atom, power in powers.items() if power)


def floordiv(a: int | Expr, b: int | Expr) -> int | Expr:
    """Floor division. Terms divisible by `b` leave the division: (4*L + 3)//4 is L."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    exact = divide_exact(a, b)
    if exact is not None:
        return exact
    if isinstance(b, int) and b < 0:
        return floordiv(-a, -b)
    if isinstance(b, int):
        whole = {m: c // b for m, c in _terms(a) if c % b == 0}
        rest = _make({m: c for m, c in _terms(a) if c % b})
        if whole or isinstance(rest, int):
            return _make(whole) + floordiv(rest, b)
        constant = dict(rest.terms).get((), 0)
        if constant >= b or constant < 0:  # (L + 9)//4 is (L + 1)//4 + 2
            return floordiv(rest - constant + constant % b, b) + constant // b
        low, high = bounds(rest)
        if low is not None and high is not None and low // b == high // b:
            return low // b
        nested = _nested_division(rest, b)
        if nested is not None:
            return nested
        a = rest
    elif isinstance(a, Expr):
        common = _common_factor(a, b)
        if common != 1:
            return floordiv(_divided(a, common), _divided(b, common))
    quotient = Atom("floordiv", (a, b))
    low, high = _atom_bounds(quotient) if isinstance(b, Expr) else (None, None)
    return low if low is not None and low == high else lone(quotient)


def _common_factor(a: Expr, b: Expr) -> int | Expr:
    """What all terms of both have as a factor: (6*B*H)//(4*B) is (3*H)//2."""
    terms = (*a.terms, *b.terms)
    shared = dict(terms[0][0])
    for monomial, _ in terms[1:]:
        powers = dict(monomial)
        shared = {atom: min(p, powers[atom]) for atom, p in shared.items() if atom in powers}
    factor = gcd(*(coefficient for _, coefficient in terms))
    return _make({tuple(shared.items()): factor})


def _divided(a: Expr, factor: int | Expr) -> int | Expr:
    quotient = divide_exact(a, factor)
    assert quotient is not None  # it is a factor of every term
    return quotient


def _nested_division(a: Expr, b: int) -> int | Expr | None:
    """(x//m + k)//b is (x + k*m)//(m*b)."""
    atoms = [
        m
        for m, c in a.terms
        if c == 1 and len(m) == 1 and m[0][1] == 1 and isinstance(m[0][0], Atom)
    ]
    if len(atoms) != 1 or any(m not in ((), atoms[0]) for m, _ in a.terms):
        return None
    atom = atoms[0][0][0]
    if not isinstance(atom, Atom) or atom.kind != "floordiv" or not isinstance(atom.args[1], int):
        return None
    constant = dict(a.terms).get((), 0)
    return floordiv(atom.args[0] + constant * atom.args[1], atom.args[1] * b)


def divided_further(atom: Atom, other: Atom, size: int | Expr) -> int | Expr | None:
    """The division by means of another's value `size`, where it divides that quotient further:
    (x + k*m)//(m*b) is (x//m + k)//b.
    """
    if {atom.kind, other.kind} != {"floordiv"}:
        return None
    divisor = divide_exact(atom.args[1], other.args[1])
    offset = divide_exact(atom.args[0] - other.args[0], other.args[1])
    if not isinstance(divisor, int) or divisor < 2 or not isinstance(offset, int):
        return None
    return floordiv(size + offset, divisor)


def minimum(*dims: int | Expr) -> int | Expr:
    """The smallest of the dims, simplified by the bounds of the symbols."""
    return _extreme("min", dims, lambda a, b: provably_le(a, b))


def maximum(*dims: int | Expr) -> int | Expr:
    """The largest of the dims, simplified by the bounds of the symbols."""
    return _extreme("max", dims, lambda a, b: provably_le(b, a))


def _extreme(
    kind: str, dims: Iterable[int | Expr], wins: Callable[[int | Expr, int | Expr], bool]
) -> int | Expr:
    kept: list[int | Expr] = []
    for dim in dims:
        if any(wins(k, dim) for k in kept):
            continue
        kept = [k for k in kept if not wins(dim, k)] + [dim]
    if len(kept) == 1:
        return kept[0]
    return lone(Atom(kind, tuple(sorted(kept, key=str))))


def provably_le(a: int | Expr, b: int | Expr) -> bool:
    """Whether a <= b for all sizes that the symbols allow."""
    low, _ = bounds(b - a)
    if (low is not None and low >= 0) or _reaches_zero(b - a):
        return True
    left, right = _lone_extreme(a), _lone_extreme(b)
    if left is not None and left.kind == "max":
        return all(provably_le(x, b) for x in left.args)
    if right is not None and right.kind == "min":
        return all(provably_le(a, x) for x in right.args)
    if left is not None and any(provably_le(x, b) for x in left.args):
        return True
    return right is not None and any(provably_le(a, x) for x in right.args)


def _reaches_zero(dim: int | Expr) -> bool:
    """Whether the dim is at least 0 for one argument of an extreme in it: `L - min(L, N)`."""
    for monomial, factor in _terms(dim):
        atom = _lone_extreme(_make({monomial: 1}))
        if atom is None or factor != (-1 if atom.kind == "min" else 1):
            continue
        rest = dim - _make({monomial: factor})
        lows = [bounds(rest + factor * a)[0] for a in atom.args]
        if any(low is not None and low >= 0 for low in lows):
            return True
    return False


def _lone_extreme(dim: int | Expr) -> Atom | None:
    """The minimum or maximum that the dim is, where it is one and nothing else."""
    if isinstance(dim, int) or len(dim.terms) != 1 or dim.terms[0][1] != 1:
        return None
    ((atom, power), *others) = dim.terms[0][0]
    lone = not others and power == 1 and isinstance(atom, Atom) and atom.kind in ("min", "max")
    return atom if lone else None  # type: ignore[return-value]


@lru_cache(maxsize=1 << 16)  # minima and maxima ask for the same bounds over and over
def bounds(dim: int | Expr) -> tuple[int | None, int | None]:
    """Bounds of the value, by interval arithmetic; None is unknown."""
    low, high = _interval(dim)
    low_, high_ = _remainder_bounds(dim)
    low, high = _tighter(max, low, low_), _tighter(min, high, high_)
    low_, high_ = _rising_bounds(dim)
    low, high = _tighter(max, low, low_), _tighter(min, high, high_)
    if (low is None or low < 0) and (high is None or high > 0):
        low_, high_ = _scaled_bounds(dim)
        low, high = _tighter(max, low, low_), _tighter(min, high, high_)
    return low, high


def _rising_bounds(dim: int | Expr) -> tuple[int | None, int | None]:
    """`q - q//n` never falls as q rises: its bounds are those at the bounds of q."""
    terms = [(m[0][0], c) for m, c in _terms(dim) if len(m) == 1 and m[0][1] == 1]
    if len(terms) != 2 or len(_terms(dim)) > 3:
        return None, None
    for (part, many), (of, less) in (terms, terms[::-1]):
        sign = 1 if many > 0 else -1
        ratio = _divided_by(of, part)
        if ratio is None or sign * less > 0 or sign * (many + less) < 0:
            continue
        rest = sum(c for m, c in _terms(dim) if not m)
        low, high = (
            None if end is None else many * end + less * (end // ratio) + rest
            for end in bounds(lone(part))[::sign]
        )
        return low, high
    return None, None


def _divided_by(atom: Sym | Atom, other: Sym | Atom) -> int | None:
    """The n where the atom is `other//n`."""
    if not isinstance(atom, Atom) or atom.kind != "floordiv" or not isinstance(atom.args[1], int):
        return None
    whole, divisor = lone(other), atom.args[1]
    if isinstance(other, Atom) and other.kind == "floordiv" and isinstance(other.args[1], int):
        same = atom.args[0] == other.args[0] and divisor % other.args[1] == 0
        return divisor // other.args[1] if same and other.args[1] > 0 < divisor else None
    return divisor if atom.args[0] == whole and divisor > 0 else None


def _scaled_bounds(dim: int | Expr) -> tuple[int | None, int | None]:
    """Where `a//m - a//n` occurs: so many times the dim has remainders instead of quotients."""
    found = [
        a.args[1]
        for monomial, _ in _terms(dim)
        for a, power in monomial
        if len(monomial) == 1 and power == 1 and isinstance(a, Atom) and a.kind == "floordiv"
    ]
    divisors = [d for d in found if isinstance(d, int) and d > 1]
    if len(found) != 2 or len(divisors) != 2:
        return None, None
    scale = lcm(*divisors)
    low, high = _remainder_bounds(dim * scale)
    return None if low is None else -(-low // scale), None if high is None else high // scale


def _remainder_bounds(dim: int | Expr) -> tuple[int | None, int | None]:
    """Where a multiple of `c` times `a//c` occurs: `c * (a//c)` is `a` less a remainder below
    `c`.
    """
    low: int | None = None
    high: int | None = None
    for monomial, coefficient in _terms(dim):
        atom = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if not isinstance(atom, Atom) or atom.kind != "floordiv":
            continue
        divisor = atom.args[1]
        shared = gcd(coefficient, divisor) if isinstance(divisor, int) and divisor > 0 else 1
        if shared == 1:
            continue
        inner = floordiv(atom.args[0], divisor // shared)  # a//8 is (a//2)//4
        factor = coefficient // shared
        least, most = bounds(dim - _make({monomial: coefficient}) + factor * inner)
        rest = factor * (shared - 1)
        low = _tighter(max, low, None if least is None else least - max(rest, 0))
        high = _tighter(min, high, None if most is None else most - min(rest, 0))
    return low, high


def _tighter(pick: Callable[[int, int], int], a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else pick(a, b)


def _interval(dim: int | Expr) -> tuple[int | None, int | None]:
    low: int | None = 0
    high: int | None = 0
    for monomial, coefficient in _terms(dim):
        least, most = _monomial_bounds(monomial)
        if coefficient < 0:
            least, most = most, least
        low = None if low is None or least is None else low + coefficient * least
        high = None if high is None or most is None else high + coefficient * most
    return low, high


def _monomial_bounds(monomial: Monomial) -> tuple[int | None, int | None]:
    if len(monomial) == 1 and monomial[0][1] == 1:
        return _atom_bounds(monomial[0][0])
    low: int = 1
    high: int | None = 1
    for atom, power in monomial:
        least, most = _atom_bounds(atom)
        if least is None or least < 0:
            return None, None
        low *= least**power
        high = None if high is None or most is None else high * most**power
    return low, high


def _quotient_bounds(
    a: tuple[int | None, int | None], b: tuple[int | None, int | None]
) -> tuple[int | None, int | None]:
    """Bounds of a // b for b > 0."""
    least, most = b
    if least is None or least <= 0:
        return None, None
    low: int | None = None
    if a[0] is not None and least == most:
        low = a[0] // least
    elif a[0] is not None and a[0] >= 0:
        low = 0 if most is None else a[0] // most
    elif a[0] is not None:
        low = a[0] // least
    if a[1] is None:
        return low, None
    if a[1] < 0 and least != most:
        return low, -1
    return low, a[1] // least


def _atom_bounds(atom: Sym | Atom) -> tuple[int | None, int | None]:
    if isinstance(atom, Sym):
        return atom.low, atom.high
    pairs = [bounds(a) for a in atom.args]
    lows, highs = [p[0] for p in pairs], [p[1] for p in pairs]
    if atom.kind == "floordiv":
        return _quotient_bounds((lows[0], highs[0]), (lows[1], highs[1]))
    known_low = [v for v in lows if v is not None]
    known_high = [v for v in highs if v is not None]
    if atom.kind == "max":
        return (max(known_low) if known_low else None), (
            max(known_high) if len(known_high) == len(highs) else None
        )
    return (min(known_low) if len(known_low) == len(lows) else None), (
        min(known_high) if known_high else None
    )


# ---- reading


def symbols(dim: int | Expr) -> set[Sym]:
    """All symbols in the expression, those inside divisions too."""
    found: set[Sym] = set()
    for monomial, _ in _terms(dim):
        for atom, _ in monomial:
            if isinstance(atom, Sym):
                found.add(atom)
            else:
                found |= set().union(*(symbols(a) for a in atom.args))
    return found


def atoms(dim: int | Expr) -> list[Sym | Atom]:
    """The symbols and quotients, minima and maxima that the sum is made of, each once, in order."""
    return list(dict.fromkeys(atom for monomial, _ in _terms(dim) for atom, _ in monomial))


def line(dim: int | Expr) -> tuple[Sym, int, int] | None:
    """`4*L - 3` as (L, 4, -3): a dim that grows evenly with its only symbol; None for any other."""
    found = list(symbols(dim))
    if len(found) != 1 or any(isinstance(a, Atom) for a in atoms(dim)):
        return None
    start, end = (evaluate(dim, {found[0].name: n}) for n in range(2))
    even = end > start and dim == (end - start) * lone(found[0]) + start
    return (found[0], end - start, start) if even else None


def lone(atom: Sym | Atom) -> Expr:
    """The atom as a dim."""
    return Expr(((((atom, 1),), 1),))


def in_terms_of(dim: int | Expr, whole: Expr, size: Expr) -> int | Expr:
    """The sum with `size` for a part of it that is a multiple of `whole`."""
    given = dict(_terms(dim))
    ratios = {divide_exact(given.get(m, 0), c) for m, c in whole.terms if m}
    ratio = ratios.pop() if len(ratios) == 1 else None
    return dim + ratio * (size - whole) if isinstance(ratio, int) else dim


def divisions(dim: int | Expr) -> set[Atom]:
    """The floor divisions that stand in the sum by themselves."""
    return {a for a in atoms(dim) if isinstance(a, Atom) and a.kind == "floordiv"}


def data_decides(*dims: int | Expr) -> bool:
    """Whether a size that the inputs' shapes do not give has a part in them: it may be 0."""
    return any(s.low == 0 for dim in dims for s in symbols(dim))


def rebuild(dim: int | Expr, leaf: Callable[[Sym | Atom], int | Expr | None]) -> int | Expr:
    """The expression with atoms replaced where `leaf` gives a dim, simplified again."""
    total: int | Expr = 0
    for monomial, coefficient in _terms(dim):
        product: int | Expr = coefficient
        for atom, power in monomial:
            value = _rebuild_atom(atom, leaf)
            product = reduce(lambda p, _, v=value: p * v, range(power), product)
        total = total + product
    return total


def _rebuild_atom(atom: Sym | Atom, leaf: Callable[[Sym | Atom], int | Expr | None]) -> int | Expr:
    replaced = leaf(atom)
    if replaced is not None:
        return replaced
    if isinstance(atom, Sym):
        return lone(atom)
    return apply(atom.kind, [rebuild(a, leaf) for a in atom.args])


def apply(kind: str, args: list[int | Expr]) -> int | Expr:
    """The quotient, minimum or maximum of the dims."""
    if kind == "floordiv":
        return floordiv(args[0], args[1])
    return (minimum if kind == "min" else maximum)(*args)


def multiply_out(dim: int | Expr, exact: Container[Atom]) -> int | Expr:
    """`8*(L//2)` as `4*L` and `2*(L//8)` as `L//4`, where `exact` holds the floor divisions that
    leave no remainder.
    """
    total: int | Expr = 0
    for monomial, coefficient in _terms(dim):
        product: int | Expr = 1
        whole = [atom for atom, power in monomial for _ in range(power) if atom in exact]
        for atom in (atom for atom, power in monomial for _ in range(power)):
            factor: int | Expr
            if isinstance(atom, Sym):
                factor = lone(atom)
            elif atom in exact and isinstance(rest := divide_exact(coefficient, atom.args[1]), int):
                factor, coefficient = atom.args[0], rest
            elif len(whole) == 1 and atom in exact and isinstance(atom.args[1], int):
                shared = gcd(coefficient, atom.args[1])
                factor = floordiv(atom.args[0], atom.args[1] // shared)
                coefficient //= shared
            else:
                factor = apply(atom.kind, [multiply_out(a, exact) for a in atom.args])
            product = product * factor
        total = total + product * coefficient
    return total


def substitute(dim: int | Expr, sizes: Mapping[str, int | Expr]) -> int | Expr:
    """The expression with symbols replaced by name."""
    if isinstance(dim, int):
        return dim
    return rebuild(dim, lambda atom: sizes.get(atom.name) if isinstance(atom, Sym) else None)


def evaluate(dim: int | Expr, sizes: Mapping[str, int]) -> int:
    """The value at the given sizes; KeyError names a symbol that has none."""
    value = substitute(dim, sizes)
    if isinstance(value, int):
        return value
    raise KeyError(", ".join(sorted(s.name for s in symbols(value))))


def product(dims: Iterable[int | Expr]) -> int | Expr:
    """The product of the dims (1 for none)."""
    total: int | Expr = 1
    for dim in dims:
        total = total * dim
    return total


_BINARY: dict[type, Callable[[int | Expr, int | Expr], int | Expr]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: floordiv,
    ast.Mod: lambda a, b: a % b,
}


def parse_dim(node: ast.expr | str, known: Mapping[str, int | Expr]) -> int | Expr:
    """A dim from Python syntax; names come from `known` (unknown ones become plain symbols)."""
    if isinstance(node, str):
        node = ast.parse(node, mode="eval").body
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name):
            return known.get(name, symbol(name))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -parse_dim(operand, known)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](parse_dim(left, known), parse_dim(right, known))
        case ast.Call(func=ast.Name(id=("min" | "max") as kind), args=args):
            return (minimum if kind == "min" else maximum)(*(parse_dim(a, known) for a in args))
    raise ValueError(f"not a dim: {ast.unparse(node)}")
