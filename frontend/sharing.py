"""Views and writes: ops whose result shares memory with an operand, or that change one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import TranspileError
from ..ir import DType, Unequal, Value
from ..ir.dims import Expr
from . import op_groups
from .alias import Handle, View, maybe_view_of, owner, view_of, write
from .host import Scalar
from .promotion import cast_host
from .schema import Schema, flat
from .views import VIEWS, WriteBack

if TYPE_CHECKING:
    from .lowering import Lowering


def is_dense(name: str, bound: Mapping[str, Any]) -> bool:
    """Whether the result is known to be contiguous."""
    if name in op_groups.DENSE:
        return True
    handles = [v for v in flat(bound.values()) if isinstance(v, Handle) and v.type.rank]
    return name in op_groups.DENSE_LIKE and all(h.place.dense for h in handles)


def view(lowering: Lowering, schema: Schema, bound: dict[str, Any], back: WriteBack | None) -> Any:
    """A view op: its results keep reading from the tensor that they view."""
    name = next(iter(bound))
    base: Handle = bound[name]
    if schema.name == "view" and "dtype" in bound:
        back = None
    args = {k: lowering.read(v) for k, v in bound.items()}
    result = lowering.apply(schema, schema.name, bound)
    if not isinstance(result, tuple | list):
        seen = View(
            schema.name, _reader(lowering, schema, bound, name), _writer(lowering, back, args, 0)
        )
        return view_of(base, result, seen, is_dense(schema.name, {name: base}))
    return [
        view_of(
            base,
            part,
            View(
                schema.name,
                _reader(lowering, schema, bound, name, i),
                _writer(lowering, back, args, i),
            ),
        )
        for i, part in enumerate(result)
    ]


def _reader(
    lowering: Lowering, schema: Schema, bound: dict[str, Any], name: str, index: int | None = None
) -> Callable[[Value], Value]:
    rest = {k: lowering.read(v) for k, v in bound.items() if k != name}

    def again(base: Value) -> Value:
        result = lowering.apply(schema, schema.name, {name: base, **rest})
        return result if index is None else result[index]

    return again


def _writer(lowering: Lowering, back: WriteBack | None, args: Mapping[str, Any], index: int) -> Any:
    if back is None:
        return None
    return lambda base, new: back(lowering.b, base, new, args, index)


def reshape(
    lowering: Lowering,
    schema: Schema,
    bound: dict[str, Any] | Mapping[str, Any],
    base: Handle,
    result: Value,
) -> Handle:
    """A view of a contiguous tensor; of any other it is unknown whether it copies."""
    if not base.place.dense:
        return maybe_view_of(base, result)
    name = next(iter(bound))
    view = View(
        schema.name,
        _reader(lowering, schema, dict(bound), name),
        _writer(lowering, VIEWS["view"], {}, 0),
    )
    return view_of(base, result, view, dense=True)


def mutate(lowering: Lowering, schema: Schema, bound: dict[str, Any]) -> Any:
    """An in-place op or an `out=` variant: the functional row, then a write."""
    if "out" in bound and bound["out"] is not None:
        return _into(lowering, schema, bound, bound["out"])
    name, target = schema.name.rstrip("_"), next(iter(bound.values()))
    if schema.name.startswith("__i"):
        name = schema.name.replace("__i", "__", 1)
    if name in VIEWS:
        return _move(lowering, schema, bound, name, target)
    if not isinstance(target, Handle):
        return _replaced(lowering, replace(schema, name=name), bound, target)
    new = _functional(lowering, schema, bound, name, target)
    write(target.place, _fitted(lowering, new, target), schema.name)
    return target


def _replaced(lowering: Lowering, schema: Schema, bound: dict[str, Any], target: Any) -> Scalar:
    """`size *= 4` of a traced size: the number that later reads are given."""
    new = lowering.on_host(schema, bound) if isinstance(target, Scalar) else None
    if not isinstance(new, Scalar):
        raise TranspileError(f"{schema.name}_ writes to a number that the walk evaluated")
    lowering.overwritten.append(target)
    return Scalar(cast_host(new.value, target.dtype), target.dtype)


def _functional(
    lowering: Lowering, schema: Schema, bound: dict[str, Any], name: str, target: Handle
) -> Any:
    if name in ("copy", "fill"):
        source = next(v for k, v in list(bound.items())[1:])
        return lowering.read(source)
    if name == "zero":
        return 0
    return lowering.apply(schema, name, bound)


def _fitted(lowering: Lowering, value: Any, target: Handle) -> Value:
    """The value in the target's type and shape, as a write stores it."""
    b, type = lowering.b, target.type
    if not isinstance(value, Value):
        return b.op("full", shape=type.shape, value=cast_host(value, type.dtype), dtype=type.dtype)
    if value.tensor.dtype is not type.dtype:
        value = b.op("cast", value, dtype=type.dtype)
    if value.tensor.shape != type.shape:
        value = b.op("broadcast_to", value, shape=type.shape)
    return value


def _into(lowering: Lowering, schema: Schema, bound: dict[str, Any], out: Any) -> Any:
    result = lowering.apply(schema, schema.name, bound, skip=frozenset({"out"}))
    if not isinstance(out, Handle) or not isinstance(result, Value):
        raise TranspileError("out= of several tensors")
    if _same_shape(lowering, result, out):
        write(out.place, _fitted(lowering, result, out), schema.name)
    elif out.place.parent is None:  # torch resizes it: what viewed it keeps the old content
        out.place = owner(_cast(lowering, result, out.type.dtype)).place
    else:
        raise TranspileError("out= resizes a view")
    return out


def _same_shape(lowering: Lowering, value: Value, target: Handle) -> bool:
    """Whether the shapes agree; sizes that are not known to be equal are an equation."""
    found, wanted = value.tensor.shape, target.type.shape
    if len(found) != len(wanted):
        return False
    for a, b in zip(found, wanted):
        if a != b and (isinstance(a, Expr) or isinstance(b, Expr)):
            raise Unequal(a, b)
    return found == wanted


def _cast(lowering: Lowering, value: Value, dtype: DType) -> Value:
    return value if value.tensor.dtype is dtype else lowering.b.op("cast", value, dtype=dtype)


def _move(
    lowering: Lowering, schema: Schema, bound: dict[str, Any], name: str, target: Handle
) -> Handle:
    """`unsqueeze_`, `transpose_` ...: the handle itself becomes the view."""
    functional = Schema(schema.namespace, name, schema.overload, schema.parameters, schema.results)
    here = Handle(target.place)
    first = next(iter(bound))
    target.place = view(lowering, functional, {**bound, first: here}, VIEWS[name]).place
    return target
