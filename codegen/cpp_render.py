"""Bound trees as C++ expressions: the same trees that `render.py` prints as Python.

MLX's C++ has free functions where Python has methods, subscripts and keywords, and numbers that
lift half precision to float32: a number that meets an array is `nn::Scalar(0.5f)`, unless it is
an integer beside a type that holds any.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import tree as t
from ..ir.dims import Atom, Expr, bounds, data_decides
from ..ir.types import DType, Tensor
from .bound import Apply, Bound, Local, Member, Pick, SlotRef, Typed, Verbatim
from .cpp_functions import Function, Parameter, functions, helper_parameters
from .cpp_fuse import Chain
from .cpp_names import cpp_string
from .render import Text
from .slots import token

ATOM, UNARY, PRODUCT, SUM, SHIFT, COMPARE, EQUAL, AND, XOR, OR = (
    100,
    80,
    70,
    60,
    55,
    50,
    48,
    45,
    43,
    40,
)
_PRECEDENCE = {
    "*": PRODUCT, "/": PRODUCT, "%": PRODUCT, "+": SUM, "-": SUM, "<<": SHIFT, ">>": SHIFT,
    "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE, "==": EQUAL, "!=": EQUAL,
    "&": AND, "^": XOR, "|": OR,
}  # fmt: skip
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_FUNCTION_OF = {"@": "mx::matmul", "**": "power", "//": "floor_divide"}
_NAMED = {
    "&": "bitwise_and",
    "|": "bitwise_or",
    "^": "bitwise_xor",
    "<<": "left_shift",
    ">>": "right_shift",
}
_HOLDS_INT = (DType.f32, DType.f16, DType.bf16, DType.i64, DType.i32, DType.c64)


_BEYOND = 2.0**128 - 2.0**103  # what no longer rounds to the largest float32, 3.4028235e38


class NotInCpp(Exception):
    """A tree that has no C++ form: the row needs one (codegen/cpp_functions.py, runtime/cpp)."""


@dataclass(frozen=True)
class Names:
    """What the class knows of a tree's leaves: types of locals, values of slots, members."""

    local: Callable[[int], Tensor | None] = lambda index: None
    slot: Callable[[SlotRef], Any] = lambda slot: 0
    member: Callable[[Member], str] = str


# ---- numbers


def number(value: Any, kind: str = "") -> str:
    """A literal: floats in their shortest form with an `f` (`kind` "double": without)."""
    if value is None:
        return "std::nullopt"
    if isinstance(value, bool):
        return str(bool(value)).lower()
    if isinstance(value, str):
        return cpp_string(value)
    if isinstance(value, complex):
        return f"mx::complex64_t({number(value.real)}, {number(value.imag)})"
    if isinstance(value, float) or kind in ("float", "double"):
        value = float(value)
        of = "double" if kind == "double" else "float"
        if value != value:
            return f"std::numeric_limits<{of}>::quiet_NaN()"
        if math.isinf(value) or (of == "float" and abs(value) >= _BEYOND):
            return f"{'-' if value < 0 else ''}std::numeric_limits<{of}>::infinity()"
        return repr(value) if kind == "double" else f"{np.float32(value)!s}f"
    return str(int(value)) if -(2**31) <= int(value) < 2**31 else f"int64_t{{{int(value)}}}"


def size(dim: int | Expr) -> Text:
    """An expression of sizes over ints."""
    if not isinstance(dim, Expr):
        return Text(str(dim), UNARY if dim < 0 else ATOM)
    out = ""
    for monomial, coefficient in dim.terms:
        factors = [_factor(atom) for atom, power in monomial for _ in range(power)]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        sign = "-" if coefficient < 0 else "+"
        text = " * ".join(factors)
        out += f" {sign} {text}" if out else (f"-{text}" if sign == "-" else text)
    single = len(dim.terms) == 1
    alone = single and dim.terms[0][1] == 1 and sum(p for _, p in dim.terms[0][0]) == 1
    return Text(out, ATOM if alone else PRODUCT if single else SUM)


