"""Call trees as Python expressions, with parentheses only where they are needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir import tree as t
from ..ir.dims import Expr
from ..ir.types import DType

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


@dataclass(frozen=True)
class Printer:
    """What the renderer asks of its surroundings: names for operands, dims, sizes and scalars."""

    operand: Callable[[int], Text]
    dim: Callable[[Expr], Text]
    width: Callable[[int, int], Text]
    scalar: Callable[[Any, DType | None], Text]
    helper: Callable[[str], str]


def scalar_text(value: Any, dtype: DType | None = None) -> Text:
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


def render_tree(tree: Any, p: Printer) -> Text:
    """The expression for a tree."""
    match tree:
        case t.Operand(index):
            return p.operand(index)
        case t.Literal(value, dtype):
            return p.scalar(value, dtype)
        case t.TypeRef(dtype):
            return Text(f"mx.{dtype.mlx}")
        case t.Width(operand, axis):
            return p.width(operand, axis)
        case Expr():
            return p.dim(tree)
        case t.Sequence(items, array_list):
            inner = [render_tree(i, p).code for i in items]
            return Text(f"[{', '.join(inner)}]" if array_list else _tuple(inner))
        case t.Call(function, args, kwargs):
            name = (
                p.helper(function.removeprefix("runtime."))
                if function.startswith("runtime.")
                else function
            )
            return Text(f"{name}({_arguments(args, kwargs, p)})")
        case t.Name(function):
            return Text(function)
        case t.Method(of, "T"):
            return Text(f"{render_tree(of, p).inside(ATOM)}.T")
        case t.Method(of, name, args, kwargs):
            return Text(f"{render_tree(of, p).inside(ATOM)}.{name}({_arguments(args, kwargs, p)})")
        case t.Infix(operator, left, right):
            return _infix(operator, render_tree(left, p), render_tree(right, p))
        case t.Prefix(operator, of):
            return Text(f"{operator}{render_tree(of, p).inside(UNARY)}", UNARY)
        case t.Index(of, items):
            return Text(
                f"{render_tree(of, p).inside(ATOM)}[{', '.join(_item(i, p) for i in items)}]"
            )
        case t.Element(of, index):
            return Text(f"{render_tree(of, p).inside(ATOM)}[{index}]")
        case _:
            return p.scalar(tree, None)


def _infix(operator: str, left: Text, right: Text) -> Text:
    """Left-associative, but for `**`; comparisons never chain."""
    binds = _PRECEDENCE[operator]
    first = left.inside(binds + 1 if operator == "**" or binds == COMPARE else binds)
    second = right.inside(UNARY if operator == "**" else binds + 1)
    return Text(f"{first} {operator} {second}", binds)


def _arguments(args: tuple[Any, ...], kwargs: tuple[tuple[str, Any], ...], p: Printer) -> str:
    return ", ".join(
        [render_tree(a, p).code for a in args]
        + [f"{k}={render_tree(v, p).code}" for k, v in kwargs]
    )


def _item(item: Any, p: Printer) -> str:
    match item:
        case t.Slice(start, stop, step):
            first = "" if start is None else render_tree(start, p).code
            end = "" if stop is None else render_tree(stop, p).code
            return f"{first}:{end}" + (f":{step}" if step not in (None, 1) else "")
        case t.Literal("..."):
            return "..."
        case _:
            return render_tree(item, p).code


def render(
    tree: Any,
    operands: list[str],
    width: Callable[[int, int], str] | None = None,
    dim: Callable[[Expr], str] = str,
) -> str:
    """A tree over named operands, for tests; helpers keep their own names."""

    def named_width(operand: int, axis: int) -> Text:
        return Text(width(operand, axis) if width else f"{operands[operand]}.shape[{axis}]")

    printer = Printer(
        lambda i: Text(operands[i]),
        lambda e: Text(dim(e), SUM),
        named_width,
        scalar_text,
        lambda name: name,
    )
    return render_tree(tree, printer).code
