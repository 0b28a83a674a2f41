"""Executes ATen calls on the values of a walk, building IR nodes.

Both torch frontends walk their source and hand every ATen call to `Lowering.call`. The values that
flow are `Handle`s (tensors that may share memory), `Scalar`s (0-d tensors known on the host),
numbers, sizes, strings, `DType`s, None, and lists, tuples and dicts of these. Calls that no row
covers are collected; the walk goes on with `UNKNOWN` in the place of their results, so that
`finish` can report all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Graph, InferError, Unequal, Value
from ..ir.dims import Expr
from . import host, views
from .alias import Handle, View, maybe_view_of, owner, read, view_of, write
from .aten import ATEN, Row
from .host import Scalar
from .missing import Missing
from .schema import DROPPED, Schema


class Unknown:
    """The result of a call that could not be lowered."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()

# Ops that take a 0-d host scalar as a number; for all others it becomes a 0-d tensor.
_TAKES_NUMBERS = frozenset(
    """
    add sub mul div rsub pow remainder fmod floor_divide true_divide eq ne lt le gt ge
    maximum minimum where masked_fill clamp clamp_min clamp_max atan2 bitwise_and bitwise_or
    bitwise_xor logical_and logical_or __and__ __or__ addcmul addcdiv lerp xor arange full
    full_like new_full to threshold greater less greater_equal less_equal
    """.split()
)


