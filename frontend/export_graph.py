"""Walks the graph of an exported program and builds the IR of it."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Graph, Tensor
from ..ir.dims import product
from ..ir.recipe import Constant, Read
from . import export_rnn, host
from .alias import Handle, owner
from .arrays import digest, to_numpy
from .data_numbers import has_data
from .export_control import CONTROL
from .export_trace import Scopes, hints, root_class, source_of
from .host import Scalar
from .library_ops import twin_schema
from .lowering import UNKNOWN, Lowering
from .naming import ordinal_names
from .schema import Schema, dtype_from_torch, flat, from_torch

# Higher-order ops that run a sub-graph as it is: where the sub-graph stands among their arguments.
_INLINED = {
    "wrap_with_set_grad_enabled": 1,
    "wrap_with_autocast": 4,
    "tag_activation_checkpoint": 0,
    "wrap_activation_checkpoint": 0,
    "wrap": 0,
}
_CHECKS = (
    "_assert", "sym_constrain_range", "_check", "_functional_assert", "_guards_fn",
)  # fmt: skip


class Walk:
    """One walk over a graph module with dims for its inputs."""

    def __init__(
        self,
        module: Any,
        tensors: Mapping[str, Any],
        buffers: frozenset[str],
        same: Mapping[str, str],
        name: str = "",
    ):
        stacks = [n.meta.get("nn_module_stack") for n in module.graph.nodes]
        self.graph = Graph(name or root_class(stacks) or "Model")
        self.module, self.tensors, self.buffers = module, tensors, buffers
        self.lowering = Lowering(self.graph)
        self.baked: dict[str, Any] = {}
        self.scopes = Scopes(self.graph, same)

    # ---- what placeholders stand for

    def param(self, name: str) -> Handle | Scalar:
        """A tensor that the source's checkpoint holds. Integers of rank 0 stand in the code."""
        tensor = self.tensors[name]
        if not tensor.dim() and not tensor.is_floating_point() and not tensor.is_complex():
            self.baked[name] = tensor.item()
            return Scalar(tensor.item(), dtype_from_torch(tensor.dtype))
        type = Tensor(dtype_from_torch(tensor.dtype), tuple(tensor.shape))
        value = self.graph.param(name, type, Read(name), buffer=name in self.buffers)
        return owner(value, tensor.is_contiguous(), source=name)

    def constant(self, name: str, tensor: Any, readable: str = "") -> Handle | Scalar:
        """A tensor that stands in the source's code. 0-d ones are numbers."""
        dtype = dtype_from_torch(tensor.dtype)
        if tensor.dim() == 0 and not dtype.is_complex:
            return Scalar(tensor.item(), dtype)
        data = to_numpy(tensor)
        type = Tensor(dtype, tuple(tensor.shape))
        recipe = Constant(data, digest(data))
        name = self._constant_name(name, readable, recipe)
        value = self.graph.param(name, type, recipe, buffer=True)
        return owner(value, tensor.is_contiguous())

    def _constant_name(self, name: str, readable: str, recipe: Constant) -> str:
        """The attribute's own name; for a literal the variable that it was assigned to."""
        scope, dot, last = name.rpartition(".")
        scope = self.scopes.same.get(scope, scope)
        if not _LIFTED.fullmatch(last):
            return name
        names = (f"{scope}{dot}{each}" for each in ordinal_names(readable or "constant"))
        return next(n for n in names if n not in self.tensors and self._holds(n, recipe))

    def _holds(self, name: str, recipe: Constant) -> bool:
        """Whether the name is free, or that constant's already."""
        held = self.graph.params.get(name)
        return held is None or held.recipe == recipe

    # ---- nodes

    def run(self, module: Any, values: Mapping[str, Any]) -> Any:
        """The graph's outputs, nested as its output node has them, as source values."""
        named = variables(module.graph)
        env: dict[Any, Any] = {}
        for node in module.graph.nodes:
            if node.op == "placeholder":
                env[node] = values[node.name]
            elif node.op == "output":
                return self._args(node.args[0], env)
            elif node.op == "get_attr":
                env[node] = self._attribute(module, node)
            else:
                env[node] = self._node(node, named.get(node, ()), env)
        raise TranspileError("the graph returns nothing")

    def _attribute(self, module: Any, node: Any) -> Any:
        import torch

        target = module
        for part in node.target.split("."):
            target = getattr(target, part)
        if not isinstance(target, torch.Tensor):
            return target
        if node.target in self.tensors:
            return self.param(node.target)
        return self.constant(node.target, target)

    def _node(self, node: Any, names: tuple[str, ...], env: Mapping[Any, Any]) -> Any:
        b = self.lowering.b
        b.scope = self.scopes.enter(node.meta.get("nn_module_stack"))
        b.source = source_of(node.meta.get("stack_trace"))
        if not node.users and node.meta.get("val") is None and not node.is_impure():
            return None  # a type that nothing reads, as `promote_types` gives
        args = self._args(node.args, env)
        kwargs = {k: self._args(v, env) for k, v in node.kwargs.items()}
        result = self._call(node, args, kwargs)
        self._check(node, result)
        _name(result, names)
        return result

    def _args(self, value: Any, env: Mapping[Any, Any]) -> Any:
        import torch

        if isinstance(value, torch.fx.Node):
            return env[value]
        if isinstance(value, list | tuple):
            return type(value)(self._args(v, env) for v in value)
        if isinstance(value, dict):
            return {k: self._args(v, env) for k, v in value.items()}
        if isinstance(value, slice):
            return slice(*(self._args(v, env) for v in (value.start, value.stop, value.step)))
        return value

    def _call(self, node: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        target = node.target
        name = getattr(target, "__name__", str(target))
        if target is operator.getitem:
            return UNKNOWN if args[0] is UNKNOWN else args[0][args[1]]
        if isinstance(target, str) or node.op != "call_function":
            return self._foreign(str(target))
        if any(name.startswith(prefix) for prefix in _CHECKS):
            return None
        namespace = getattr(target, "namespace", "")
        if namespace == "higher_order" or type(target).__name__.endswith("HigherOrderOperator"):
            return self._inline(str(target), args)
        if not hasattr(target, "_schema"):
            return self._on_sizes(name, args)
        return self._aten(from_torch(_schema(target)), args, kwargs)

    def _aten(self, schema: Schema, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if any(a is UNKNOWN for a in args[:1]) and schema.name in ("sym_size", "sym_numel"):
            return UNKNOWN
        match schema.name:
            case "sym_size" if len(args) == 2:
                return args[0].type.shape[args[1]]
            case "sym_numel":
                return product(args[0].type.shape)
            case "detach_" | "lift_fresh" | "lift_fresh_copy" if isinstance(args[0], Scalar):
                return args[0]
        if any(isinstance(a, host.Condition) for a in args):
            raise TranspileError(
                f"the model decides by {next(a for a in args if isinstance(a, host.Condition))}",
                where=self.lowering.where(schema),
            )
        return self.lowering.call(schema, args, kwargs)

    def _inline(self, name: str, args: Sequence[Any]) -> Any:
        """A sub-graph that only carries a mode, or a choice or loop of sub-graphs."""
        if name in CONTROL:
            if any(a is UNKNOWN for a in flat(args)):
                return UNKNOWN
            return CONTROL[name](self, args)
        at = _INLINED.get(name)
        if at is None:
            return self._foreign(f"higher_order.{name}")
        inner = args[at]
        holders = [n.name for n in inner.graph.nodes if n.op == "placeholder"]
        return self.run(inner, dict(zip(holders, args[at + 1 :], strict=True)))

    def _foreign(self, name: str) -> Any:
        self.lowering.missing.add(name, self.lowering.b)
        return UNKNOWN

    def _on_sizes(self, name: str, args: Sequence[Any]) -> Any:
        """Arithmetic of sizes: operator.add, math.floor, torch.sym_max ..."""
        if any(a is UNKNOWN for a in args):
            return UNKNOWN
        args = [a.value if isinstance(a, Scalar) else a for a in args]
        plain = _SIZE_NAMES.get(name, name.removeprefix("sym_").removeprefix("_sym_"))
        if any(map(has_data, args)):
            return self.lowering.compute(_CONVERSIONS.get(plain, plain), args)
        function = _SIZES.get(plain) or host.NUMBERS.get(plain)
        if function is None:
            return self._foreign(name)
        try:
            return function(*args)
        except host.NotHost as error:
            where = self.lowering.b.source
            raise TranspileError(
                f"a size is computed as {error}", where=where.at if where else ""
            ) from None

    def _check(self, node: Any, result: Any) -> None:
        """The types must be torch's own: they show autocast, and mistakes of a row."""
        expected = node.meta.get("val")
        if not isinstance(result, Handle) or not hasattr(expected, "dtype"):
            return
        dtype = dtype_from_torch(expected.dtype)
        if result.type.dtype is not dtype or result.type.rank != expected.dim():
            b = self.lowering.b
            raise TranspileError(
                f"{node.target} gives {result.type}, torch says {dtype} of rank {expected.dim()}",
                where=(b.scope.path or b.graph.name) + (f" at {b.source.at}" if b.source else ""),
                hint="autocast is not supported: export the model without it",
            )


def _schema(target: Any) -> Any:
    """The schema of the ATen op that an operator is, or stands for."""
    namespace, _, name = target._schema.name.partition("::")
    if namespace == export_rnn.NAMESPACE:
        return export_rnn.aten_schema(name)
    return twin_schema(target._schema.name) or target._schema


_LIFTED = re.compile(r"lifted_tensor_\d+|_?tensor_constant_?\d+")


def variables(graph: Any) -> dict[Any, tuple[str, ...]]:
    """The variables that the results of a graph's nodes are assigned to."""
    calls = [n for n in graph.nodes if n.op == "call_function" and not _is_plumbing(n.target)]
    return dict(zip(calls, hints([n.meta.get("stack_trace") for n in calls]), strict=True))


def _is_plumbing(target: Any) -> bool:
    return target is operator.getitem or any(part in str(target) for part in _CHECKS)


def constant_names(graph: Any) -> dict[str, str]:
    """Variables that placeholders are assigned to: `scale = torch.tensor(...)`."""
    named = variables(graph)
    out: dict[str, str] = {}
    for node in graph.nodes:
        if node.op == "placeholder":
            user = next(iter(node.users), None)
            while user is not None and _is_copy(user) and not named.get(user):
                user = next((u for u in user.users if _is_copy(u)), None)
            names = named.get(user, ())
            if user is not None and _is_copy(user) and len(names) == 1:
                out[node.name] = names[0]
    return out


def recurrent(graph: Any) -> bool:
    """Whether the graph holds recurrent layers as torch itself exports them."""
    calls = (str(n.target) for n in graph.nodes if n.op == "call_function")
    return any(name.startswith(("aten.lstm.", "aten.gru.", "aten.rnn_")) for name in calls)


def _is_copy(node: Any) -> bool:
    return any(part in str(node.target) for part in ("lift_fresh", "detach", "clone"))


def _name(result: Any, names: tuple[str, ...]) -> None:
    """The variables that an op's results are assigned to: `h = ...`, `q, k = x.chunk(2)`."""
    parts = result if isinstance(result, list | tuple) else [result]
    if len(names) == len(parts):
        for part, name in zip(parts, names, strict=True):
            if isinstance(part, Handle) and not part.place.value.hint:
                part.place.value.hint = name


_SIZE_NAMES = {
    "truediv": "true_divide", "int_truediv": "true_divide", "int": "int", "not_": "logical_not",
    "not": "logical_not", "and_": "__and__", "or_": "__or__", "trunc": "trunc", "mod": "mod",
}  # fmt: skip
_CONVERSIONS = {"int": "Int", "float": "Float", "bool": "Bool"}
_SIZES: dict[str, Callable[..., Any]] = {
    "int": host.to_int,
    "float": host.to_float,
    "ite": lambda condition, a, b: (
        (a if condition else b) if isinstance(condition, bool) else _undecided(condition)
    ),
    "sum": lambda values: sum(values[1:], start=values[0]),
    "pos": lambda a: a,
    "index": lambda a: a,
    "isqrt": lambda a: math.isqrt(a),
}


def _undecided(condition: Any) -> Any:
    raise host.NotHost(f"a choice by {condition}")
