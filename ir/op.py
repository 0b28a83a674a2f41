"""What a row of the op table holds, and the check that a row is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Expr
from .tree import Layer, Operand, Tree
from .types import DType, Tensor, Type

if TYPE_CHECKING:
    from .graph import Node

REQUIRED = object()


class InferError(ValueError):
    """The operand types do not fit the op."""


class Unequal(InferError):
    """Two dims had to be equal and are not known to be: an equation for the frontend to solve."""

    def __init__(self, left: int | Expr, right: int | Expr):
        super().__init__(f"sizes {left} and {right} must be equal")
        self.left, self.right = left, right


@dataclass(frozen=True)
class Attr:
    """A typed attribute. Kinds: int float number bool str dtype dim dims ints numbers axis axes
    names graph.

    `dims` and `dim` may be symbolic; `axis` and `axes` are non-negative after `infer`'s
    normalisation; a `graph` is a block of the node.
    """

    kind: str
    default: Any = REQUIRED


_KINDS: dict[str, Callable[[Any], bool]] = {
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "float": lambda v: isinstance(v, float | int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, bool | int | float | Expr),
    "bool": lambda v: isinstance(v, bool),
    "str": lambda v: isinstance(v, str),
    "dtype": lambda v: isinstance(v, DType),
    "dim": lambda v: isinstance(v, int | Expr) and not isinstance(v, bool),
    "dims": lambda v: isinstance(v, tuple) and all(isinstance(d, int | Expr) for d in v),
    "ints": lambda v: isinstance(v, tuple) and all(isinstance(d, int) for d in v),
    "numbers": lambda v: isinstance(v, tuple) and all(isinstance(d, int | float) for d in v),
    "axis": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "axes": lambda v: isinstance(v, tuple) and all(isinstance(d, int) for d in v),
    "names": lambda v: isinstance(v, tuple) and all(isinstance(d, str) for d in v),
    "graph": lambda v: hasattr(v, "nodes"),
}


@dataclass(frozen=True)
class Op:
    """One row of the op table.

    `operands` names them in order: `"x weight bias?"`; `?` may be None, a trailing `*x` takes the
    rest. `infer(*types, **attrs)` gives the result type or types; an operand that is a scalar or a
    dim is passed as it is. `emit(node, *trees)` gives the call tree. `reference(*arrays, **attrs)`
    computes the op in NumPy, with dims as ints and blocks as functions. `layer(node)` tells how a
    module holding only this op prints. `binds` is the attribute that names the sizes which the op
    finds out from data. A `random` op draws numbers: equal nodes differ, and their order counts.
    """

    name: str
    operands: str
    infer: Callable[..., Type | tuple[Type, ...]]
    emit: Callable[..., Tree]
    reference: Callable[..., Any]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    layer: Callable[[Node], Layer | None] | None = None
    several: bool = False
    commutative: bool = False
    elementwise: bool = False
    binds: str = ""
    random: bool = False
    doc: str = ""

    @property
    def blocks(self) -> list[str]:
        """The attributes that are graphs."""
        return [name for name, attr in self.attrs.items() if attr.kind == "graph"]

    @property
    def operand_names(self) -> list[str]:
        return [name.rstrip("?") for name in self.operands.split()]

    def complete(self, attrs: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes in the row's order, with defaults filled in; InferError on a wrong one."""
        unknown = set(attrs) - set(self.attrs)
        if unknown:
            raise InferError(f"{self.name} has no attribute {', '.join(sorted(unknown))}")
        out = {}
        for name, attr in self.attrs.items():
            value = attrs.get(name, attr.default)
            value = tuple(value) if isinstance(value, list) else value
            if value is REQUIRED:
                raise InferError(f"{self.name} lacks its attribute {name}")
            if value != attr.default and not _KINDS[attr.kind](value):
                raise InferError(
                    f"{self.name}: attribute {name}={value!r} is not of kind {attr.kind}"
                )
            out[name] = value
        return out

    def infer_types(self, operands: Sequence[Any], attrs: Mapping[str, Any]) -> list[Type]:
        """Result types for operand types (scalars and dims as they are)."""
        self._check_arity(len(operands))
        result = self.infer(*operands, **attrs)
        return list(result) if isinstance(result, tuple) else [result]

    def _check_arity(self, count: int) -> None:
        names = self.operands.split()
        variadic = any(n.startswith("*") for n in names)
        least = sum(not n.startswith("*") for n in names)
        if count < least or (count > least and not variadic):
            raise InferError(f"{self.name} takes operands ({self.operands}), got {count}")

    def evaluate(self, operands: Sequence[Any], attrs: Mapping[str, Any]) -> list[np.ndarray]:
        """The reference result as a list of arrays."""
        result = self.reference(*operands, **attrs)
        return [np.asarray(r) for r in (result if self.several else [result])]

    def tree(self, node: Node) -> Tree:
        """The call tree of a node of this op."""
        from .graph import Value
        from .tree import lift

        trees = [
            Operand(i) if isinstance(o, Value) else lift(o) for i, o in enumerate(node.operands)
        ]
        return self.emit(node, *trees)