def _factor(atom: Any) -> str:
    if not isinstance(atom, Atom):
        return str(atom)
    if atom.kind == "floordiv":
        low, _ = bounds(atom.args[0])
        a, b = (size(x) for x in atom.args)
        if low is not None and low >= 0:
            return f"({a.inside(PRODUCT)} / {b.inside(UNARY)})"
        return f"nn::floordiv({a.code}, {b.code})"
    args = ", ".join(size(x).code for x in atom.args)
    return f"std::{atom.kind}({args})" if len(atom.args) == 2 else f"std::{atom.kind}({{{args}}})"


# ---- what a tree is


def is_number(tree: Bound) -> bool:
    """Whether the tree is a host number rather than an array."""
    if isinstance(tree, t.Infix):
        return is_number(tree.left) and is_number(tree.right)
    return isinstance(tree, t.Literal | SlotRef | Expr | int | float)


def dtype_of(tree: Bound, names: Names) -> DType | None:
    """The element type of an array's tree, where it is known."""
    match tree:
        case Typed(_, type):
            return type.dtype
        case Local(index):
            found = names.local(index)
            return found.dtype if found is not None else None
        case t.Infix(operator, left, right):
            if operator in _COMPARISONS:
                return DType.bool
            return dtype_of(right if is_number(left) else left, names)
        case t.Method(_, "astype", (t.TypeRef(dtype),)):
            return dtype
        case t.Prefix(_, of) | t.Index(of) | t.Method(of) | t.Element(of):
            return dtype_of(of, names)
        case t.Call(function, args, kwargs):
            return _call_dtype(function, args, dict(kwargs), names)
    return None


def _call_dtype(function: str, args: Any, kwargs: Any, names: Names) -> DType | None:
    dtype = kwargs.get("dtype")
    if isinstance(dtype, t.TypeRef):
        return dtype.dtype
    if isinstance(dtype, t.TypeOf):
        return dtype_of(dtype.of, names)
    name = function.rpartition(".")[2]
    if name.startswith(("is", "logical_")) or name in ("all", "any"):
        return DType.bool
    if name == "arange":
        floats = any(isinstance(getattr(a, "value", a), float) for a in args)
        return DType.f32 if floats else DType.i32
    rest = args[1:] if name == "where" else args
    return next((d for a in rest if (d := dtype_of(a, names))), None)


def rank_of(tree: Bound, names: Names) -> int | None:
    match tree:
        case Typed(_, type):
            return type.rank
        case Local(index):
            found = names.local(index)
            return found.rank if found else None
    return None


# ---- expressions


