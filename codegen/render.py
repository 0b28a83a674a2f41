"""Call trees as Python expressions, with parentheses only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from ..ir import tree as t
from ..ir.dims import Expr
from .bound import (
    Apply,
    Binder,
    Bound,
    Local,
    Member,
    Pick,
    SlotRef,
    Typed,
    Verbatim,
    bind,
    plain_scalar,
    untyped,
)
from .size_text import size_code
from .slots import token

ATOM, POWER, UNARY, PRODUCT, SUM, SHIFT, AND, XOR, OR, COMPARE = (
    100,
    90,
    80,
    70,
    60,
    55,
    50,
    45,
    40,
    30,
)
_PRECEDENCE = {
    "**": POWER,
    "*": PRODUCT,
    "/": PRODUCT,
    "//": PRODUCT,
    "%": PRODUCT,
    "@": PRODUCT,
    "+": SUM,
    "-": SUM,
    "<<": SHIFT,
    ">>": SHIFT,
    "&": AND,
    "^": XOR,
    "|": OR,
    "==": COMPARE,
    "!=": COMPARE,
    "<": COMPARE,
    "<=": COMPARE,
    ">": COMPARE,
    ">=": COMPARE,
}


@dataclass(frozen=True)
class Text:
    """An expression's source and how tightly it binds."""

    code: str
    binds: int = ATOM

    def inside(self, least: int) -> str:
        return self.code if self.binds >= least else f"({self.code})"


def scalar_text(value: Any) -> Text:
    """A Python literal: floats in the shortest form, infinities as MLX names them."""
    if isinstance(value, float):
        if value != value:
            return Text("mx.nan")
        if value in (float("inf"), float("-inf")):
            return Text("mx.inf" if value > 0 else "-mx.inf", ATOM if value > 0 else UNARY)
    code = ascii(value)
    return Text(code, UNARY if code.startswith("-") else ATOM)


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def render_tree(tree: Bound) -> Text:
    """The expression for a bound tree; locals, slots and sizes are tokens (slots.py)."""
    match tree:
        case Local(index):
            return Text(token("v", index))
        case SlotRef(index, kind):
            return Text(token(kind, index))
        case Member():
            return Text(access(tree))
        case Typed(of):
            return render_tree(of)
        case Apply(callee, args):
            return Text(f"{render_tree(callee).code}({_arguments(args, ())})")
        case Pick(counter, period, turn, then, otherwise):
            i, yes, no = (render_tree(v).code for v in (counter, then, otherwise))
            return Text(f"{yes} if {i} % {period} == {turn} else {no}", 0)
        case Verbatim(code, binds):
            return Text(code, binds)
        case t.TypeOf(of):
            return Text(f"{render_tree(of).inside(ATOM)}.dtype")
        case t.TypeRef(dtype):
            return Text(f"mx.{dtype.mlx}")
        case Expr():
            return _size(tree)
        case t.Sequence(items, array_list):
            inner = [render_tree(i).code for i in items]
            return Text(f"[{', '.join(inner)}]" if array_list else _tuple(inner))
        case t.Call(function, args, kwargs):
            return Text(f"{function.removeprefix('runtime.')}({_arguments(args, kwargs)})")
        case t.Name(function):
            return Text(function)
        case t.Method(of, "T"):
            return Text(f"{render_tree(of).inside(ATOM)}.T")
        case t.Method(of, name, args, kwargs):
            return Text(f"{render_tree(of).inside(ATOM)}.{name}({_arguments(args, kwargs)})")
        case t.Infix(operator, left, right):
            return _infix(operator, render_tree(left), render_tree(right))
        case t.Prefix(operator, of):
            return Text(f"{operator}{render_tree(of).inside(UNARY)}", UNARY)
        case t.Index(of, items):
            of, items = _joined(of, items)
            return Text(f"{render_tree(of).inside(ATOM)}[{', '.join(map(_item, items))}]")
        case t.Element(of, index):
            return Text(f"{render_tree(of).inside(ATOM)}[{index}]")
        case t.Keyword(name, of):
            return Text(f"{name}={render_tree(of).code}")
        case t.Literal(value):
            return scalar_text(value)
        case _:
            return scalar_text(tree)


def _joined(of: Bound, items: tuple[Any, ...]) -> tuple[Bound, tuple[Any, ...]]:
    """`x[:, :L][:, :, :T]` is `x[:, :L, :T]`, where both cut different axes."""
    inner = untyped(of)
    if not isinstance(inner, t.Index) or not inner.items or not items:
        return of, items
    pairs = list(zip_longest(inner.items, items, fillvalue=t.Slice()))
    cuts = all(isinstance(i, t.Slice) for pair in pairs for i in pair)
    if not cuts or any(t.Slice() not in pair for pair in pairs):
        return of, items
    return inner.of, tuple(b if a == t.Slice() else a for a, b in pairs)


def access(member: Member) -> str:
    """Code that reaches a part of the module: `self.layers[0]`."""
    code = "self"
    for kind, step in member.steps:
        code += {"attr": f".{step}", "index": f"[{step}]", "item": f"[{step!r}]"}[kind]
    return code


def _size(dim: Expr) -> Text:
    return Text(*size_code(dim))


def _infix(operator: str, left: Text, right: Text) -> Text:
    """Left-associative, but for `**`; comparisons never chain."""
    binds = _PRECEDENCE[operator]
    first = left.inside(binds + 1 if operator == "**" or binds == COMPARE else binds)
    second = right.inside(UNARY if operator == "**" else binds + 1)
    return Text(f"{first} {operator} {second}", binds)


def _arguments(args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...]) -> str:
    positional = [render_tree(a).code for a in args]
    return ", ".join([*positional, *(f"{k}={render_tree(v).code}" for k, v in kwargs)])


def _item(item: Any) -> str:
    match item:
        case t.Slice(start, stop, step):
            first = "" if start is None else render_tree(start).code
            end = "" if stop is None else render_tree(stop).code
            return f"{first}:{end}" + (f":{step}" if step not in (None, 1) else "")
        case t.Literal("..."):
            return "..."
        case _:
            return render_tree(item).code


def render(
    tree: Any,
    operands: list[str],
    width: Callable[[int, int], str] | None = None,
    dim: Callable[[Expr], str] = str,
) -> str:
    """A tree over named operands, for tests."""
    binder = Binder(
        lambda i: Verbatim(operands[i]),
        lambda e: Verbatim(dim(e), SUM),
        lambda o, axis: Verbatim(width(o, axis) if width else f"{operands[o]}.shape[{axis}]"),
        plain_scalar,
    )
    return render_tree(bind(tree, binder)).code
