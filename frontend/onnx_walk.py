"""The walk: each ONNX node is handed to its row, with its inputs as IR values or known arrays.

Functions of the model, and operators that have no row but a definition as a function in the
standard, are walked as graphs of their own, in a scope of their own where the model names one.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

import onnx_ir

from ..errors import TranspileError
from ..ir import Builder, Graph, InferError, Node, Source, Tensor, Unequal, Value
from . import onnx_sequences
from .missing import Missing
from .onnx_host import on_host
from .onnx_names import hint_of, line_of, readable
from .onnx_ops import find
from .onnx_random import ROWS as RANDOM
from .onnx_read import DTYPES, NARROW, array_of, dtype_of
from .onnx_schema import check_node
from .onnx_scopes import Scopes
from .onnx_tied import Tied, names_by_bias
from .onnx_values import LISTED, UNKNOWN, Call, Host, Listed, Names, host

Env = MutableMapping[Any, Any]  # an onnx-ir value -> Source or UNKNOWN
_DOMAINS = {"": "", "ai.onnx": ""}
_LISTS = {*onnx_sequences.ROWS, "Identity", "If", "Loop", "Scan"}  # take sequences
_ROLES = {"Mul": "weight", "Add": "bias"}  # of tensors without a name, where the row names none


class Walk:
    """One pass over a model that builds a graph."""

    def __init__(self, model: Any, graph: Graph):
        self.model, self.graph = model, graph
        self.b = Builder(graph)
        self.missing = Missing()
        self.names = Names()
        self.scopes = Scopes(graph, list(model.graph))
        self.tied = Tied(model.graph)
        self.names.adopted.update(names_by_bias(model.graph))
        self.inputs: dict[Value, str] = {}
        self.drawn: dict[Node, str] = {}  # the output of the main graph that a draw is
        self.seeds: list[str] = []  # seeds of the file, which fix nothing
        self.read: set[str] = set()  # inputs whose values the emitted code reads as sizes
        self.stored: dict[Value, Host] = {}  # the tensor of the file that a parameter is
        self.role = ""
        self.depth = 0
        self.opsets = dict(model.opset_imports)

    # ---- what rows ask for

    def input_name(self, value: Value) -> str | None:
        """The graph input that decides a value, where only short lists of numbers do."""
        leaves: list[Value] = []
        seen: set[Value] = set()
        waiting = [value]
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self.inputs:
                leaves.append(current)
            elif current.node is not None:
                waiting += current.node.values
        if not leaves or not all(_is_short(v) for v in leaves):
            return None
        return self.inputs[leaves[-1]]

    def mark(self) -> Any:
        """Where the walk stands, for `rewind`."""
        return len(self.graph.nodes), dict(self.missing.entries), self.b.found.mark()

    def rewind(self, mark: Any) -> None:
        """Forget what was added since the mark."""
        first, self.missing.entries, known = mark
        del self.graph.nodes[first:]
        self.b.found.forget(known)

    def note_seed(self, op: str, seed: float | None) -> None:
        """Tell that the file fixes random numbers which are others here."""
        if seed is not None:
            self.seeds.append(f"{op}: the file's seed {seed:g} fixes nothing, MLX draws others")

    def table_of(self, x: Host) -> Host | None:
        """The embedding table whose transpose the matrix is."""
        table = self.tied.table_of(x)
        return None if table is None else self._initializer(table.name, table)

    def readable(self, initializer: str) -> str:
        return readable(initializer)

    # ---- graphs

    def run(self, graph: Any, env: Env) -> list[Any]:
        """Walk a graph's nodes; the values of its outputs."""
        for name, value in graph.initializers.items():
            env[value] = self._initializer(name, value)
        self.nodes(graph, env)
        return [self._input(v, env) for v in graph.outputs]

    def subgraph(self, graph: Any, inputs: Sequence[Any], env: Env) -> list[Any]:
        """The results of a graph inside a node, which sees the values around it."""
        inner = ChainMap({}, env)
        inner.update(zip(graph.inputs, inputs, strict=True))
        scope, hint = self.b.scope, self.b.hint
        self.depth += 1
        try:
            return self.run(graph, inner)
        finally:
            self.b.scope, self.b.hint = scope, hint
            self.depth -= 1

    def nodes(self, graph: Any, env: Env) -> None:
        for node in graph:
            self._node(node, env)

    def _initializer(self, name: str, value: Any) -> Any:
        tensor = value.const_value
        if tensor is None or tensor.dtype.name not in {*DTYPES, *NARROW}:
            return _Refused(name, tensor)
        shape = tuple(int(d) for d in tensor.shape)
        products = all(u.node.op_type == "MatMul" and u.idx == 1 for u in value.uses())
        single = (products or len(value.uses()) == 1) and not value.is_graph_output()
        dtype, bits = NARROW.get(tensor.dtype.name) or (dtype_of(tensor.dtype, name), 0)
        return Host(dtype, shape, lambda: array_of(tensor), name, single=single, narrow=bits)

    def _node(self, node: Any, env: Env) -> None:
        self.b.scope = self.scopes.of(node)
        at = line_of(node)
        self.b.source = Source(at) if at else None
        inputs = [None if v is None else self._input(v, env) for v in node.inputs]
        self.b.hint = hint_of(node)
        first = len(self.graph.nodes)
        results = self.call(node, inputs, env)
        if self.depth == 0 and node.op_type in RANDOM and node.outputs:
            drawn = [made for made in self.graph.nodes[first:] if made.row.random]
            self.drawn.update(dict.fromkeys(drawn, node.outputs[0].name or ""))
        for value, result in zip(node.outputs, results, strict=False):
            env[value] = result
        for value in node.outputs[len(results) :]:
            env[value] = UNKNOWN

    def _input(self, value: Any, env: Env) -> Any:
        if value not in env:
            raise TranspileError(
                f"{value.name!r} is used, but nothing computes it", hint="save the model again"
            )
        found = env[value]
        return found.refuse() if isinstance(found, _Refused) else found

    # ---- nodes

    def call(self, node: Any, inputs: list[Any], env: Env) -> list[Any]:
        """The results of a node; UNKNOWN where it cannot be lowered, which is noted."""
        while inputs and inputs[-1] is None:
            inputs.pop()
        op = f"{node.domain}.{node.op_type}" if node.domain not in _DOMAINS else node.op_type
        outputs = len(node.outputs)
        try:
            return self._lowered(node, op, inputs, env)
        except Unequal as equation:
            equation.add_note(self.where(node))
            raise
        except TranspileError as error:
            error.where = error.where or self.where(node)
            self.missing.add(op, self.b, None if isinstance(error, NoRow) else error)
        except InferError as error:
            found = TranspileError(f"{op}: {error}", where=self.where(node))
            self.missing.add(op, self.b, found)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # Values that no valid model has (negative sizes, lists that are too short): rows do
            # not ask for each. The traceback keeps the cause.
            text = next(iter(str(error).splitlines()), type(error).__name__)
            raise TranspileError(
                f"{op} cannot be lowered: {text[:120]}",
                where=self.where(node),
                hint="is the model valid (onnx.checker)? If so, report it with --traceback",
            ) from error
        return [UNKNOWN] * outputs

    def where(self, node: Any) -> str:
        """The node, by name where it has one, and its module."""
        place = self.b.scope.path or self.graph.name
        return (
            f"{node.op_type} {node.name!r} in {place}"
            if node.name
            else f"{node.op_type} in {place}"
        )

    def _lowered(self, node: Any, op: str, inputs: list[Any], env: Env) -> list[Any]:
        domain = _DOMAINS.get(node.domain, node.domain)
        function = self.model.functions.get((node.domain, node.op_type, node.overload or ""))
        if any(x is UNKNOWN for x in inputs):
            if function is None and find(domain, node.op_type, self._opset(node)) is None:
                self._no_row(node, op)
            return [UNKNOWN] * len(node.outputs)
        if function is not None:
            return self.function(function, node, inputs, {})
        check_node(node, domain, self._opset(node))
        outputs = [bool(v.name) and (bool(v.uses()) or v.is_graph_output()) for v in node.outputs]
        attributes = self._attributes(node)
        call = Call(self.b, node.op_type, attributes, self._opset(node), outputs, self, env)
        if domain == "" and node.op_type == "Identity" and isinstance(inputs[0], Host):
            return [_renamed(inputs[0], node)]
        if domain == "" and inputs and _on_host(node, inputs):
            known = on_host(call, inputs)
            if known is not None:
                return list(known)
        row = find(domain, node.op_type, self._opset(node))
        if row is None:
            return self._standard(node, op, inputs)
        if any(isinstance(x, Listed) for x in inputs) and node.op_type not in _LISTS:
            raise TranspileError(f"{op} of a sequence", hint=LISTED)
        inputs = [_whole(call, x) for x in inputs]
        self.role = _ROLES.get(node.op_type) or node.op_type.lower()
        result = row(call, *inputs)
        return list(result) if isinstance(result, tuple | list) else [result]

    def _opset(self, node: Any) -> int:
        if node.version is not None:
            return int(node.version)
        return int(self.opsets.get(node.domain) or self.opsets.get("") or 1)

    def _attributes(self, node: Any) -> dict[str, Any]:
        return {name: self._attribute(attr) for name, attr in node.attributes.items()}

    def _attribute(self, attr: Any) -> Any:
        if isinstance(attr, onnx_ir.Attr) and attr.is_ref():
            raise TranspileError(f"the attribute {attr.name} is a reference outside of a function")
        kind = attr.type.name
        if kind == "TENSOR":
            if attr.value.dtype.name not in DTYPES:
                return _Refused(attr.name, attr.value).refuse()
            array = array_of(attr.value)
            return host(array, dtype_of(attr.value.dtype, attr.name), attr.value.name or "")
        if kind in ("INTS", "FLOATS", "STRINGS"):
            return list(attr.value)
        return attr.value

    # ---- functions

    def function(
        self, function: Any, node: Any, inputs: Sequence[Any], defaults: Mapping[str, Any]
    ) -> list[Any]:
        """The body of a function, on the inputs; its attributes are put in their places."""
        if self.depth > 60:
            raise TranspileError(f"the function {function.name} calls itself")
        body = function.clone()
        _bind(body, {**defaults, **dict(node.attributes)})
        env: Env = dict(zip(body.inputs, [*inputs, *[None] * len(body.inputs)], strict=False))
        saved, outer = self.opsets, self.b.scope
        self.opsets = {**saved, **dict(body.opset_imports)}
        self.depth += 1
        self.scopes.enter(outer, node, function)
        try:
            self.nodes(body, env)
        finally:
            self.opsets, self.b.scope = saved, outer
            self.depth -= 1
            self.scopes.leave()
        return [self._input(v, env) for v in body.outputs]

    def _standard(self, node: Any, op: str, inputs: Sequence[Any]) -> list[Any]:
        """An operator without a row, by its definition as a function in the standard."""
        from .onnx_functions import definition

        types = [None if x is None else _type_of(x) for x in inputs]
        found = definition(node, self._opset(node), types)
        if found is None:
            self._no_row(node, op)
            return []
        return self.function(found[0], node, inputs, found[1])

    def _no_row(self, node: Any, op: str) -> None:
        from .onnx_refused import refused

        reason = refused(node.domain, node.op_type)
        if reason:
            raise TranspileError(f"{op}: {reason}")
        raise NoRow(f"no rule for {op}")


