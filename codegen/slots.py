"""Tokens and slots: places in a body or constructor that are filled in once the class is known."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir import Node
from ..ir.dims import Expr
from .widths import key

TOKEN = re.compile("\ue000([a-z])(\\d+)\ue001")
# Numbers of an op that are fields of ModelArgs, as eps is; others are literals unless they differ.
FIELDS = {("rope", "dims"), ("rope", "base")}
SMALLEST_SCALED = 4  # widths below are too small to take a scalar for a power of them


def token(kind: str, index: int) -> str:
    """A placeholder: `s` slot in a method, `i` in a constructor, `o` an option there that may be
    left out, `v` variable, `d` dim, `c` class.
    """
    return f"\ue000{kind}{index}\ue001"


def length(code: str) -> int:
    """Length of the code with every token taken for a usual name; sizes have one letter."""
    usual = {"d": "L", "s": "self.head_dim"}
    return len(TOKEN.sub(lambda m: usual.get(m[1], "xxxxxxxx"), code))


@dataclass
class Slot:
    """A number in a body: a size or scalar that another instance of the class may have otherwise.

    `element` identifies the width it stands for. `role` and `attr` are the evidence for its name.
    A `literal` slot is printed as a number unless instances differ. `derived` tells that it is a
    power of a width: ("rsqrt" | "sqrt", element).
    """

    value: int | float
    element: Any
    role: str
    attr: str
    literal: bool = False
    derived: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Mark:
    """What a marked number remembers: a slot to be, or an axis of an input that has this size."""

    element: Any
    role: str
    literal: bool = False
    derived: tuple[str, Any] | None = None
    read_from: tuple[int, int] | None = None

    def slot(self, value: Any, attr: str, prefix: str = "") -> Slot:
        plain = float(value) if isinstance(value, float) else int(value)
        return Slot(plain, self.element, prefix + self.role, attr, self.literal, self.derived)


class MarkedInt(int):
    """An int that carries its mark through an op row, which may use it as any other int."""

    mark: Mark


class MarkedFloat(float):
    mark: Mark


def marked(value: Any, mark: Mark) -> Any:
    out: Any = MarkedFloat(value) if isinstance(value, float) else MarkedInt(value)
    out.mark = mark
    return out


def mark_node(
    node: Node, attribute: Callable[[Node, str, Any], Any], operands: bool = False
) -> Node:
    """The node with the numbers in its attributes (and operands) marked."""
    shadow = copy.copy(node)
    shadow.attrs = {k: attribute(node, k, v) for k, v in node.attrs.items()}
    if operands:
        shadow.operands = [
            (
                marked(o, Mark((node, i), "operand", True, power_of(node, o)))
                if isinstance(o, float)
                else o
            )
            for i, o in enumerate(node.operands)
        ]
    return shadow


def is_field(node: Node, name: str) -> bool:
    """Whether an attribute is a field of ModelArgs."""
    return name == "eps" or (node.op, name) in FIELDS


def layer_number(node: Node, name: str, value: Any) -> Any:
    """Marks for a layer's constructor: FIELDS and eps, and the rest where layers differ."""
    kind = node.row.attrs[name].kind
    if isinstance(value, bool) or value is None or isinstance(value, Expr):
        return value
    if kind in ("float", "int"):
        value = float(value) if kind == "float" else value
        return marked(value, Mark((node, name), name, literal=not is_field(node, name)))
    if kind == "ints":
        return tuple(marked(v, Mark((node, name, i), name, True)) for i, v in enumerate(value))
    return value


def power_of(node: Node, value: Any) -> tuple[str, Any] | None:
    """Whether the scalar is a power ±1/2 of the last width of an operand that it scales."""
    scales = node.op in ("attention", "multiply", "divide") and node.values
    if not scales or not isinstance(value, float) or not node.values[0].tensor.rank:
        return None
    size = node.values[0].tensor.shape[-1]
    if not isinstance(size, int) or size < SMALLEST_SCALED:
        return None
    for name, power in (("rsqrt", -0.5), ("sqrt", 0.5)):
        if math.isclose(value, size**power, rel_tol=1e-6):
            return name, key(node.values[0], -1)
    return None
