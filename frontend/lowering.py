"""Executes ATen calls on the values of a walk, building IR nodes.

Both torch frontends walk their source and hand every ATen call to `Lowering.call`. The values that
flow are `Handle`s (tensors that may share memory), `Scalar`s (0-d tensors known on the host),
numbers, sizes, strings, `DType`s, None, and lists, tuples and dicts of these. Calls that no row
covers are collected; the walk goes on with `UNKNOWN` in the place of their results, so that
`finish` can report all of them at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Graph, InferError, Unequal, Value
from . import data_numbers, host, op_groups, views
from .alias import Handle, owner, read
from .aten import ATEN, Row
from .host import Scalar, as_scalar
from .missing import Missing
from .schema import DROPPED, Parameter, Schema, flat
from .sharing import is_dense, mutate, reshape, view


class Unknown:
    """The result of a call that could not be lowered."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Lowering:
    """One walk: the builder, whose scope, source and hint the walk sets, and what is missing."""

    def __init__(self, graph: Graph, table: Mapping[str, Row] = ATEN):
        self.b = Builder(graph)
        self.table = table
        self.missing = Missing()
        self.dropped: list[str] = []  # places of assertions on data that are left out
        self.overwritten: list[Scalar] = []  # numbers that an in-place op has replaced

    # ---- values

    def read(self, value: Any) -> Any:
        """What a row takes for a source value: handles become IR values, host scalars numbers."""
        match value:
            case Handle():
                return read(value.place)
            case Scalar() | data_numbers.DataNumber():
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
        if isinstance(value, data_numbers.DataNumber):
            return owner(value.value, dense=True)
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

    def check_current(self, values: Sequence[Any]) -> None:
        """TranspileError where a number is read by the name it had before it was written to."""
        if any(value is old for value in values for old in self.overwritten):
            raise TranspileError("a number is read after an in-place op has changed it")

    # ---- calls

    def call(
        self, schema: Schema, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """The op's result: one source value, or a list of them where the op has several results.

        Raises Unequal for an equation between sizes, TranspileError (with the place in the source)
        for a call that cannot be lowered although its op has a row.
        """
        bound = schema.bind(args, kwargs or {})
        if any(v is UNKNOWN for v in flat(bound.values())):
            return self._poisoned(schema, bound)
        try:
            self.check_current(flat(bound.values()))
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
        return f"{schema.full_name} in {self.place()}"

    def place(self) -> str:
        """Module path and source line of what is under way."""
        at = f" at {self.b.source.at}" if self.b.source else ""
        return f"{self.b.scope.path or self.b.graph.name}{at}"

    def finish(self) -> None:
        """TranspileError with every call that could not be lowered, if there are any."""
        self.missing.report()

    def _call(self, schema: Schema, bound: dict[str, Any]) -> Any:
        bound = self._decided(schema, bound)
        tensors = [
            v
            for p in schema.parameters
            if _is_tensor(p.type)
            for v in flat([bound[p.name]])
            if v is not None
        ]
        if schema.written and (schema.name.endswith("_") or "out" in bound):
            return mutate(self, schema, bound)
        if tensors and all(isinstance(t, Scalar) or host.is_number(t) for t in tensors):
            result = self.on_host(schema, bound)
            if result is not None:
                return result
            bound = {k: _promote_tensors(self, v) for k, v in bound.items()}
        if schema.name in views.VIEWS:
            return view(self, schema, bound, views.VIEWS[schema.name])
        return self._wrap(schema, bound, self.apply(schema, schema.name, bound))

    def _decided(self, schema: Schema, bound: dict[str, Any]) -> dict[str, Any]:
        """The arguments, with numbers that the data decides as sizes or values."""
        if schema.name in op_groups.NUMBERS_ARE_SIZES:
            bound = {k: self._number(v) for k, v in bound.items()}
        if not any(map(data_numbers.has_data, bound.values())):
            return bound
        return {
            p.name: data_numbers.as_argument(self.b, schema, bound, p) for p in schema.parameters
        }

    def _number(self, value: Any) -> Any:
        if not isinstance(value, Handle):
            return value
        return data_numbers.read_number(self.b, self.read(value))

    def compute(self, name: str, values: Sequence[Any]) -> Any:
        """Arithmetic of Python numbers, some of which the data decides."""
        values = [self._number(v) for v in values]
        return data_numbers.compute(self.b, self.table, name, values)

    def on_host(self, schema: Schema, bound: dict[str, Any]) -> Any:
        """A call whose tensors are all host scalars; None where it has to become nodes."""
        first = next(iter(bound.values()))
        if schema.name in ("item", "_local_scalar_dense") and isinstance(first, Scalar):
            return first.value
        if schema.name in ("to", "type_as", "_to_copy") and isinstance(first, Scalar):
            other = bound.get("other")
            dtype = other.dtype if isinstance(other, Scalar) else bound.get("dtype")
            return host.cast(first, dtype) if isinstance(dtype, DType) else first
        if schema.name in op_groups.SAME_SCALAR:
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

    def apply(
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
        weak = name in op_groups.TAKES_NUMBERS
        args, kwargs = [], {}
        for p in schema.parameters:
            if p.name in skip or p.name in DROPPED:
                continue
            value = bound[p.name]
            if isinstance(value, list | tuple) or (isinstance(value, Scalar) and not weak):
                value = self._materialised(p.type, value)
            _check_known(name, p, value)
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
        """Source values for a row's result; the operand's own handle where an op hands it on."""
        if isinstance(result, tuple | list):
            return [self._wrap(schema, bound, r) for r in result]
        if isinstance(result, data_numbers.DataNumber):
            return result
        if not isinstance(result, Value):
            return as_scalar(result) if host.is_number(result) else result
        first = next((v for v in bound.values() if isinstance(v, Handle)), None)
        if first is not None and result is first.place.value and _hands_through(schema.name, first):
            return first
        if first is not None and schema.name in op_groups.RESHAPES:
            return reshape(self, schema, bound, first, result)
        return owner(result, dense=is_dense(schema.name, bound))

    # ---- calls that cannot be lowered

    def _poisoned(self, schema: Schema, bound: Mapping[str, Any]) -> Any:
        name = schema.name.rstrip("_") if schema.written else schema.name
        known = name in views.VIEWS or name in ("copy", "fill", "zero") or name in host.NUMBERS
        if not known and self._row(name, schema) is None and schema.namespace == "aten":
            self.missing.add(schema.full_name, self.b)
        return self._unknown(schema, bound)

    def _refused(self, schema: Schema, bound: Mapping[str, Any], error: TranspileError) -> Any:
        self.missing.add(schema.full_name, self.b, None if isinstance(error, _NoRow) else error)
        return self._unknown(schema, bound)

    def _unknown(self, schema: Schema, bound: Mapping[str, Any]) -> Any:
        target = next(iter(bound.values()), None)
        if schema.written and isinstance(target, Handle) and target.place.parent is None:
            self.missing.tainted = True
        return UNKNOWN if len(schema.results) < 2 else [UNKNOWN] * len(schema.results)


class _NoRow(TranspileError):
    """The table has no row for the op."""


DATA_DEPENDENT = "decide in tensors (torch.where), or make the number an input fixed at capture"
FIX_DIM = "give the dim a size: --input NAME=1,3,...:DTYPE"


def _hands_through(name: str, handle: Handle) -> bool:
    """Whether an op that leaves the value as it is returns its operand itself."""
    return name in op_groups.IDENTITIES and (name != "contiguous" or handle.place.dense)


def _check_known(name: str, parameter: Parameter, value: Any) -> None:
    """TranspileError where a size is read from a tensor."""
    if _is_tensor(parameter.type) or "int" not in parameter.type.lower():
        return
    if (name, parameter.name) in data_numbers.PLACES:
        return
    if any(isinstance(v, Handle) for v in flat([value])):
        raise TranspileError(
            f"the argument {parameter.name} of {name} is read from a tensor: shapes depend on data",
            hint=DATA_DEPENDENT,
        )


def _is_tensor(kind: str) -> bool:
    return "Tensor" in kind


def _promote_tensors(lowering: Lowering, value: Any) -> Any:
    """Host scalars as 0-d tensors: for ops that have no host rule."""
    if isinstance(value, Scalar):
        return lowering.tensor(value)
    if isinstance(value, list | tuple):
        return [_promote_tensors(lowering, v) for v in value]
    return value
