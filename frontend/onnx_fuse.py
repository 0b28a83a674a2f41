"""Products and tables of whole numbers as quantizing tools spell them out, in fewer operators.

The tools write x as bytes and a scale, a product of whole numbers, and the product of the scales.
onnxruntime has an operator for that, and a row here: the product is a layer with packed weights.
"""

from __future__ import annotations

from typing import Any

import onnx_ir

_DOMAIN = "com.microsoft"


def fuse_products(model: Any) -> None:
    """DynamicQuantizeLinear, MatMulInteger, Cast and Mul become DynamicQuantizeMatMul; rows that
    are gathered from a table of whole numbers are those of a table of floats.
    """
    for graph in (model.graph, *model.functions.values()):
        for node in list(graph):
            if node.op_type == "MatMulInteger" and (found := _spelled_out(node)) is not None:
                _put_product(graph, node, *found)
                model.graph.opset_imports.setdefault(_DOMAIN, 1)
            elif node.op_type == "DequantizeLinear" and _gathered(node):
                _put_table(graph, node)


def _spelled_out(node: Any) -> tuple[Any, list[Any]] | None:
    """The multiplication at the end, and the inputs of the one operator; None for anything else."""
    a, b, a_zero, b_zero = [*node.inputs, None, None][:4]
    rounding = a.producer() if a is not None else None
    if rounding is None or rounding.op_type != "DynamicQuantizeLinear":
        return None
    cast = _only_reader(node, "Cast")
    last = _only_reader(cast, "Mul") if cast is not None and _to_float(cast) else None
    if last is None or a_zero is not rounding.outputs[2] or a is not rounding.outputs[0]:
        return None
    scales = [v.producer() for v in last.inputs if v is not None and v is not cast.outputs[0]]
    if len(scales) != 1 or scales[0] is None or scales[0].op_type != "Mul":
        return None
    scale = [v for v in scales[0].inputs if v is not rounding.outputs[1]]
    stored = all(v is None or v.const_value is not None for v in (b, b_zero, *scale))
    if len(scale) != 1 or not stored or len(b.const_value.shape) != 2:
        return None
    return last, [rounding.inputs[0], b, scale[0], b_zero]


def _only_reader(node: Any, op: str) -> Any:
    """The only node that reads the result, if it is of that operator."""
    uses = list(node.outputs[0].uses())
    alone = len(uses) == 1 and not node.outputs[0].is_graph_output()
    return uses[0].node if alone and uses[0].node.op_type == op else None


def _to_float(cast: Any) -> bool:
    to = cast.attributes.get("to")
    return to is not None and to.value == onnx_ir.DataType.FLOAT


def _put_product(graph: Any, node: Any, last: Any, inputs: list[Any]) -> None:
    while inputs[-1] is None:
        inputs.pop()
    made = onnx_ir.Node(_DOMAIN, "DynamicQuantizeMatMul", inputs, name=node.name)
    made.metadata_props.update(node.metadata_props)
    _replace(graph, last, made)


def _gathered(node: Any) -> bool:
    """Whether a single scale is applied to rows of a table that the file holds."""
    gather = node.inputs[0].producer() if node.inputs[0] is not None else None
    if gather is None or gather.op_type != "Gather":
        return False
    table, axis = gather.inputs[0], gather.attributes.get("axis")
    stored = [table, *node.inputs[1:]]
    if any(v is not None and v.const_value is None for v in stored) or table is None:
        return False
    single = all(v is None or v.const_value.size == 1 for v in node.inputs[1:])
    rows = axis is None or axis.value == 0
    return single and rows and len(table.const_value.shape) == 2


def _put_table(graph: Any, node: Any) -> None:
    gather = node.inputs[0].producer()
    inputs = [gather.inputs[0], *node.inputs[1:]]
    floats = onnx_ir.Node(node.domain, node.op_type, inputs, version=node.version)
    rows = onnx_ir.Node("", "Gather", [floats.outputs[0], gather.inputs[1]], name=gather.name)
    rows.metadata_props.update(gather.metadata_props)
    graph.insert_before(node, floats)
    _replace(graph, node, rows)


def _replace(graph: Any, old: Any, new: Any) -> None:
    """Put a node in the place of another; what only the other needed goes with it."""
    was, now = old.outputs[0], new.outputs[0]
    now.name, now.shape, now.type = was.name, was.shape, was.type
    graph.insert_before(old, new)
    onnx_ir.convenience.replace_all_uses_with(was, now, replace_graph_outputs=True)
    waiting = [old]
    while waiting:
        node = waiting.pop()
        if any(v.uses() or v.is_graph_output() for v in node.outputs) or node.graph is None:
            continue
        makers = [v.producer() for v in node.inputs if v is not None]
        graph.remove(node, safe=True)
        waiting += [maker for maker in makers if maker is not None]
