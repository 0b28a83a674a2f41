"""The call tree: what an op row prints, in no particular language.

`codegen/python.py` and `codegen/cpp.py` render the same tree. Operands of a node appear as
`Operand(i)`; dims as plain `int`/`Expr`; scalars as `Literal`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .dims import Expr
from .types import DType


@dataclass(frozen=True)
class Literal:
    """A scalar. `dtype` is what it must have in a language with strong scalars."""

    value: bool | int | float | str | None
    dtype: DType | None = None


@dataclass(frozen=True)
class Operand:
    """Operand number `index` of the node."""

    index: int


@dataclass(frozen=True)
class TypeRef:
    """An element type as an argument (`mx.float32`)."""

    dtype: DType


@dataclass(frozen=True)
class TypeOf:
    """The element type of an array as an argument (`x.dtype`), which follows the weights' type."""

    of: Tree


@dataclass(frozen=True)
class Name:
    """A function of MLX as an argument (`nn.relu`)."""

    function: str


@dataclass(frozen=True)
class Sequence:
    """A shape, a list of axes, a list of arrays."""

    items: tuple[Tree, ...]
    array_list: bool = False


@dataclass(frozen=True)
class Call:
    """A free function: `mx.softmax`, `nn.gelu`, or `runtime.max_pool` for a helper that is
    copied.
    """

    function: str
    args: tuple[Tree, ...]
    kwargs: tuple[tuple[str, Tree], ...] = ()


@dataclass(frozen=True)
class Method:
    """An op that Python spells as a method (`x.reshape(...)`) and C++ as a free function."""

    of: Tree
    name: str
    args: tuple[Tree, ...] = ()
    kwargs: tuple[tuple[str, Tree], ...] = ()


@dataclass(frozen=True)
class Infix:
    operator: str
    left: Tree
    right: Tree


@dataclass(frozen=True)
class Prefix:
    operator: str
    of: Tree


@dataclass(frozen=True)
class Slice:
    start: Tree | None = None
    stop: Tree | None = None
    step: int | None = None


NEW_AXIS = Literal(None)
ELLIPSIS = Literal("...")


@dataclass(frozen=True)
class Index:
    """`of[items]`; items are `Slice`, ints, arrays, `NEW_AXIS` or `ELLIPSIS`."""

    of: Tree
    items: tuple[Slice | Tree, ...]


@dataclass(frozen=True)
class Element:
    """Element of a tuple or list that `of` returns."""

    of: Tree
    index: int


@dataclass(frozen=True)
class Block:
    """A statement with blocks of its own, which the printers write line by line."""

    op: str


@dataclass(frozen=True)
class Keyword:
    """An argument of a layer's call by its name. C++ has no names: `place` of it are before it."""

    name: str
    of: Tree
    place: int


@dataclass(frozen=True)
class Width:
    """The size of a parameter's axis: the printer puts the hyper-parameter's name there."""

    operand: int
    axis: int


Tree = (
    int
    | Expr
    | Literal
    | Operand
    | TypeRef
    | TypeOf
    | Sequence
    | Call
    | Name
    | Method
    | Infix
    | Prefix
    | Index
    | Element
    | Width
    | Keyword
    | Block
)


@dataclass(frozen=True)
class Layer:
    """How a module that holds nothing but this op prints: class, constructor, call.

    `params` maps operand numbers to attribute names; the other operands are call arguments, in
    order, unless `inputs` gives the argument trees. `results` is the nesting of the result numbers
    that the call returns, such as `(0, (1, 2))` for an LSTM's `out, (h, c)`; empty for a flat
    tuple. Keyword arguments equal to the class's own default are left out by the row. `attribute`
    names the attribute that holds the layer in a class whose source has no module for it.
    """

    cls: str
    params: tuple[tuple[int, str], ...]
    args: tuple[Tree, ...]
    kwargs: tuple[tuple[str, Tree], ...] = field(default=())
    inputs: tuple[Tree, ...] | None = None
    results: tuple[Any, ...] = ()
    attribute: str = ""


def lift(value: object) -> Tree:
    """Python values as tree leaves, so that rows read like the code they print."""
    match value:
        case bool() | float() | str() | None:
            return Literal(value)
        case DType():
            return TypeRef(value)
        case tuple() | list():
            return Sequence(tuple(lift(v) for v in value))
        case _:
            return value  # type: ignore[return-value]


def call(function: str, *args: object, **kwargs: object) -> Call:
    return Call(function, tuple(map(lift, args)), tuple((k, lift(v)) for k, v in kwargs.items()))


def method(of: Tree, name: str, *args: object, **kwargs: object) -> Method:
    return Method(of, name, tuple(map(lift, args)), tuple((k, lift(v)) for k, v in kwargs.items()))


def infix(operator: str, left: object, right: object) -> Infix:
    return Infix(operator, lift(left), lift(right))


def arrays(items: object) -> Sequence:
    """A list of arrays (`[a, b]`)."""
    return Sequence(tuple(items), array_list=True)  # type: ignore[arg-type]
