"""Operators that the standard itself defines as functions of other operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import onnx_ir

from ..ir import DType, Tensor
from ..ir.dims import Expr

_ONNX = {
    DType.bool: "BOOL", DType.u8: "UINT8", DType.u16: "UINT16", DType.u32: "UINT32",
    DType.u64: "UINT64", DType.i8: "INT8", DType.i16: "INT16", DType.i32: "INT32",
    DType.i64: "INT64", DType.f16: "FLOAT16", DType.bf16: "BFLOAT16", DType.f32: "FLOAT",
    DType.f64: "DOUBLE", DType.c64: "COMPLEX64", DType.c128: "COMPLEX128",
}  # fmt: skip


def definition(
    node: Any, opset: int, types: Sequence[Tensor | None]
) -> tuple[Any, dict[str, Any]] | None:
    """The function of an operator at a version for inputs of these types, and the attributes that
    it takes where the node gives none; None where the standard has no function.
    """
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, domain)
    except onnx.defs.SchemaError:
        return None
    proto = _proto(schema, node, opset, types)
    if proto is None:
        return None
    function = onnx.FunctionProto()
    function.ParseFromString(proto)
    _complete(function)
    defaults = {
        name: onnx_ir.serde.deserialize_attribute(attr.default_value)
        for name, attr in schema.attributes.items()
        if attr.default_value.type
    }
    return onnx_ir.serde.deserialize_function(function), defaults


def _complete(function: Any) -> None:
    """Results that a body leaves out, since nobody asked for them, get a constant."""
    made = {name for node in function.node for name in node.output} | set(function.input)
    for name in function.output:
        if name not in made:
            function.node.append(onnx.helper.make_node("Constant", [], [name], value_int=0))


def _proto(schema: Any, node: Any, opset: int, types: Sequence[Tensor | None]) -> bytes | None:
    if schema.has_context_dependent_function:
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
        if not versions:
            return None
        serialized = onnx_ir.serde.serialize_node(node).SerializeToString()
        kinds = [_type(t) for t in types]
        found = schema.get_context_dependent_function_with_opset_version(
            max(versions), serialized, kinds
        )
        return found or None
    if schema.has_function:
        versions = [v for v in schema.function_opset_versions if v <= opset]
        if versions:
            return schema.get_function_with_opset_version(max(versions)) or None
    return None


def _type(type: Tensor | None) -> bytes:
    if type is None:
        return b""
    shape = [str(d) if isinstance(d, Expr) else d for d in type.shape]
    kind = onnx.TensorProto.DataType.Value(_ONNX[type.dtype])
    return onnx.helper.make_tensor_type_proto(kind, shape).SerializeToString()