def render_cpp(tree: Bound, names: Names) -> Text:
    """The expression for a bound tree; locals, slots and sizes are tokens (slots.py).

    NotInCpp where there is none.
    """

    def code(tree: Bound) -> str:
        return render_cpp(tree, names).code

    match tree:
        case Local(index):
            return Text(token("v", index))
        case SlotRef(index, kind):
            return Text(token(kind, index))
        case Member():
            return Text(names.member(tree))
        case Typed(of):
            return render_cpp(of, names)
        case Apply(callee, args):
            return Text(f"{code(callee)}({', '.join(_plain(a, names) for a in _flat(args))})")
        case Pick(counter, period, turn, then, otherwise):
            choice = f"{code(then)} : {code(otherwise)}"
            return Text(f"{code(counter)} % {period} == {turn} ? {choice}", 0)
        case Verbatim(text, binds):
            return Text(text, binds)
        case Chain(own, body, args):
            parameters = ", ".join(f"const auto& {n}" for n in own)
            function = f"[]({parameters}) {{ return {code(body)}; }}"
            return Text(f"nn::fuse({', '.join([function, *map(code, args)])})")
        case t.TypeOf(of):
            return Text(f"{render_cpp(of, names).inside(ATOM)}.dtype()")
        case t.TypeRef(dtype):
            return Text(f"mx::{dtype.mlx}")
        case Expr():
            return size(tree)
        case t.Sequence(items):
            return Text("{" + ", ".join(_plain(i, names) for i in items) + "}")
        case t.Call(function, args, kwargs):
            return _call(function, args, kwargs, names)
        case t.Name(function):
            return Text(f"[](const mx::array& x) {{ return {_plain_name(function)}(x); }}")
        case t.Method(of, name, args):
            return Text(_method(of, name, args, names))
        case t.Infix(operator, left, right):
            return _infix(operator, left, right, names)
        case t.Prefix("~", of) if dtype_of(of, names) is DType.bool:
            return Text(f"mx::logical_not({code(of)})")
        case t.Prefix(operator, of):
            return Text(f"{operator}{render_cpp(of, names).inside(UNARY)}", UNARY)
        case t.Index(of, items):
            return _index(of, items, names)
        case t.Element(of, index):
            return _element(of, index, names)
        case t.Literal(value):
            return Text(number(value))
        case None | bool() | int() | float() | str():
            return Text(number(tree), UNARY if str(tree).startswith("-") else ATOM)
    raise NotInCpp(f"{tree!r} has no C++ form")


def _plain_name(function: str) -> str:
    return function.replace("mx.", "mx::").replace("nn.", "nn::").replace(".", "::")


def _plain(tree: Bound, names: Names) -> str:
    """An argument as it is."""
    return render_cpp(tree, names).code


def _flat(args: tuple[Bound, ...]) -> list[Bound]:
    """Nested arguments, such as an LSTM's (h, c), come flat; keyword ones at their places."""
    flat: list[Bound] = []
    for arg in args:
        if isinstance(arg, t.Keyword):
            flat += [t.Literal(None)] * (arg.place - len(flat))
            arg = arg.of
        flat += arg.items if isinstance(arg, t.Sequence) else (arg,)
    return flat


def _infix(operator: str, left: Bound, right: Bound, names: Names) -> Text:
    if operator == "+" and is_number(left) and is_number(right):
        return Text(f"{_plain(left, names)} + {_plain(right, names)}", _PRECEDENCE["+"])
    mixed = is_number(left) or is_number(right)
    if operator in _FUNCTION_OF or (operator in _NAMED and mixed) or (operator == "%" and mixed):
        return Text(_operator_call(operator, left, right, mixed, names))
    beside = dtype_of(right if is_number(left) else left, names)
    a, b = (_operand(x, operator, beside, names) for x in (left, right))
    binds = _PRECEDENCE[operator]
    # What binds as tightly and what mixes bitwise operators with others stands in parentheses.
    least = ATOM if binds <= AND else PRODUCT if binds == SHIFT else binds
    first = a.inside(least + 1 if binds <= COMPARE and binds > AND else least)
    return Text(
        f"{first} {operator} {b.inside(max(least, binds) + 1 if least < ATOM else ATOM)}", binds
    )


def _operand(tree: Bound, operator: str, beside: DType | None, names: Names) -> Text:
    if not is_number(tree):
        return render_cpp(tree, names)
    if isinstance(_number_value(tree, names), complex):
        return Text(f"mx::array({_plain(tree, names)})")
    whole = isinstance(_number_value(tree, names), int | Expr) and not isinstance(
        _number_value(tree, names), bool
    )
    if whole and beside in _HOLDS_INT and operator != "/":
        return render_cpp(tree, names)
    return Text(_scalar(tree, names))


def _number_value(tree: Bound, names: Names) -> Any:
    if isinstance(tree, t.Literal):
        return tree.value
    return names.slot(tree) if isinstance(tree, SlotRef) else tree


def _scalar(tree: Bound, names: Names) -> str:
    return f"nn::Scalar({render_cpp(tree, names).code})"


