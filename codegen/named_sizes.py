"""Quotients that a method reads several times get a name: `L4 = -(-L // 4)`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from ..ir import dims
from ..ir.dims import Atom, Expr, Sym
from ..ir.types import Tensor
from .size_text import is_remainder
from .slots import TOKEN
from .statements import Named, Statement

if TYPE_CHECKING:
    from .body import Body
    from .local_dims import LocalDims

OFTEN = 3  # as many places with the quotient are harder to read than its name


def name_sizes(body: Body) -> None:
    """Put a statement before the others for each such quotient of sizes of the arguments."""
    if sum(code.count("//") for _, code in body.lines) < OFTEN:
        return
    counts = Counter(
        atom
        for s in body.statements
        for dim in _sizes(s)
        if not is_remainder(dim)
        for atom in dims.divisions(dim)
    )
    named = {a: _name(body.sizes, a) for a, n in counts.items() if n >= OFTEN and _known(a, body)}
    if not named:
        return
    sizes: dict[Any, Any] = {atom: sign * size for atom, (size, sign) in named.items()}
    made: list[Statement] = [
        Named(size, sign * dims.lone(atom)) for atom, (size, sign) in named.items()
    ]

    def over_named(dim: Expr) -> int | Expr:
        return dim if is_remainder(dim) else dims.rebuild(dim, lambda atom: sizes.get(atom))

    kept = [_rewritten(s, over_named) for s in body.statements]
    origins = [*body.origins[: body.opened], *([] for _ in made), *body.origins[body.opened :]]
    body.rewrite([*kept[: body.opened], *made, *kept[body.opened :]], origins)


def _known(atom: Atom, body: Body) -> bool:
    """Whether the quotient is one of a size that is there from the start, by a number."""
    sources = body.sizes.sources
    found = [TOKEN.fullmatch(s.name) for s in dims.symbols(dims.lone(atom))]
    first = all(m and sources[int(m[2])].argument >= -1 for m in found)
    return first and len(found) == 1 and isinstance(atom.args[1], int)


def _name(sizes: LocalDims, atom: Atom) -> tuple[Expr, int]:
    """The size that the quotient is called, or its opposite, which counts then."""
    low, high = dims.bounds(dims.lone(atom))
    sign = -1 if high is not None and high <= 0 else 1
    (sym,) = dims.symbols(dims.lone(atom))
    return sizes.name(f"{sym.name}{atom.args[1]}", low if sign > 0 else -(high or 0)), sign


def _sizes(tree: Any) -> Iterator[Expr]:
    """Every size in a statement or tree; types have none of the method's."""
    if isinstance(tree, Expr):
        yield tree
    else:
        for part in _parts(tree):
            yield from _sizes(part)


def _parts(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return list(tree.values())
    if isinstance(tree, tuple | list):
        return list(tree)
    if is_dataclass(tree) and not isinstance(tree, Tensor | Sym | Atom):
        return [getattr(tree, f.name) for f in fields(tree)]
    return []


def _rewritten(tree: Any, size: Callable[[Expr], Any]) -> Any:
    """The statement or tree with other sizes in it."""
    if isinstance(tree, Expr):
        return size(tree)
    if isinstance(tree, dict):
        return {k: _rewritten(v, size) for k, v in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_rewritten(v, size) for v in tree)
    if isinstance(tree, type) or not _parts(tree) or not any(True for _ in _sizes(tree)):
        return tree
    return replace(tree, **{f.name: _rewritten(getattr(tree, f.name), size) for f in fields(tree)})