def table(*groups: Iterable[Op]) -> dict[str, Op]:
    """The rows by name; ValueError on a duplicate or incomplete row."""
    out: dict[str, Op] = {}
    for row in (row for group in groups for row in group):
        if row.name in out:
            raise ValueError(f"two rows for the op {row.name}")
        for part in ("infer", "emit", "reference"):
            if not callable(getattr(row, part)):
                raise ValueError(f"the row {row.name} has no {part}")
        if not row.doc:
            raise ValueError(f"the row {row.name} has no doc")
        if row.random != ("draw" in row.attrs):
            raise ValueError(f"the row {row.name}: random ops, and no others, number their draws")
        for name, attr in row.attrs.items():
            if attr.kind not in _KINDS:
                raise ValueError(
                    f"the row {row.name}: attribute {name} is of unknown kind {attr.kind}"
                )
        out[row.name] = row
    return out


# ---- shape rules shared by rows


def same(x: Any, *others: Any, **attrs: Any) -> Tensor:
    """The result has the first operand's type."""
    return tensor(x)


def tensor(x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise InferError(f"expected a tensor, got {x!r}")
    return x


def equal(a: int | Expr, b: int | Expr) -> int | Expr:
    """One of two dims that must be equal; Unequal if they are not."""
    if a != b:
        raise Unequal(a, b)
    return a


def broadcast(*shapes: Sequence[int | Expr]) -> tuple[int | Expr, ...]:
    """The broadcast shape (NumPy's rule); Unequal where two sizes differ and none is 1."""
    rank = max(len(s) for s in shapes)
    out: list[int | Expr] = []
    for axis in range(rank):
        size: int | Expr = 1
        for shape in shapes:
            at = axis - rank + len(shape)
            dim = shape[at] if at >= 0 else 1
            if dim != 1:
                size = dim if size == 1 else equal(size, dim)
        out.append(size)
    return tuple(out)


def axis_of(axis: int, rank: int) -> int:
    """The axis counted from the front; InferError when out of range."""
    if not -rank <= axis < rank:
        raise InferError(f"axis {axis} is out of range for rank {rank}")
    return axis % rank


def arithmetic(*operands: Any, **attrs: Any) -> Tensor:
    """Broadcast result of operands that share one dtype; scalars are weak."""
    types = [o for o in operands if isinstance(o, Tensor)]
    if not types:
        raise InferError("no operand is a tensor")
    dtypes = {t.dtype for t in types}
    if len(dtypes) > 1:
        raise InferError(f"operands have different dtypes: {', '.join(sorted(map(str, dtypes)))}")
    return Tensor(types[0].dtype, broadcast(*(t.shape for t in types)))


def predicate(*operands: Any, **attrs: Any) -> Tensor:
    """Like `arithmetic`, with a boolean result."""
    return arithmetic(*operands).with_dtype(DType.bool)
