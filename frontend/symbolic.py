"""The symbolic domain: a walk in it builds the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import DType, Graph, Param, Scope, Tensor
from ..ir.dims import Expr, bounds, data_decides
from ..ir.recipe import Constant, Read
from . import control, host, torch_loops
from .alias import Handle, owner
from .arrays import digest, to_numpy
from .data_numbers import DataNumber, has_data, number_of, read_number
from .grown import on_list
from .host import Scalar, as_scalar
from .lowering import UNKNOWN, Lowering
from .naming import ordinal_names
from .promotion import cast
from .schema import Schema, dtype_from_torch, flat, parse, torch_dtype
from .world import World

_UNROLLED = 64  # turns of a loop that is written out turn by turn, whatever it holds
_NODES = 1000  # beyond these turns: nodes
_NOT_PLAIN = Expr | host.Ratio | host.Condition | DataNumber
_STACK = "aten::stack(Tensor[] tensors, int dim=0) -> Tensor"


class ParameterNames:
    """Names of a module's tensors; those that share memory go by the first of their names."""

    def __init__(self, state: Mapping[str, Any], parameters: set[str]):
        self.state, self.parameters = dict(state), parameters
        self._first: dict[Any, str] = {}
        self.aliases: dict[str, str] = {}
        for name, tensor in self.state.items():
            first = self._first.setdefault(_memory(tensor), name) if tensor.numel() else name
            if first != name:
                self.aliases[name] = first

    def name(self, tensor: Any, path: str) -> str:
        if tensor.numel() and path not in self.state:
            return self._first.get(_memory(tensor), path)
        return self.aliases.get(path, path)

    def held(self, tensor: Any) -> str:
        """The name of the module's tensor that this one is; "" for others."""
        return self._first.get(_memory(tensor), "") if tensor.numel() else ""


def _memory(tensor: Any) -> Any:
    place = tensor.untyped_storage().data_ptr(), tensor.storage_offset()
    return *place, tuple(tensor.shape), tuple(tensor.stride()), tensor.dtype


