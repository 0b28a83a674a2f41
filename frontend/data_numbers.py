"""Python numbers that the data decides: `x.item()`, `int(n)`, and arithmetic on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, bounds, symbols
from ..ir.stated import stated
from . import host, op_groups
from .alias import owner
from .aten_common import reshaped
from .aten_elementwise import truth
from .data_sizes import place
from .promotion import FLOAT, cast
from .schema import Parameter, Schema

Rows = Any  # the ATen table


@dataclass(frozen=True)
class DataNumber:
    """A Python number as a value of rank 0 (int64, float or bool); an integer as a size, too.

    Reading the size costs nothing where it is not used as one.
    """

    value: Value
    dim: int | Expr | None = None

    @property
    def dtype(self) -> DType:
        return self.value.tensor.dtype


def read_number(b: Builder, x: Value) -> Any:
    """The only element of a tensor as a number: a plain one where the graph states it."""
    known = stated(x)
    if known is not None:
        return known
    if x.tensor.rank and any(d != 1 for d in x.tensor.shape):
        raise TranspileError(f"a number is read from {x.tensor}, which may hold several")
    value = reshaped(b, x, ())
    if value.tensor.dtype.is_integer:
        value = cast(b, value, DType.i64)
        return DataNumber(value, b.size(value))
    return DataNumber(value)


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "Int": host.to_int, "Float": host.to_float, "__not__": host.negate,
    "Bool": lambda v: v if isinstance(v, host.Condition) else host.compare("!=", v, 0),
}  # fmt: skip


def _plain(name: str, values: Sequence[Any]) -> Any:
    """Arithmetic of numbers that turn out to be known."""
    return (_CONVERSIONS.get(name) or host.NUMBERS[name])(*values)


def number_of(b: Builder, size: Any) -> Any:
    """A size as a number of its own; other numbers as they are."""
    if not isinstance(size, Expr):
        return size
    return DataNumber(b.op("full", shape=(), value=size, dtype=DType.i64), size)


def as_size(b: Builder, number: DataNumber, what: str) -> int | Expr:
    """The number as a size."""
    if number.dim is not None:
        return number.dim
    if not number.dtype.is_integer:
        raise TranspileError(
            f"{what} is a number of the type {number.dtype} that the data decides",
            hint="an integer works",
        )
    return b.size(number.value)


def has_data(values: Any) -> bool:
    """Whether a number that the data decides is among the values, or in lists of them."""
    if isinstance(values, list | tuple):
        return any(has_data(v) for v in values)
    return isinstance(values, DataNumber)


def compute(b: Builder, table: Rows, name: str, values: Sequence[Any]) -> Any:
    """Arithmetic of numbers under the name that ATen gives it, some of which the data decides."""
    if not has_data(list(values)):
        return _plain(name, values)
    rule = _RULES.get(name)
    known = [isinstance(v, DataNumber | host.Condition) or host.is_number(v) for v in values]
    if rule is None or not all(known):
        raise TranspileError(
            f"{name} of a number that the data decides",
            hint="arithmetic, comparisons, int(), float() and bool() work",
        )
    operands = [v.value if isinstance(v, DataNumber) else _value(b, v) for v in values]
    result = rule(b, table, *operands)
    wide = DType.i64 if result.tensor.dtype.is_integer else None
    return DataNumber(cast(b, result, wide), _dim(name, values))


def _value(b: Builder, number: Any) -> Any:
    """A condition on sizes, or a quotient of them, as a value; other numbers as they are."""
    if isinstance(number, host.Condition):
        return condition_value(b, number)
    if isinstance(number, host.Ratio):
        return b.op("divide", b.op("full", shape=(), value=number.over, dtype=FLOAT), number.under)
    return number


_COMPARISONS = {
    "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater",
    ">=": "greater_equal",
}  # fmt: skip


def condition_value(b: Builder, condition: Any) -> Value:
    """A comparison of sizes as a value."""
    if isinstance(condition, bool):
        found: Value = b.op("full", shape=(), value=condition, dtype=DType.bool)
        return found
    kind, *parts = condition.tree
    if kind in _COMPARISONS:
        left, right = (_value(b, p) for p in parts)
        if not isinstance(left, Value):
            kinds = DType.i64 if isinstance(left, int | Expr) else FLOAT
            left = b.op("full", shape=(), value=left, dtype=kinds)
        found = b.op(_COMPARISONS[kind], left, right)
        return found
    values = [condition_value(b, p) for p in parts]
    op = {"not": "invert", "and": "bitwise_and", "or": "bitwise_or"}[kind]
    found = b.op(op, *values)
    return found


_SIZES = frozenset({"add", "sub", "mul", "floordiv", "floor_divide", "neg", "Int", "trunc"})


def _dim(name: str, values: Sequence[Any]) -> int | Expr | None:
    """The result as a size, where it is linear in sizes: others are read anew where it matters."""
    dims = [v.dim if isinstance(v, DataNumber) else v for v in values]
    if name not in _SIZES or not all(isinstance(d, int | Expr) for d in dims):
        return None
    if name in ("Int", "trunc"):
        return dims[0]
    try:
        found = host.NUMBERS[name](*dims)
    except (host.NotHost, ZeroDivisionError):
        return None
    return found if isinstance(found, int | Expr) else None


Rule = Callable[..., Value]


def _row(name: str) -> Rule:
    return lambda b, table, *operands: table[name](b, *operands)


def _divided(b: Builder, table: Rows, x: Any, y: Any, mode: str | None = None) -> Value:
    result: Value = table["div"](b, x, y, rounding_mode=mode)
    return result


_RULES: dict[str, Rule] = {
    **{name: _row(name) for name in (
        "add", "sub", "mul", "div", "neg", "pow", "remainder", "floor_divide", "eq", "ne", "lt",
        "le", "gt", "ge", "abs", "floor", "ceil", "round", "sqrt", "exp", "log", "maximum",
        "minimum", "logical_not", "logical_and", "logical_or",
    )},
    "true_divide": _row("div"), "floordiv": _row("floor_divide"), "mod": _row("remainder"),
    "max": _row("maximum"), "min": _row("minimum"),
    "__and__": _row("logical_and"), "__or__": _row("logical_or"), "__not__": _row("logical_not"),
    "__xor__": _row("ne"), "trunc": _row("trunc"),
    "Int": lambda b, table, x: cast(b, x, DType.i64),
    "Float": lambda b, table, x: x if x.tensor.dtype.is_float else cast(b, x, FLOAT),
    "Bool": lambda b, table, x: truth(b, x),
}  # fmt: skip
NUMBERS = frozenset(_RULES)  # what `compute` knows


# ---- as arguments of ATen calls

# Integers that are places, not sizes.
PLACES = frozenset({("select", "index"), ("select_scatter", "index")})
_BOUNDS = frozenset({("slice", "start"), ("slice", "end")})


def as_argument(b: Builder, schema: Schema, bound: dict[str, Any], p: Parameter) -> Any:
    """An argument of a call, less numbers that the data decides: sizes or values in their place."""
    value = bound[p.name]
    if isinstance(value, list | tuple):
        items = [as_argument(b, schema, {**bound, p.name: v}, p) for v in value]
        return type(value)(items)
    if not isinstance(value, DataNumber):
        return value
    what = f"the argument {p.name} of {schema.name}"
    if (schema.name, p.name) in _BOUNDS:
        return _bound(b, schema, bound, value)
    integers = "int" in p.type.lower() and "Tensor" not in p.type
    if (schema.name, p.name) in PLACES:
        return value.dim if _known(b, value.dim) else owner(value.value)
    if integers or (schema.name in op_groups.NUMBERS_ARE_SIZES and value.dtype.is_integer):
        return as_size(b, value, what)
    if p.type.startswith(("bool", "str")):
        raise TranspileError(f"{what} is decided by data", hint="a fixed choice works")
    return owner(value.value)


def _known(b: Builder, dim: Any) -> bool:
    """Whether a size needs no wait: those of the inputs, and turns of loops."""
    return dim is not None and all(s.low or s.name in b.found.counters for s in symbols(dim))


def _bound(b: Builder, schema: Schema, bound: dict[str, Any], number: DataNumber) -> Any:
    """A bound of a slice; one that may be negative counts from the end."""
    low = None if number.dim is None else bounds(number.dim)[0]
    if low is not None and low >= 0:
        return number.dim
    sliced = next(iter(bound.values()))
    shape = sliced.type.shape
    return place(b, number.value, shape[int(bound.get("dim") or 0) % max(len(shape), 1)])