def _operator_call(operator: str, left: Bound, right: Bound, mixed: bool, names: Names) -> str:
    if operator == "//" and mixed:
        other = _plain(right if is_number(left) else left, names)
        both = (
            f"{_scalar(x, names)}.like({other})" if is_number(x) else other for x in (left, right)
        )
        return f"mx::floor_divide({', '.join(both)})"
    name = {**_FUNCTION_OF, **_NAMED, "%": "remainder"}[operator]
    name = name if "::" in name else f"{'nn' if mixed else 'mx'}::{name}"
    args = (_scalar(x, names) if is_number(x) else _plain(x, names) for x in (left, right))
    return f"{name}({', '.join(args)})"


def _method(of: Bound, name: str, args: tuple[Bound, ...], names: Names) -> str:
    x = _plain(of, names)
    given = [_plain(a, names) for a in args]
    match name:
        case "T":
            return f"mx::transpose({x})"
        case "as_linear":
            return f"{x}.as_linear({given[0]})"
        case "reshape":
            return (
                f"mx::reshape({x}, {{{', '.join(given)}}})"
                if given
                else f"mx::reshape({x}, mx::Shape{{}})"
            )
        case "transpose":
            return f"mx::transpose({x}, {{{', '.join(given)}}})"
        case "astype" | "swapaxes" | "squeeze" | "flatten" | "moveaxis" | "view":
            return f"mx::{name}({', '.join([x, *given])})"
    raise NotInCpp(f"the method {name} has no C++ form")


# ---- calls


def _call(function: str, args: Any, kwargs: Any, names: Names) -> Text:
    special = _SPECIAL.get(function)
    if special:
        return Text(special(args, dict(kwargs), names))
    if function.startswith("runtime."):
        name = function.removeprefix("runtime.")
        rows: tuple[Function, ...] = (
            Function(f"nn::{name}", f"nn::{name}", helper_parameters(name)),
        )
    elif function in functions():
        rows = functions()[function]
    else:
        if kwargs:
            raise NotInCpp(f"{function} is called with keywords and has no row in cpp_functions.py")
        return Text(
            f"{_plain_name(function)}({', '.join(_number_or_array(a, names) for a in args)})"
        )
    for row in rows:
        placed = _place(row.parameters, args, dict(kwargs), names)
        if placed is not None:
            return Text(_apply(row, placed, names))
    raise NotInCpp(f"no row of {function} takes these arguments")


def _number_or_array(tree: Bound, names: Names) -> str:
    return (
        _scalar(tree, names)
        if is_number(tree) and not isinstance(tree, str)
        else _plain(tree, names)
    )


def _place(
    parameters: tuple[Parameter, ...], args: Any, kwargs: dict[str, Any], names: Names
) -> list[Any] | None:
    """The arguments in the order of the parameters, `...` where none is given; None: no fit."""
    if len(args) > len(parameters):
        return None
    placed: list[Any] = [*args, *([...] * (len(parameters) - len(args)))]
    places = {p.name: i for i, p in enumerate(parameters)}
    for name, value in kwargs.items():
        if name not in places or placed[places[name]] is not ...:
            return None
        placed[places[name]] = value
    for parameter, value in zip(parameters, placed, strict=True):
        if value is ... and not parameter.default:
            return None
        if value is not ... and not _fits(parameter, value, names):
            return None
    return placed


def _fits(parameter: Parameter, tree: Bound, names: Names) -> bool:
    """Whether overloads tell this argument from others: by sequence, dtype, whole number."""
    match parameter.kind:
        case "int":
            value = _number_value(tree, names) if is_number(tree) else tree
            return value is None or isinstance(value, int | Expr)
        case "double":
            return is_number(tree)
        case "dtype":
            return isinstance(tree, t.TypeRef | t.TypeOf)
        case "vector":
            return isinstance(tree, t.Sequence)
        case "bool":
            return isinstance(getattr(tree, "value", tree), bool)
    return True