class Symbolic:
    """Tensors are `Handle`s on IR values; sizes are dims."""

    def __init__(self, graph: Graph, names: ParameterNames, free: bool = False):
        """`free`: sizes are not fixed for the sake of a branch on them; both sides are kept."""
        self.graph, self.names, self.free = graph, names, free
        self.lowering = Lowering(graph)
        self.tensors: dict[str, Any] = {}
        self.baked: dict[str, Any] = {}
        self._handles: dict[str, Handle] = {}

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Handle | Scalar)

    def is_unknown(self, value: Any) -> bool:
        return value is UNKNOWN

    def call(self, schema: Schema, args: Sequence[Any]) -> Any:
        return self.lowering.call(schema, args)

    def shape(self, tensor: Any) -> list[Any]:
        return list(tensor.type.shape) if isinstance(tensor, Handle) else []

    def dtype(self, tensor: Any) -> DType:
        return tensor.type.dtype if isinstance(tensor, Handle) else tensor.dtype

    def number(self, value: Any) -> Any:
        if isinstance(value, Scalar):
            self.lowering.check_current([value])
            return value.value
        if isinstance(value, Handle):
            return read_number(self.lowering.b, self.lowering.read(value))
        return value

    def compute(self, name: str, values: Sequence[Any]) -> Any:
        return self.lowering.compute(name, values)

    def from_number(self, value: Any) -> Any:
        if value is UNKNOWN:
            return value
        return self.lowering.tensor(value) if has_data(value) else as_scalar(value)

    def literal(self, value: Any, dtype: DType | None, name: str, scope: Scope) -> Any:
        import torch

        if host.is_number(value) and not isinstance(value, complex):
            scalar = as_scalar(value)
            return host.cast(scalar, dtype) if dtype else scalar
        if isinstance(value, DataNumber):
            return self._cast(self.lowering.tensor(value), dtype)
        if any(isinstance(v, _NOT_PLAIN) for v in flat([value])):
            numbers = [self._cast(self.lowering.tensor(v), dtype) for v in value]
            return self.lowering.call(parse(_STACK), [numbers, 0])
        made = torch.tensor(value, dtype=torch_dtype(dtype) if dtype else None)
        return self.constant(made, name, scope)

    def _cast(self, handle: Handle, dtype: DType | None) -> Handle:
        value = self.lowering.read(handle)
        return owner(cast(self.lowering.b, value, dtype), dense=True)

    def constant(self, tensor: Any, name: str, scope: Scope) -> Any:
        if tensor.dim() == 0 and not tensor.is_complex():
            return Scalar(tensor.item(), dtype_from_torch(tensor.dtype))
        if held := self.names.held(tensor):  # in a list, such as a layer's flat weights
            return self.attribute(tensor, held)
        array = to_numpy(tensor)
        recipe = Constant(array, digest(array))
        path = self._free_name(scope.path, name or "constant", recipe)
        return self._parameter(path, tensor, recipe, buffer=True)

    def _free_name(self, path: str, name: str, recipe: Constant) -> str:
        """`path.name`, or `path.second_name` and so on where another tensor is called so."""
        prefix = f"{path}." if path else ""
        return next(
            candidate
            for candidate in (f"{prefix}{each}" for each in ordinal_names(name))
            if self._is_free(candidate, recipe)
        )

    def _is_free(self, name: str, recipe: Constant) -> bool:
        taken = self.graph.params.get(name)
        return name not in self.names.state and (taken is None or taken.recipe == recipe)

    def attribute(self, tensor: Any, path: str) -> Any:
        name = self.names.name(tensor, path)
        if tensor.dim() == 0 and not tensor.is_floating_point() and not tensor.is_complex():
            self.baked[name] = tensor.item()
            return Scalar(tensor.item(), dtype_from_torch(tensor.dtype))
        if name in self.names.parameters and name in self._handles:
            return self._handles[name]
        return self._parameter(name, tensor, Read(name), buffer=name not in self.names.parameters)

    def _parameter(self, name: str, tensor: Any, recipe: Any, buffer: bool) -> Handle:
        if name not in self._handles:
            type = Tensor(dtype_from_torch(tensor.dtype), tuple(tensor.shape))
            value: Param = self.graph.param(name, type, recipe, buffer)
            self.tensors[name] = tensor
            self._handles[name] = owner(value, dense=tensor.is_contiguous(), source=name)
        return self._handles[name]

    def decided(self, value: Any) -> bool:
        """Whether the data decides a condition."""
        if isinstance(value, host.Condition):
            return self.free or data_decides(*(d for d in value.dims if isinstance(d, Expr)))
        return isinstance(value, Handle | DataNumber)

    def branch(
        self, condition: Any, env: Mapping[str, Any], sides: Sequence[Callable[[], list[Any]]]
    ) -> list[Any]:
        """One of two sides, by a condition that the data decides."""
        if not isinstance(condition, host.Condition):
            condition = self.lowering.compute("Bool", [self.number(condition)])
        if isinstance(condition, bool):
            return sides[not condition]()
        return control.branch(self.lowering, condition, World(env), sides)

    def beyond_host(self, name: str, values: Sequence[Any], why: str) -> Any:
        """Arithmetic of sizes that has no form as a size: numbers, where the data decides it."""
        sizes = [v for v in values if isinstance(v, Expr)]
        if not data_decides(*sizes):
            raise TranspileError(
                f"a size is computed as {why}",
                where=self.lowering.place(),
                hint="give the dim a size: --input NAME=1,3,...:DTYPE",
            )
        return self.compute(name, [number_of(self.lowering.b, v) for v in values])

    # ---- loops

    def mark(self, env: Mapping[str, Any], calls: Counter[str]) -> Any:
        """Where the walk stands, for `rewind`."""
        low = self.lowering
        nodes, entries = len(self.graph.nodes), dict(low.missing.entries)
        return World(env), Counter(calls), nodes, entries, low.missing.tainted, low.b.found.mark()

    def rewind(self, mark: Any) -> Counter[str]:
        """Forget what was done since the mark."""
        world, calls, nodes, entries, tainted, found = mark
        world.restore()
        del self.graph.nodes[nodes:]
        self.lowering.missing.entries, self.lowering.missing.tainted = entries, tainted
        self.lowering.b.found.forget(found)
        counted: Counter[str] = Counter(calls)
        return counted

    def open_ended(self, count: Any, running: Any, turn: int, mark: Any) -> bool:
        """Whether turn after turn does not do: the end is not known, or far away."""
        if not isinstance(count, int) or not isinstance(running, bool):
            return running is not UNKNOWN
        return turn > _UNROLLED and len(self.graph.nodes) - mark[2] > _NODES

    def has_turn(self, count: Any, running: Any) -> bool:
        """Whether the loop has a first turn for sure."""
        low = bounds(count)[0] if isinstance(count, int | Expr) else None
        return running is True and low is not None and low > 0

    def loop(
        self, count: Any, running: Any, carried: list[Any], env: Mapping[str, Any], body: Any
    ) -> list[Any]:
        """The carried variables after a loop whose end the data or a free size decides."""
        low = self.lowering
        world = World({**env, " carried": carried})
        trips = torch_loops.turns_of(low, count)
        return torch_loops.run_loop(low, torch_loops.Loop(trips, running, carried, world, body))

    def on_list(self, name: str, values: Sequence[Any]) -> Any:
        """An op on a list that grew in a loop."""
        return on_list(self.lowering.b, name, values[0], list(values[1:]))

    # ---- branches

    def truth(self, value: Any, what: str) -> bool | None:
        if value is UNKNOWN:
            return None
        number = self.number(value)
        if isinstance(number, host.Condition):
            raise TranspileError(
                f"{what} depends on the sizes of the inputs: {number}",
                hint="give the dim a size: --input NAME=1,3,...:DTYPE",
            )
        return True if isinstance(number, Expr | host.Ratio) else bool(number)

    def result(self, value: Any) -> Any:
        """A source value as the graph's result holds it."""
        if isinstance(value, Scalar | DataNumber):
            value = self.lowering.tensor(value)
        if isinstance(value, Handle):
            return self.lowering.read(value)
        if isinstance(value, list | tuple):
            return type(value)(self.result(v) for v in value)
        if isinstance(value, dict):
            return {k: self.result(v) for k, v in value.items()}
        return value
