"""Bound trees: a row's call tree with its operands, sizes and numbers put in.

Their leaves stand for what the printers of both languages name later: local variables, parts of
the module, slots. A bound tree is language-neutral, as the row's tree is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir import tree as t
from ..ir.dims import Expr
from ..ir.types import DType, Tensor

Bound = Any  # a tree whose operands and widths are replaced by the leaves below


@dataclass(frozen=True)
class Local:
    """A local variable of the body, by its number."""

    index: int


@dataclass(frozen=True)
class Member:
    """A part or weight of the module: steps ("attr" | "index" | "item", name) from `self` on."""

    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SlotRef:
    """A number of the class: `s` in its method, `i` and `o` in its constructor (see slots.py)."""

    index: int
    kind: str = "s"


@dataclass(frozen=True)
class Typed:
    """An array's expression where it stands for the value itself, with the value's type."""

    of: Bound
    type: Tensor


def untyped(tree: Bound) -> Bound:
    """The expression itself, where it stands for a value."""
    return untyped(tree.of) if isinstance(tree, Typed) else tree


@dataclass(frozen=True)
class Apply:
    """A call of a layer, a part, or the variable of a loop."""

    callee: Member | Local
    args: tuple[Bound, ...]


@dataclass(frozen=True)
class Pick:
    """One variable where the turn of a loop is `turn` modulo `period`; else another."""

    counter: Local
    period: int
    turn: int
    then: Local
    otherwise: Local


@dataclass(frozen=True)
class Verbatim:
    """Code in the printer's own language, for an operand of a test."""

    code: str
    binds: int = 100


@dataclass(frozen=True)
class Binder:
    """What stands for operands, dims, widths and numbers; `helper` is told each runtime helper."""

    operand: Callable[[int], Bound]
    dim: Callable[[Expr], Bound]
    width: Callable[[int, int], Bound]
    scalar: Callable[[Any, DType | None], Bound]
    helper: Callable[[str], object] = lambda name: None


def bind(tree: Any, b: Binder) -> Bound:
    """The tree with its leaves replaced, in the order in which they stand."""

    def each(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(bind(i, b) for i in items)

    def named(kwargs: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
        return tuple((k, bind(v, b)) for k, v in kwargs)

    match tree:
        case t.Operand(index):
            return b.operand(index)
        case t.Width(operand, axis):
            return b.width(operand, axis)
        case t.Literal("..."):
            return tree
        case t.Literal(value, dtype):
            return b.scalar(value, dtype)
        case t.TypeRef() | t.Name() | None:
            return tree
        case Expr():
            return b.dim(tree)
        case t.Sequence(items, array_list):
            return t.Sequence(each(items), array_list)
        case t.Call(function, args, kwargs):
            if function.startswith("runtime."):
                b.helper(function.removeprefix("runtime."))
            return t.Call(function, each(args), named(kwargs))
        case t.Method(of, name, args, kwargs):
            return t.Method(bind(of, b), name, each(args), named(kwargs))
        case t.Infix(operator, left, right):
            return t.Infix(operator, bind(left, b), bind(right, b))
        case t.Prefix(operator, of):
            return t.Prefix(operator, bind(of, b))
        case t.Index(of, items):
            return t.Index(bind(of, b), each(items))
        case t.Slice(start, stop, step):
            return t.Slice(bind(start, b), bind(stop, b), step)
        case t.TypeOf(of):
            return t.TypeOf(bind(of, b))
        case t.Element(of, index):
            return t.Element(bind(of, b), index)
        case t.Keyword(name, of, place):
            return t.Keyword(name, bind(of, b), place)
        case _:
            return b.scalar(tree, None)


def plain_scalar(value: Any, dtype: DType | None) -> Bound:
    return t.Literal(value, dtype)


__all__ = [
    "Apply", "Binder", "Bound", "Local", "Member", "SlotRef", "Typed", "Verbatim", "bind",
    "plain_scalar", "untyped",
]  # fmt: skip