def _apply(row: Function, placed: list[Any], names: Names) -> str:
    """The call; defaults that C++ has are left out at the end and filled in between."""
    last = max(
        (i for i, v in enumerate(placed) if v is not ... or row.parameters[i].printed), default=-1
    )
    mixed = any(
        p.kind == "arg" and v is not ... and is_number(v) and getattr(v, "value", 0) is not None
        for p, v in zip(row.parameters, placed, strict=True)
    )
    codes = [
        p.default if v is ... else argument(p.kind, v, names)
        for p, v in zip(row.parameters[: last + 1], placed, strict=False)
    ]
    return f"{row.mixed if mixed else row.callee}({', '.join(codes)})"


def argument(kind: str, tree: Bound, names: Names) -> str:
    """An argument for a parameter of that kind."""
    if isinstance(tree, t.Literal) and tree.value is None:
        return "std::nullopt"
    match kind:
        case "arg" if is_number(tree):
            return _scalar(tree, names)
        case "float" | "double" if is_number(tree):
            value = _number_value(tree, names)
            whole = isinstance(tree, t.Literal | int | float)
            return number(value, kind) if whole else _plain(tree, names)
        case "vector":
            return f"std::vector<int>{_plain(tree, names)}"
        case "extent":
            return f"mx::Shape{_plain(tree, names)}"
        case "items":
            return _items(tree, names)
        case "doubles" if isinstance(tree, t.Sequence):
            return "{" + ", ".join(argument("double", i, names) for i in tree.items) + "}"
    return _plain(tree, names)


def _items(tree: Bound, names: Names) -> str:
    """The contents of a literal array: all ints or all floats."""
    if not isinstance(tree, t.Sequence):
        return _plain(tree, names)
    values = [_number_value(i, names) for i in tree.items]
    if any(isinstance(v, t.Sequence) for v in values):
        raise NotInCpp("a literal array of more than one axis has no C++ form")
    kind = "float" if any(isinstance(v, float) for v in values) else ""
    return (
        "{"
        + ", ".join(number(v, kind) if not isinstance(v, Expr) else size(v).code for v in values)
        + "}"
    )


def _split(args: Any, kwargs: dict[str, Any], names: Names) -> str:
    x, parts = _plain(args[0], names), args[1]
    axis = _plain(kwargs.get("axis", args[2] if len(args) > 2 else 0), names)
    if isinstance(parts, t.Sequence):
        return f"nn::split<{len(parts.items) + 1}>({x}, {_plain(parts, names)}, {axis})"
    return f"nn::split<{_number_value(parts, names)}>({x}, {axis})"


def _attention(args: Any, kwargs: dict[str, Any], names: Names) -> str:
    codes = [_plain(a, names) for a in args] + [argument("float", kwargs["scale"], names)]
    mask = kwargs.get("mask")
    if isinstance(getattr(mask, "value", mask), str):
        codes.append(f"/* mask_mode = */ {_plain(mask, names)}")
    elif mask is not None and not (isinstance(mask, t.Literal) and mask.value is None):
        codes += ['/* mask_mode = */ "array"', _plain(mask, names)]
    return f"mx::fast::scaled_dot_product_attention({', '.join(codes)})"


def _einsum(args: Any, kwargs: dict[str, Any], names: Names) -> str:
    return (
        f"mx::einsum({_plain(args[0], names)}, {{{', '.join(_plain(a, names) for a in args[1:])}}})"
    )


def _grouped_conv(args: Any, kwargs: dict[str, Any], names: Names) -> str:
    """The convolution's options go into the function that each group runs."""
    name, x, weight, groups = args
    row = functions()[name.function][0]
    inner = [Verbatim("x"), Verbatim("w")]
    placed = _place(row.parameters, inner, kwargs, names)
    if placed is None:
        raise NotInCpp(f"no row of {name.function} takes these options")
    call = _apply(row, placed, names)
    run = f"[&](const mx::array& x, const mx::array& w) {{ return {call}; }}"
    return f"nn::grouped_conv({run}, {', '.join(_plain(a, names) for a in (x, weight, groups))})"