class NoRow(TranspileError):
    """The table has no row for the operator."""


class _Refused:
    """A tensor of a type that has none here; an error where something reads it."""

    def __init__(self, name: str, tensor: Any):
        self.name, self.tensor = name, tensor

    def refuse(self) -> Any:
        if self.tensor is None:
            raise TranspileError(f"the initializer {self.name!r} has no data")
        dtype_of(self.tensor.dtype, repr(self.name))
        raise TranspileError(f"the initializer {self.name!r} cannot be read")


def _whole(call: Call, x: Any) -> Any:
    """Rows know numbers and sizes: a quotient of sizes is computed."""
    return call.value(x) if isinstance(x, Host) and x.fractional else x


def _renamed(x: Host, node: Any) -> Host:
    """Exporters write a copy where two tensors were equal: the copy's name is the second's."""
    name = readable(node.outputs[0].name or "") if x.initializer else ""
    return replace(x, name=name) if name and "." in name else x


def _on_host(node: Any, inputs: Sequence[Any]) -> bool:
    """Whether the result is known now; a weight in integers stays a weight, with a recipe."""
    if not all(x is None or isinstance(x, Host) for x in inputs):
        return False
    if node.op_type == "Reshape" and _is_table(node.outputs[0]):
        return False
    return not (node.op_type == "DequantizeLinear" and inputs[0].initializer)


