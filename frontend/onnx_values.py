"""What flows through the walk of an ONNX graph, and what a row of the op table is given.

A value is an IR value, or a `Host`: an array that is known while the graph is walked (a constant,
an initializer, arithmetic on sizes), whose elements may be symbolic dims.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Param, Tensor, Value
from ..ir.dims import Expr, symbols
from ..ir.recipe import Constant, Read, Recipe
from .arrays import digest
from .host import Ratio
from .naming import ordinal_names
from .onnx_sizes import scalars

LISTED = "sequences work where their parts are known: no results, nothing that loops carry"
LITERAL = 16  # a list of numbers up to this length stands in the code


class Unknown:
    """The result of a call that could not be lowered."""


UNKNOWN = Unknown()


class NeedsValue(Exception):
    """A row needs the value of a graph input while the graph is walked."""

    def __init__(self, name: str, why: str, readable: bool = False):
        """`readable`: the emitted code can read it as well."""
        super().__init__(why)
        self.name, self.why, self.readable = name, why, readable


@dataclass(eq=False)
class Host:
    """An array known on the host; of dtype object where it holds symbolic dims.

    `initializer` is the name of the tensor in the file; its data is read when it is needed.
    """

    dtype: DType
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]
    initializer: str = ""
    name: str = ""
    single: bool = False  # an initializer that one node reads, or products alone
    narrow: int = 0  # bits of whole numbers that are stored in fewer than a byte

    @property
    def bits(self) -> int:
        """How many bits an element has."""
        return self.narrow or 8 * self.dtype.numpy.itemsize

    @cached_property
    def array(self) -> np.ndarray:
        return self.load()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def symbolic(self) -> bool:
        """Whether an element is a symbolic dim."""
        return not self.initializer and self.array.dtype == object

    @property
    def fractional(self) -> bool:
        """Whether an element is a quotient of sizes that was not rounded: no row takes it."""
        return self.symbolic and any(isinstance(v, Ratio) for v in self.array.reshape(-1))

    @property
    def foldable(self) -> bool:
        """Whether arithmetic on it is done here: sizes and small numbers, no weights."""
        if self.dtype.is_float or self.dtype.is_complex:
            return self.size <= (1 if self.initializer else 4096)
        return self.size <= 4096

    @property
    def number(self) -> Any:
        """The only element, as a Python number or a dim."""
        item = self.array.reshape(-1)[0]
        return item if isinstance(item, Expr | Ratio) else plain(item)


def plain(item: Any) -> Any:
    """The NumPy scalar as a Python number."""
    if isinstance(item, int | float | complex):
        return item if not isinstance(item, np.generic) else item.item()
    value = item.item() if isinstance(item, np.generic) else item
    return float(value) if not isinstance(value, bool | int | float | complex) else value


def host(array: Any, dtype: DType, name: str = "") -> Host:
    """A known array: `array` may hold dims. Objects without a dim become plain numbers."""
    array = np.asarray(array)
    if array.dtype == object:
        if not any(isinstance(v, Expr | Ratio) for v in array.reshape(-1)):
            array = array.astype(dtype.numpy)
    else:
        array = array.astype(dtype.numpy, copy=False)
    return Host(dtype, array.shape, lambda: array, name=name)


def dims_host(dims: Sequence[Any]) -> Host:
    """A list of dims as an int64 tensor."""
    array = np.empty(len(dims), object)
    array[:] = list(dims)
    return host(array, DType.i64)


Source = Value | Host | None


@dataclass(frozen=True, eq=False)
class Listed:
    """A sequence whose parts are known while the graph is walked."""

    parts: tuple[Any, ...]


@dataclass
class Names:
    """Names of parameters in the target: the file's own where they mean something."""

    taken: dict[str, str] = field(default_factory=dict)  # target name -> initializer
    given: dict[str, str] = field(default_factory=dict)  # initializer -> target name
    constants: dict[str, str] = field(default_factory=dict)  # target name -> digest
    found: dict[tuple[str, str], str] = field(default_factory=dict)  # wanted name, key -> name
    left: dict[str, Iterator[str]] = field(default_factory=dict)  # wanted name -> others, in turn
    adopted: dict[str, str] = field(default_factory=dict)  # initializer -> path of its reader
    matrices: dict[Recipe, Param] = field(default_factory=dict)  # those that are computed

    def free(self, path: str, role: str, key: str) -> str:
        prefix = f"{path}." if path else ""
        whole = prefix + role
        if (whole, key) not in self.found:
            names = self.left.setdefault(whole, ordinal_names(role))
            self.found[whole, key] = next(
                prefix + each for each in names if self.taken.setdefault(prefix + each, key) == key
            )
        return self.found[whole, key]


