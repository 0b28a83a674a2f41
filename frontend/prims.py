"""What each node kind of TorchScript does during a walk: `prim::` nodes, and `aten::` ones on host
values.

Whatever is no row here is an ATen call on tensors, and goes to the domain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir.dims import Expr, product
from . import host, prims_control
from .control import UNSET, ModelRaises
from .data_numbers import NUMBERS, has_data
from .grown import holds_run
from .host_calls import LISTS, on_host
from .plan import Instruction
from .schema import SCALAR_TYPE_NUMBERS, SCALAR_TYPES, parse
from .walk import Frame, Module, Walk, where

Row = Callable[[Walk, Frame, Instruction, list[Any]], list[Any]]


def execute(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    """The results of one node."""
    if any(map(holds_run, values)) and op.kind not in _PASSES_RUNS:
        return [walk.domain.on_list(op.name, values)]
    row = PRIMS.get(op.kind)
    if row is not None:
        return row(walk, frame, op, values)
    if op.kind.startswith("prim::") and op.kind not in ("prim::unchecked_unwrap_optional",):
        raise TranspileError(f"{op.kind} is not supported", where=where(frame, op))
    if op.kind == "^" or not op.schema_text:
        raise TranspileError(f"{op.kind}: a call of Python code", where=where(frame, op))
    if not any(_holds_tensor(walk, v) for v in values) and op.schema.namespace == "aten":
        if any(map(has_data, values)) and op.name in NUMBERS:
            return [walk.domain.compute(op.name, values)]
        try:
            done, result = on_host(op, values)
        except host.NotHost as reason:
            return [walk.domain.beyond_host(op.name, values, str(reason))]
        if done:
            return [result]
    result = walk.domain.call(op.schema, values)
    return list(result) if len(op.outputs) > 1 else [result]


# What may take a list that grew in a loop as it is.
_PASSES_RUNS = frozenset(
    {"aten::append", "aten::add_", "aten::extend", "prim::TupleConstruct", "prim::If", "prim::Loop",
     "prim::CallMethod", "prim::CallFunction", "aten::__is__", "aten::__isnot__",
     "prim::unchecked_cast"}
)  # fmt: skip


def _holds_tensor(walk: Walk, value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_tensor(walk, v) for v in value)
    return walk.domain.is_tensor(value) or walk.domain.is_unknown(value)


# ---- lists that hold tensors


def _list_op(name: str) -> Row:
    def row(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
        first = values[0] if values else None
        tensor = walk.domain.is_tensor(first)
        if walk.domain.is_unknown(first):
            return [first]
        if tensor:
            return (
                [_TENSOR_LISTS[name](walk, *values)]
                if name in _TENSOR_LISTS
                else _fall(walk, op, values)
            )
        result = LISTS[name](*values)
        return [result] if op.outputs else []

    return row


def _fall(walk: Walk, op: Instruction, values: list[Any]) -> list[Any]:
    return [walk.domain.call(op.schema, values)]


_TENSOR_LISTS: dict[str, Callable[..., Any]] = {
    "len": lambda walk, t: walk.domain.shape(t)[0],
}


# ---- prims


def _constant(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return [host_constant(walk, op.constant, op.hint, frame)]


def host_constant(walk: Walk, value: Any, hint: str, frame: Frame) -> Any:
    """A constant or attribute of the archive as a source value."""
    if hasattr(value, "untyped_storage"):
        return walk.domain.constant(value, hint, frame.scope)
    if isinstance(value, list | tuple):
        return type(value)(host_constant(walk, v, hint, frame) for v in value)
    if isinstance(value, dict):
        return {k: host_constant(walk, v, hint, frame) for k, v in value.items()}
    return "cpu" if type(value).__name__ == "device" else value


def _get_attr(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    owner = values[0]
    if not isinstance(owner, Module):
        raise TranspileError(
            f"the attribute {op.attribute} of a scripted object", where=where(frame, op)
        )
    value = owner.raw.getattr(op.attribute)
    path = f"{owner.path}.{op.attribute}" if owner.path else op.attribute
    if hasattr(value, "_get_method"):
        return [Module(path, value)]
    if hasattr(value, "untyped_storage"):
        return [walk.domain.attribute(value, path)]
    return [host_constant(walk, value, op.hint, frame)]


def _set_attr(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    raise TranspileError(
        f"mutated buffer: forward assigns {values[0].path}.{op.attribute}; "
        "models that keep state are not supported yet",
        where=where(frame, op),
        hint="pass the state as an input and return the new one",
    )


def _call_method(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return _several(op, walk.call_method(frame, values[0], op.attribute, values[1:]))


def _call_function(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return _several(op, walk.call_function(frame, op.attribute, values[1:]))


def _several(op: Instruction, result: Any) -> list[Any]:
    return list(result) if len(op.outputs) > 1 else [result]


def _unpack(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    if walk.domain.is_unknown(values[0]):
        return [values[0]] * len(op.outputs)
    if len(values[0]) != len(op.outputs):
        raise TranspileError(
            f"{len(op.outputs)} values are unpacked from a list of {len(values[0])}",
            where=where(frame, op),
        )
    return list(values[0])


# Python types of host values, by torch's names of kinds of types.
_KINDS = {
    "ListType": list, "TupleType": tuple, "DictType": dict, "NoneType": type(None), "IntType": int,
    "FloatType": float, "BoolType": bool, "StringType": str,
}  # fmt: skip


def _is_instance(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    kinds = op.attribute.split()
    if walk.domain.is_tensor(values[0]):
        return ["TensorType" in kinds]
    if unknown := [k for k in kinds if k not in _KINDS and k != "TensorType"]:
        raise TranspileError(f"a test for the type {unknown[0]}", where=where(frame, op))
    return [any(type(values[0]) is _KINDS.get(k) for k in kinds)]


def _raise(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    raise ModelRaises(f"the model raises for these inputs: {values[0]}", where=where(frame, op))


def _number_to_tensor(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return [walk.domain.from_number(values[0])]


def _literal(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    if walk.domain.is_tensor(values[0]) or _holds_tensor(walk, values[0]):
        return [walk.domain.call(op.schema, values)]
    dtype = SCALAR_TYPES[values[1]] if isinstance(values[1], int) else None
    return [walk.domain.literal(values[0], dtype, op.hint, frame.scope)]


def _to_number(name: str, convert: Callable[[Any], Any]) -> Row:
    def row(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
        value = values[0]
        if walk.domain.is_unknown(value):
            return [value]
        number = value if isinstance(value, str) else walk.domain.number(value)
        if has_data(number):
            return [walk.domain.compute(name, [number]) if name else number]
        return [convert(number)]

    return row


def _to_bool(value: Any) -> Any:
    if isinstance(value, host.Condition):
        return value
    return host.compare("!=", value, 0) if isinstance(value, Expr | host.Ratio) else bool(value)


_MOST_NUMBERS = 64  # read one by one
_SELECT = parse("aten::select.int(Tensor self, int dim, int index) -> Tensor")


def _to_list(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    """`x.tolist()`: numbers, of a tensor with few."""
    if walk.domain.is_unknown(values[0]):
        return values[:1]
    shape = walk.domain.shape(values[0])
    if not shape:
        return [walk.domain.number(values[0])]
    if len(shape) > 1 or not isinstance(shape[0], int) or shape[0] > _MOST_NUMBERS:
        raise TranspileError(
            f"tolist of a tensor of the shape {shape}",
            where=where(frame, op),
            hint=f"up to {_MOST_NUMBERS} numbers in one row work",
        )
    items = [walk.domain.call(_SELECT, [values[0], 0, i]) for i in range(shape[0])]
    return [[walk.domain.number(item) for item in items]]


def _size(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    if walk.domain.is_unknown(values[0]):
        return [values[0]]
    shape = walk.domain.shape(values[0])
    return [shape[values[1]] if len(values) == 2 else list(shape)]


def _of_tensor(function: Callable[[Walk, Any], Any]) -> Row:
    def row(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
        if walk.domain.is_unknown(values[0]):
            return [values[0]]
        return [function(walk, values[0])]

    return row


def _dtype_number(walk: Walk, tensor: Any) -> int:
    return SCALAR_TYPE_NUMBERS[walk.domain.dtype(tensor)]


def _constant_row(value: Any) -> Row:
    return lambda walk, frame, op, values: [value] if op.outputs else []


def _first(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return values[:1]


def _extreme(name: str) -> Row:
    def row(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
        if any(map(has_data, values)):
            return [walk.domain.compute(name, values)]
        return [host.NUMBERS[name](*values)]

    return row


def _dict(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return [dict(zip(values[::2], values[1::2]))]


def _slice_tuple(walk: Walk, frame: Frame, op: Instruction, values: list[Any]) -> list[Any]:
    return [values[0][slice(*values[1:])]]


PRIMS: dict[str, Row] = {
    "prim::Constant": _constant,
    "prim::GetAttr": _get_attr,
    "prim::SetAttr": _set_attr,
    "prim::CallMethod": _call_method,
    "prim::CallFunction": _call_function,
    "prim::ListConstruct": lambda walk, frame, op, values: [list(values)],
    "prim::TupleConstruct": lambda walk, frame, op, values: [tuple(values)],
    "prim::DictConstruct": _dict,
    "prim::ListUnpack": _unpack,
    "prim::TupleUnpack": _unpack,
    "prim::TupleIndex": lambda walk, frame, op, values: [values[0][values[1]]],
    "prim::TupleSlice": _slice_tuple,
    "prim::If": prims_control.branch,
    "prim::Loop": prims_control.loop,
    "prim::RaiseException": _raise,
    "prim::isinstance": _is_instance,
    "prim::Uninitialized": _constant_row(UNSET),
    "prim::NumToTensor": _number_to_tensor,
    "prim::unchecked_cast": _first,
    "prim::unchecked_unwrap_optional": _first,
    "aten::_unwrap_optional": _first,
    "prim::tolist": _to_list,
    "prim::data": _first,
    "prim::dtype": _of_tensor(_dtype_number),
    "prim::device": _constant_row("cpu"),
    "prim::type": _constant_row("cpu"),
    "prim::layout": _constant_row(None),
    "prim::is_cuda": _constant_row(False),
    "prim::is_mps": _constant_row(False),
    "prim::is_sparse": _constant_row(False),
    "prim::is_quantized": _constant_row(False),
    "prim::is_nested": _constant_row(False),
    "prim::requires_grad": _constant_row(False),
    "prim::Print": _constant_row(None),
    "prim::min": _extreme("min"),
    "prim::max": _extreme("max"),
    "prim::abs": _extreme("abs"),
    "aten::Int": _to_number("Int", lambda v: int(v) if isinstance(v, str) else host.to_int(v)),
    "aten::IntImplicit": _to_number("Int", host.to_int),
    "aten::Float": _to_number(
        "Float", lambda v: float(v) if isinstance(v, str) else host.to_float(v)
    ),
    "aten::FloatImplicit": _to_number("Float", host.to_float),
    "aten::Bool": _to_number("Bool", _to_bool),
    "aten::is_nonzero": _to_number("Bool", _to_bool),
    "aten::tensor": _literal,
    "aten::scalar_tensor": _literal,
    "aten::ScalarImplicit": _to_number("", lambda v: v),
    "aten::item": _to_number("", lambda v: v),
    "aten::size": _size,
    "aten::dim": _of_tensor(lambda walk, t: len(walk.domain.shape(t))),
    "aten::numel": _of_tensor(lambda walk, t: product(walk.domain.shape(t))),
    "aten::is_floating_point": _of_tensor(lambda walk, t: walk.domain.dtype(t).is_float),
    "aten::is_complex": _of_tensor(lambda walk, t: walk.domain.dtype(t).is_complex),
    "aten::is_contiguous": _constant_row(True),
    "aten::__is__": lambda walk, frame, op, values: [values[0] is values[1]],
    "aten::__isnot__": lambda walk, frame, op, values: [values[0] is not values[1]],
    "aten::requires_grad_": _first,
    "aten::set_grad_enabled": _constant_row(None),
    "aten::is_grad_enabled": _constant_row(False),
    "aten::is_autocast_enabled": _constant_row(False),
    "aten::warn": _constant_row(None),
    "aten::_assert_tensor_metadata": _constant_row(None),
    **{
        f"aten::{name}": _list_op(name)
        for name in (
            "len", "__getitem__", "_set_item", "append", "__contains__", "keys", "values", "items",
            "list", "extend", "__not__", "format", "str", "__range_length", "__derive_index", "pop",
            "insert", "reverse", "get", "dict", "add_",
        )
    },
}  # fmt: skip