def _is_table(value: Any) -> bool:
    """Whether a packed embedding reads it, which may share its tensors with the head."""
    return any(use.node.op_type == "GatherBlockQuantized" for use in value.uses())


def _is_short(value: Value) -> bool:
    shape = value.tensor.shape
    return len(shape) < 2 and all(isinstance(d, int) and d <= 64 for d in shape)


def _type_of(x: Any) -> Tensor:
    return x.tensor if isinstance(x, Value) else Tensor(x.dtype, x.shape)


def _bind(body: Any, attributes: Mapping[str, Any]) -> None:
    """Attributes that refer to the function's own get the node's, or the function's default."""
    given = dict(attributes)
    for name, attr in body.attributes.items():
        if name not in given and attr is not None and not attr.is_ref() and attr.value is not None:
            given[name] = attr
    waiting = [body]
    while waiting:
        graph = waiting.pop()
        for inner in graph:
            for name, attr in list(inner.attributes.items()):
                if attr.is_ref():
                    source = given.get(attr.ref_attr_name)
                    if source is None:
                        inner.attributes.pop(name)
                    else:
                        inner.attributes[name] = onnx_ir.Attr(name, source.type, source.value)
                elif attr.type == onnx_ir.AttributeType.GRAPH:
                    waiting.append(attr.value)