class Call:
    """One node while it is lowered: builder, attributes, opset, and ways to read its inputs."""

    def __init__(
        self,
        b: Builder,
        op: str,
        attrs: Mapping[str, Any],
        opset: int,
        outputs: Sequence[bool],
        state: Any,
        env: Any = None,
    ):
        self.b, self.op, self.attrs, self.opset, self.outputs = b, op, attrs, opset, outputs
        self.state = state  # the walk: input names, parameter names
        self.env = env  # the values that graphs inside the node can see

    def run(self, graph: Any, inputs: Sequence[Any]) -> list[Any]:
        """The results of a graph that is an attribute of the node."""
        found: list[Any] = self.state.subgraph(graph, inputs, self.env)
        return found

    # ---- attributes

    def attr(self, name: str, default: Any = None) -> Any:
        return self.attrs.get(name, default)

    def required(self, name: str) -> Any:
        if name not in self.attrs:
            raise TranspileError(f"the attribute {name} is missing")
        return self.attrs[name]

    def used(self, index: int) -> bool:
        """Whether the node's output of that number is there."""
        return index < len(self.outputs) and self.outputs[index]

    # ---- inputs

    def value(self, x: Source, dtype: DType | None = None, role: str = "") -> Value:
        """The input as an IR value (cast to the type)."""
        if x is None:
            raise TranspileError("a required input is missing")
        if isinstance(x, Listed):
            raise TranspileError(f"{self.op} of a sequence", hint=LISTED)
        out = x if isinstance(x, Value) else self._materialised(x, role)
        if dtype is not None and out.tensor.dtype is not dtype:
            out = self.b.op("cast", out, dtype=dtype)
        return out

    def maybe(self, x: Source, role: str = "") -> Value | None:
        return None if x is None else self.value(x, role=role)

    def operand(self, x: Source, rank: int = 0) -> Any:
        """The input for an arithmetic op: a Python number where it is one that is known."""
        if isinstance(x, Host) and x.size == 1 and x.rank <= rank and _real(x):
            return x.number
        return self.value(x)

    def static(self, x: Source, what: str) -> np.ndarray:
        """The input's elements, which must be known here: sizes, axes, shapes."""
        if isinstance(x, Host):
            return x.array
        if x is None:
            raise TranspileError(f"{what} is missing")
        name = self.state.input_name(x)
        if name is not None:
            raise NeedsValue(name, f"{what} of {self.op}")
        raise TranspileError(
            f"{what} is computed from data: shapes depend on what the inputs hold",
            hint="compute it from sizes or constants, or give it as an input of its own",
        )

    def elements(self, x: Source, what: str) -> list[Any]:
        """The elements as ints, dims, or values of rank 0 that only the data decides."""
        if not isinstance(x, Value):
            return [v if isinstance(v, Expr) else int(v) for v in self.static(x, what).reshape(-1)]
        self.found(x, what)
        return scalars(self, x, what)

    def found(self, x: Value, what: str) -> None:
        """The emitted code finds out what the value is; but an input of a few numbers is fixed
        by its example, where there is one.
        """
        name = self.state.input_name(x)
        if name is not None and name not in self.state.read:
            raise NeedsValue(name, f"{what} of {self.op}", readable=True)

    def dims(self, x: Source, what: str) -> list[Any]:
        """The elements as ints or dims; the emitted code reads what only the data decides."""
        found = self.elements(x, what)
        return [self.b.size(v) if isinstance(v, Value) else v for v in found]

    def ints(self, x: Source, what: str) -> list[int]:
        out = self.dims(x, what)
        for value in out:
            if not isinstance(value, int):
                hint = "fix the dim with --input"
                if any(s.low == 0 for s in symbols(value)):
                    hint = "compute it from sizes or constants"
                raise TranspileError(f"{what} is {value}, it must be a fixed number", hint=hint)
        return out

    def scalar(self, x: Source, what: str) -> Any:
        """The only element, known here."""
        flat = self.static(x, what).reshape(-1)
        return flat[0] if isinstance(flat[0], Expr) else plain(flat[0])

    # ---- making values

    def _materialised(self, x: Host, role: str) -> Value:
        if x.symbolic:
            return self._of_dims(x)
        nameless = x.rank == 0 and not x.name and not self.state.readable(x.initializer)
        if x.initializer and not (nameless and not x.dtype.is_complex):
            return self._parameter(x, role)
        return self.constant(x.array, x.dtype, role or x.name)

    def _parameter(self, x: Host, role: str) -> Param:
        """The tensor of the file under a name of the target.

        Exporters keep one of several equal tensors. Where a module reads the tensor of a module of
        the same name, it gets a parameter of its own with the same recipe.
        """
        graph, names = self.b.graph, self.state.names
        path = names.adopted.get(x.initializer) or x.name
        path = path or self._made_name(self.state.readable(x.initializer), role)
        scope, _, last = path.rpartition(".")
        own = self.b.scope.path
        twin = scope != own and scope.rpartition(".")[2] == own.rpartition(".")[2]
        if path and scope and twin and scope.count(".") == own.count("."):
            path = f"{own}.{last}"
        key = f"{x.initializer}\n{path}"
        if key not in names.given:
            scope, _, last = path.rpartition(".")
            place, name = (scope, last) if path else (own, role or self.state.role)
            names.given[key] = names.free(place, name, key)
        buffer = not (x.dtype.is_float or x.dtype.is_complex)
        kind = Tensor(x.dtype, x.shape)
        param = graph.param(names.given[key], kind, Read(x.initializer), buffer)
        self.state.stored[param] = x
        return param

    def adopt(self, x: Host, role: str) -> None:
        """Name a tensor that has the name of another module after the first one that reads it."""
        path, own = self.state.readable(x.initializer), self.b.scope.path
        owner = path.rpartition(".")[0]
        related = f"{own}.".startswith(f"{owner}.") or f"{owner}.".startswith(f"{own}.")
        if own and not related and owner in self.state.scopes.known:
            self.state.names.adopted.setdefault(x.initializer, f"{own}.{role}")

    def _made_name(self, path: str, role: str) -> str:
        """The path by its role, where exporters called a tensor that they made after another one.

        A norm folded into the convolution with `conv1.weight` leaves `conv1.weight_bias`.
        """
        known = self.state.model.graph.initializers
        stem, own = path.removesuffix(f"_{role}"), f"{path.rpartition('.')[0]}.{role}"
        made = role and stem != path and stem in known and own not in known
        return own.lstrip(".") if made else path

    def _of_dims(self, x: Host) -> Value:
        items = [self._of_dim(v, x.dtype) for v in x.array.reshape(-1)]
        if x.shape == ():
            return items[0]
        out = self.b.op("stack", *items, axis=0)
        return out if x.rank == 1 else self.b.op("reshape", out, shape=x.shape)

    def _of_dim(self, dim: Any, dtype: DType) -> Value:
        if isinstance(dim, Ratio):
            return self.b.op("divide", *(self._of_dim(d, dtype) for d in (dim.over, dim.under)))
        value = dim if isinstance(dim, Expr) else plain(dim)
        return self.b.op("full", shape=(), value=value, dtype=dtype)

    def constant(self, array: np.ndarray, dtype: DType, role: str = "") -> Value:
        """A tensor whose data is known: in the code where it is short, else stored."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        flat = array.reshape(-1)
        uniform = flat.size and bool((flat == flat[0]).all())
        if (uniform or not flat.size) and not dtype.is_complex:
            value = plain(flat[0]) if flat.size else 0
            return self.b.op("full", shape=array.shape, value=value, dtype=dtype)
        if array.ndim == 1 and flat.size <= LITERAL and _writable(flat, dtype):
            return self.b.op("literal", values=tuple(plain(v) for v in flat), dtype=dtype)
        key = digest(array)
        name = self.state.names.free(self.b.scope.path, role or "constant", f"constant:{key}")
        return self.b.graph.param(
            name, Tensor(dtype, array.shape), Constant(array, key), buffer=True
        )


def _writable(flat: np.ndarray, dtype: DType) -> bool:
    if dtype.is_complex or dtype is DType.bool:
        return False
    return bool(np.isfinite(flat.astype(np.float64)).all())


def _real(x: Host) -> bool:
    return not x.dtype.is_complex


Row = Callable[..., Any]