_SPECIAL: dict[str, Callable[[Any, dict[str, Any], Names], str]] = {
    "mx.split": _split,
    "mx.fast.scaled_dot_product_attention": _attention,
    "mx.einsum": _einsum,
    "runtime.grouped_conv": _grouped_conv,
}


def _element(of: Bound, index: int, names: Names) -> Text:
    return Text(f"std::get<{index}>({_plain(of, names)})")


# ---- subscripts


def _index(of: Bound, items: tuple[Any, ...], names: Names) -> Text:
    """Slices axis by axis, then whole indices from the last axis on, then new axes."""
    code = _plain(of, names)
    items = _without_ellipsis(items, rank_of(of, names))
    arrays = [i for i in items if not isinstance(i, t.Slice) and not is_number(i)]
    if len(arrays) > 1 or (arrays and len(items) > 1):
        return Text(_by_arrays(code, items, names))
    if arrays:
        return Text(f"mx::take({code}, {_plain(arrays[0], names)}, 0)")
    old = [i for i in items if i != t.NEW_AXIS]
    for axis, item in enumerate(old):
        if isinstance(item, t.Slice) and item != t.Slice():
            code = f"nn::slice({code}, {axis}, {_range(item, names)})"
    for axis, item in reversed(list(enumerate(old))):
        if not isinstance(item, t.Slice):
            value = _number_value(item, names)
            below = isinstance(value, int) and value < 0
            function = "nn::take" if below else "mx::take"
            function = "nn::select" if _may_be_empty(of, names) else function
            code = f"{function}({code}, {_plain(item, names)}, {axis})"
    kept = [i for i in items if isinstance(i, t.Slice) or i == t.NEW_AXIS]
    new = [str(place) for place, item in enumerate(kept) if item == t.NEW_AXIS]
    if new:
        axes = new[0] if len(new) == 1 else f"{{{', '.join(new)}}}"
        code = f"mx::expand_dims({code}, {axes})"
    return Text(code)


def _may_be_empty(tree: Bound, names: Names) -> bool:
    """Whether the data decides a size of the array: MLX takes nothing from an empty one."""
    kind = tree.type if isinstance(tree, Typed) else None
    kind = names.local(tree.index) if isinstance(tree, Local) else kind
    return kind is not None and data_decides(*kind.shape)


def _without_ellipsis(items: tuple[Any, ...], rank: int | None) -> tuple[Any, ...]:
    if t.ELLIPSIS not in items:
        return items
    if rank is None:
        raise NotInCpp("an ellipsis in a subscript of an array of unknown rank")
    at = items.index(t.ELLIPSIS)
    named = sum(i != t.NEW_AXIS for i in items) - 1
    return (*items[:at], *[t.Slice()] * (rank - named), *items[at + 1 :])


def _by_arrays(code: str, items: tuple[Any, ...], names: Names) -> str:
    places = []
    for item in items:
        if (isinstance(item, t.Slice) and item != t.Slice()) or is_number(item):
            raise NotInCpp("a subscript that mixes arrays with slices or numbers")
        places.append("std::nullopt" if isinstance(item, t.Slice) else _plain(item, names))
    return f"nn::index({code}, {{{', '.join(places)}}})"


def _range(item: t.Slice, names: Names) -> str:
    start = "0" if item.start is None and item.step in (None, 1) else _end(item.start, names)
    parts = [start, _end(item.stop, names)]
    return ", ".join(parts if item.step in (None, 1) else [*parts, str(item.step)])


def _end(bound: Any, names: Names) -> str:
    return "std::nullopt" if bound is None else _plain(bound, names)