class Lowering:
    """One walk: the builder (whose scope, source and hint the walk sets) and what could not be lowered."""

    def __init__(self, graph: Graph, table: Mapping[str, Row] = ATEN):
        self.b = Builder(graph)
        self.table = table
        self.missing = Missing()

    # ---- values

    def read(self, value: Any) -> Any:
        """What a row takes for a source value: handles become IR values, host scalars numbers."""
        match value:
            case Handle():
                return read(value.place)
            case Scalar():
                return value.value
            case list() | tuple():
                return type(value)(self.read(v) for v in value)
            case dict():
                return {k: self.read(v) for k, v in value.items()}
            case _:
                return value

    def tensor(self, value: Any) -> Handle:
        """The value as a tensor: a host scalar becomes a 0-d one."""
        if isinstance(value, Handle):
            return value
        scalar = value if isinstance(value, Scalar) else as_scalar(value)
        return owner(self._full(scalar), dense=True)

    def _full(self, scalar: Scalar) -> Value:
        value, b = scalar.value, self.b
        if isinstance(value, host.Condition):
            raise TranspileError(
                f"whether {value} depends on the sizes of the inputs", hint=FIX_DIM
            )
        if not isinstance(value, host.Ratio):
            return b.op("full", shape=(), value=value, dtype=scalar.dtype)
        over = b.op("full", shape=(), value=value.over, dtype=scalar.dtype)
        return b.op("divide", over, value.under)

    # ---- calls

    def call(
        self, schema: Schema, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The op's result: one source value, or a list of them where the op has several results.

        Raises Unequal for an equation between sizes, TranspileError (with the place in the source)
        for a call that cannot be lowered although its op has a row.
        """
        bound = schema.bind(args, kwargs or {})
        if any(v is UNKNOWN for v in _flat(bound.values())):
            return self._poisoned(schema, bound)
        try:
            return self._call(schema, bound)
        except Unequal as equation:
            equation.add_note(self.where(schema))
            raise
        except TranspileError as error:
            error.where = error.where or self.where(schema)
            return self._refused(schema, bound, error)
        except NotImplementedError as error:
            return self._refused(
                schema, bound, TranspileError(str(error), where=self.where(schema))
            )
        except InferError as error:
            raise TranspileError(
                f"{schema.full_name}: {error}", where=self.where(schema)
            ) from error

    def where(self, schema: Schema) -> str:
        """Module path, source line and op of the call under way."""
        at = f" at {self.b.source.at}" if self.b.source else ""
        return f"{schema.full_name} in {self.b.scope.path or self.b.graph.name}{at}"

    def finish(self) -> None:
        """TranspileError with every call that could not be lowered, if there are any."""
        self.missing.report()

    def _call(self, schema: Schema, bound: dict[str, Any]) -> Any:
        tensors = [
            v
            for p in schema.parameters
            if _is_tensor(p.type)
            for v in _flat([bound[p.name]])
            if v is not None
        ]
        if schema.written and (schema.name.endswith("_") or "out" in bound):
            return self._mutate(schema, bound)
        if tensors and all(isinstance(t, Scalar) or host.is_number(t) for t in tensors):
            result = self._on_host(schema, bound)
            if result is not None:
                return result
            bound = {k: _promote_tensors(self, v) for k, v in bound.items()}
        if schema.name in views.VIEWS:
            return self._view(schema, bound, views.VIEWS[schema.name])
        return self._wrap(schema, bound, self._apply(schema, schema.name, bound))

    def _on_host(self, schema: Schema, bound: dict[str, Any]) -> Any:
        """A call whose tensors are all host scalars; None where it has to become nodes."""
        first = next(iter(bound.values()))
        if schema.name in ("to", "type_as", "_to_copy") and isinstance(first, Scalar):
            other = bound.get("other")
            dtype = other.dtype if isinstance(other, Scalar) else bound.get("dtype")
            return host.cast(first, dtype) if isinstance(dtype, DType) else first
        if schema.name in _SAME_SCALAR:
            return first
        if bound.get("alpha", 1) != 1:
            return None
        options = {k: v for k, v in bound.items() if k == "rounding_mode"}
        values = [
            v for k, v in bound.items() if k not in ("alpha", "rounding_mode", "dtype", "out")
        ]
        try:
            return host.on_scalars(schema.name, values, options)
        except (host.NotHost, TypeError, ValueError, ZeroDivisionError, OverflowError):
            return None

    def _apply(
        self,
        schema: Schema,
        name: str,
        bound: Mapping[str, Any],
        skip: frozenset[str] = frozenset(),
    ) -> Any:
        """The row's result on IR values."""
        row = self._row(name, schema)
        if row is None:
            raise _NoRow(f"no rule for {schema.full_name}")
        weak = name in _TAKES_NUMBERS
        args, kwargs = [], {}
        for p in schema.parameters:
            if p.name in skip or p.name in DROPPED:
                continue
            value = bound[p.name]
            if isinstance(value, list | tuple) or (isinstance(value, Scalar) and not weak):
                value = self._materialised(p.type, value)
            if _is_size(p.type) and any(isinstance(v, Handle) for v in _flat([value])):
                raise TranspileError(
                    f"the argument {p.name} of {name} is read from a tensor, so that shapes depend on data",
                    hint=DATA_DEPENDENT,
                )
            value = self.read(value)
            if p.keyword:
                kwargs[p.name] = value
            else:
                args.append(value)
        return row(self.b, *args, **kwargs)

    def _row(self, name: str, schema: Schema) -> Row | None:
        return self.table.get(f"{name}.{schema.overload}") or self.table.get(name)

    def _materialised(self, kind: str, value: Any) -> Any:
        """Host scalars where a tensor must stand; in lists of sizes they become sizes."""
        if isinstance(value, list | tuple):
            return [self._materialised(kind, v) for v in value]
        if isinstance(value, Scalar) and _is_tensor(kind):
            return self.tensor(value)
        return value

    def _wrap(self, schema: Schema, bound: Mapping[str, Any], result: Any) -> Any:
        """Source values for a row's result; where an op hands its operand through, its handle too."""
        if isinstance(result, tuple | list):
            return [self._wrap(schema, bound, r) for r in result]
        if not isinstance(result, Value):
            return as_scalar(result) if host.is_number(result) else result
        first = next((v for v in bound.values() if isinstance(v, Handle)), None)
        if first is not None and schema.name in views.IDENTITIES and result is first.place.value:
            if schema.name != "contiguous" or first.place.dense:
                return first
        if first is not None and schema.name in views.RESHAPES:
            return self._reshape(schema, bound, first, result)
        return owner(result, dense=self._dense(schema.name, bound))

    def _dense(self, name: str, bound: Mapping[str, Any]) -> bool:
        """Whether the result is known to be contiguous."""
        if name in views.DENSE:
            return True
        handles = [v for v in _flat(bound.values()) if isinstance(v, Handle) and v.type.rank]
        return name in views.DENSE_LIKE and all(h.place.dense for h in handles)

    # ---- views and writes

    def _view(self, schema: Schema, bound: dict[str, Any], back: views.WriteBack | None) -> Any:
        """A view op: its results keep reading from the tensor that they view."""
        name = next(iter(bound))
        base: Handle = bound[name]
        if schema.name == "view" and "dtype" in bound:
            back = None
        args = {k: self.read(v) for k, v in bound.items()}
        result = self._apply(schema, schema.name, bound)
        if not isinstance(result, tuple | list):
            view = View(schema.name, self._reader(schema, bound, name), self._writer(back, args, 0))
            return view_of(base, result, view, self._dense(schema.name, {name: base}))
        return [
            view_of(
                base,
                part,
                View(
                    schema.name, self._reader(schema, bound, name, i), self._writer(back, args, i)
                ),
            )
            for i, part in enumerate(result)
        ]

    def _reader(
        self, schema: Schema, bound: dict[str, Any], name: str, index: int | None = None
    ) -> Callable[[Value], Value]:
        rest = {k: self.read(v) for k, v in bound.items() if k != name}

        def again(base: Value) -> Value:
            result = self._apply(schema, schema.name, {name: base, **rest})
            return result if index is None else result[index]

        return again

    def _writer(self, back: views.WriteBack | None, args: Mapping[str, Any], index: int) -> Any:
        if back is None:
            return None
        return lambda base, new: back(self.b, base, new, args, index)

    def _reshape(
        self, schema: Schema, bound: dict[str, Any] | Mapping[str, Any], base: Handle, result: Value
    ) -> Handle:
        """A view of a contiguous tensor; of any other it is unknown whether it copies."""
        if not base.place.dense:
            return maybe_view_of(base, result)
        name = next(iter(bound))
        view = View(
            schema.name,
            self._reader(schema, dict(bound), name),
            self._writer(views.VIEWS["view"], {}, 0),
        )
        return view_of(base, result, view, dense=True)

    def _mutate(self, schema: Schema, bound: dict[str, Any]) -> Any:
        """An in-place op or an `out=` variant: the functional row, then a write."""
        if "out" in bound and bound["out"] is not None:
            return self._into(schema, bound, bound["out"])
        name, target = schema.name.rstrip("_"), next(iter(bound.values()))
        if schema.name.startswith("__i"):
            name = schema.name.replace("__i", "__", 1)
        if name in views.VIEWS:
            return self._move(schema, bound, name, target)
        if not isinstance(target, Handle):
            raise TranspileError(f"{schema.name} writes to a number that the walk evaluated")
        new = self._functional(schema, bound, name, target)
        write(target.place, self._fitted(new, target), schema.name)
        return target

    def _functional(self, schema: Schema, bound: dict[str, Any], name: str, target: Handle) -> Any:
        if name in ("copy", "fill"):
            source = next(v for k, v in list(bound.items())[1:])
            return self.read(source)
        if name == "zero":
            return 0
        return self._apply(schema, name, bound)

    def _fitted(self, value: Any, target: Handle) -> Value:
        """The value in the target's type and shape, as a write stores it."""
        b, type = self.b, target.type
        if not isinstance(value, Value):
            return b.op(
                "full", shape=type.shape, value=_stored(value, type.dtype), dtype=type.dtype
            )
        if value.tensor.dtype is not type.dtype:
            value = b.op("cast", value, dtype=type.dtype)
        if value.tensor.shape != type.shape:
            value = b.op("broadcast_to", value, shape=type.shape)
        return value

    def _into(self, schema: Schema, bound: dict[str, Any], out: Any) -> Any:
        result = self._apply(schema, schema.name, bound, skip=frozenset({"out"}))
        if not isinstance(out, Handle) or not isinstance(result, Value):
            raise TranspileError("out= of several tensors")
        if self._same_shape(result, out):
            write(out.place, self._fitted(result, out), schema.name)
        elif out.place.parent is None:  # torch resizes it: what viewed it keeps the old content
            out.place = owner(self._cast(result, out.type.dtype)).place
        else:
            raise TranspileError("out= resizes a view")
        return out

    def _same_shape(self, value: Value, target: Handle) -> bool:
        """Whether the shapes agree; sizes that are not known to be equal are an equation."""
        found, wanted = value.tensor.shape, target.type.shape
        if len(found) != len(wanted):
            return False
        for a, b in zip(found, wanted):
            if a != b and (isinstance(a, Expr) or isinstance(b, Expr)):
                raise Unequal(a, b)
        return found == wanted

    def _cast(self, value: Value, dtype: DType) -> Value:
        return value if value.tensor.dtype is dtype else self.b.op("cast", value, dtype=dtype)

    def _move(self, schema: Schema, bound: dict[str, Any], name: str, target: Handle) -> Handle:
        """`unsqueeze_`, `transpose_` ...: the handle itself becomes the view."""
        functional = Schema(
            schema.namespace, name, schema.overload, schema.parameters, schema.results
        )
        here = Handle(target.place)
        first = next(iter(bound))
        target.place = self._view(functional, {**bound, first: here}, views.VIEWS[name]).place
        return target

    # ---- calls that cannot be lowered

    def _poisoned(self, schema: Schema, bound: Mapping[str, Any]) -> Any:
        name = schema.name.rstrip("_") if schema.written else schema.name
        known = name in views.VIEWS or name in ("copy", "fill", "zero") or name in host.NUMBERS
        if not known and self._row(name, schema) is None and schema.namespace == "aten":
            self.missing.add(schema.full_name, self.b)
        return self._unknown(schema, bound)

    def _refused(self, schema: Schema, bound: Mapping[str, Any], error: TranspileError) -> Any:
        reason = "" if isinstance(error, _NoRow) else error
        self.missing.add(schema.full_name, self.b, reason or None)
        return self._unknown(schema, bound)

    def _unknown(self, schema: Schema, bound: Mapping[str, Any]) -> Any:
        target = next(iter(bound.values()), None)
        if schema.written and isinstance(target, Handle) and target.place.parent is None:
            self.missing.tainted = True
        return UNKNOWN if len(schema.results) < 2 else [UNKNOWN] * len(schema.results)


class _NoRow(TranspileError):
    """The table has no row for the op."""


DATA_DEPENDENT = (
    "keep the decision in tensors (torch.where), or make the number an input that is fixed at capture"
)
FIX_DIM = "give the dim a size: --input NAME=1,3,...:DTYPE"
_SAME_SCALAR = frozenset(
    """
    detach clone alias contiguous lift_fresh squeeze cpu cuda view_as expand_as dropout
    lift_fresh_copy real
    """.split()
)


def as_scalar(value: Any) -> Scalar:
    """A Python number as the 0-d tensor that torch makes of it."""
    if isinstance(value, bool | host.Condition):
        return Scalar(value, DType.bool)
    if isinstance(value, float | host.Ratio):
        return Scalar(value, DType.f32)
    return Scalar(value, DType.i64)


def _stored(value: Any, dtype: DType) -> Any:
    """A number as a tensor of that type holds it."""
    if isinstance(value, Expr):
        return value
    if dtype is DType.bool:
        return bool(value)
    return int(value) if dtype.is_integer else float(value) if dtype.is_float else value


def _is_size(kind: str) -> bool:
    return "Tensor" not in kind and "int" in kind.lower()


def _is_tensor(kind: str) -> bool:
    return "Tensor" in kind


def _flat(values: Any) -> list[Any]:
    out: list[Any] = []
    for value in values:
        out.extend(_flat(value) if isinstance(value, list | tuple) else [value])
    return out


def _promote_tensors(lowering: Lowering, value: Any) -> Any:
    """Host scalars as 0-d tensors: for ops that have no host rule."""
    if isinstance(value, Scalar):
        return lowering.tensor(value)
    if isinstance(value, list | tuple):
        return [_promote_tensors(lowering, v) for v in value]
    return value
