"""ONNX rows: quantized operators of `com.microsoft`, evaluated in floats.

Inputs are turned into floats, the float operator runs, and its result is rounded to the output's
scale where the operator has one. That is what the integer kernels approximate; a result may
differ from theirs by one step of the output's scale.
"""

from __future__ import annotations

from typing import Any

from ..errors import TranspileError
from ..ir import Value
from .aten_common import channels_first, channels_last, permuted
from .onnx_contrib_attention import projected_attention
from .onnx_conv import ROWS as CONV_ROWS
from .onnx_conv import conv
from .onnx_dequantize import blocks, dequantized, quantized, type_of
from .onnx_matrix import matmul, product
from .onnx_shape import axis
from .onnx_values import Call, Host, Row, Source


def _stated_axis(c: Call, x: Source) -> int | None:
    given = c.attr("axis")
    if given is None or x is None:
        return None
    rank = x.rank if isinstance(x, Host) else x.tensor.rank
    return int(given) % rank


def _quantize(c: Call, x: Source, scale: Source, zero: Source = None) -> Value:
    return quantized(c, c.value(x), scale, zero, type_of(zero), _stated_axis(c, x))


def _dequantize(c: Call, x: Source, scale: Source, zero: Source = None) -> Value:
    return dequantized(c, x, scale, zero, _stated_axis(c, x))


# ---- one or two quantized operands, a quantized result


def _one(body: Any) -> Row:
    """`body(c, x)` on floats."""

    def row(
        c: Call, x: Source, scale: Source, zero: Source, out_scale: Source, out_zero: Source = None
    ) -> Value:
        out = body(c, dequantized(c, x, scale, zero))
        return quantized(c, out, out_scale, out_zero, type_of(x))

    return row


def _two(op: str) -> Row:
    def row(
        c: Call, a: Source, a_scale: Source, a_zero: Source, b: Source, b_scale: Source,
        b_zero: Source, scale: Source, zero: Source = None,
    ) -> Value:  # fmt: skip
        pair = dequantized(c, a, a_scale, a_zero), dequantized(c, b, b_scale, b_zero)
        return quantized(c, c.b.op(op, *pair), scale, zero, type_of(a))

    return row


def _leaky(c: Call, x: Value) -> Value:
    return c.b.op("leaky_relu", x, slope=float(c.attr("alpha", 0.01)))


def _softmax(c: Call, x: Value) -> Value:
    at = axis(x, c.attr("axis", -1))
    if int(c.attr("opset", 13)) < 13 and at != x.tensor.rank - 1:
        raise TranspileError("QLinearSoftmax over several axes", hint="axis=-1 works")
    return c.b.op("softmax", x, axis=at)


def _mean(c: Call, x: Value) -> Value:
    axes = tuple(sorted(axis(x, a) for a in c.required("axes")))
    return c.b.op("mean", x, axes=axes, keepdims=bool(c.attr("keepdims", 1)))


def _global_mean(c: Call, x: Value) -> Value:
    last = bool(c.attr("channels_last", 0))
    axes = tuple(range(1, x.tensor.rank - 1) if last else range(2, x.tensor.rank))
    return c.b.op("mean", x, axes=axes, keepdims=True)


def _pool(c: Call, x: Value) -> Value:
    return _first_channels(c, x, lambda v: CONV_ROWS["AveragePool"](_standard(c), v))


def _standard(c: Call) -> Call:
    return Call(c.b, c.op, c.attrs, 19, c.outputs, c.state, c.env)


def _first_channels(c: Call, x: Value, body: Any) -> Value:
    """The body with channels first, whichever way the node has them."""
    if not c.attr("channels_last", 0):
        found: Value = body(x)
        return found
    spatial = x.tensor.rank - 2
    return channels_last(c.b, body(channels_first(c.b, x, spatial)), spatial)


def _concat(c: Call, scale: Source, zero: Source, *inputs: Source) -> Value:
    triples = zip(inputs[::3], inputs[1::3], inputs[2::3], strict=True)
    values = [dequantized(c, *triple) for triple in triples]
    at = axis(values[0], c.required("axis"))
    joined = c.b.op("concatenate", *values, axis=at) if len(values) > 1 else values[0]
    return quantized(c, joined, scale, zero, type_of(zero))


def _where(
    c: Call, condition: Source, x: Source, x_scale: Source, x_zero: Source, y: Source,
    y_scale: Source, y_zero: Source, scale: Source, zero: Source,
) -> Value:  # fmt: skip
    pair = dequantized(c, x, x_scale, x_zero), dequantized(c, y, y_scale, y_zero)
    out = c.b.op("where", c.value(condition), *pair)
    return quantized(c, out, scale, zero, type_of(x))


# ---- products


def _conv(
    c: Call, x: Source, x_scale: Source, x_zero: Source, w: Source, w_scale: Source,
    w_zero: Source, scale: Source, zero: Source, bias: Source = None,
) -> Value:  # fmt: skip
    """The bias has the product of both scales."""
    value, weight = dequantized(c, x, x_scale, x_zero), dequantized(c, w, w_scale, w_zero, 0)
    shift = _bias(c, bias, x_scale, w_scale)
    out = _first_channels(c, value, lambda v: conv(_standard(c), v, weight, shift))
    return quantized(c, out, scale, zero, type_of(zero))


def _bias(c: Call, bias: Source, x_scale: Source, w_scale: Source) -> Value | None:
    """An integer bias as floats: its step is the product of the scales."""
    if bias is None:
        return None
    if isinstance(x_scale, Host) and isinstance(w_scale, Host):
        from .onnx_values import host

        steps = host(x_scale.array.reshape(-1) * w_scale.array.reshape(-1), x_scale.dtype)
        return dequantized(c, bias, steps, None, 0, role="bias")
    step = c.b.op("multiply", c.value(x_scale), c.value(w_scale))
    return c.b.op("multiply", c.value(bias, step.tensor.dtype), step)


def _gemm(
    c: Call, a: Source, a_scale: Source, a_zero: Source, b: Source, b_scale: Source,
    b_zero: Source, bias: Source = None, scale: Source = None, zero: Source = None,
) -> Value:  # fmt: skip
    columns = 0 if c.attr("transB", 0) else 1
    left, right = dequantized(c, a, a_scale, a_zero), dequantized(c, b, b_scale, b_zero, columns)
    left = permuted(c.b, left, [1, 0]) if c.attr("transA", 0) else left
    right = permuted(c.b, right, [1, 0]) if c.attr("transB", 0) else right
    out, alpha = matmul(c, left, right), float(c.attr("alpha", 1.0))
    out = out if alpha == 1.0 else c.b.op("multiply", out, alpha)
    shift = _bias(c, bias, a_scale, b_scale)
    if shift is not None:
        out = c.b.op("add", out, shift if alpha == 1.0 else c.b.op("multiply", shift, alpha))
    return out if scale is None else quantized(c, out, scale, zero, type_of(zero))


def _matmul_to_float(
    c: Call, a: Source, b: Source, a_scale: Source, b_scale: Source, a_zero: Source = None,
    b_zero: Source = None, bias: Source = None,
) -> Value:  # fmt: skip
    left, right = dequantized(c, a, a_scale, a_zero), dequantized(c, b, b_scale, b_zero)
    return _with_bias(c, product(c, left, right), bias)


def _dynamic_matmul(
    c: Call, a: Source, b: Source, b_scale: Source, b_zero: Source = None, bias: Source = None
) -> Value:
    """The input is rounded to 256 steps between its least and its largest element.

    That is done in front of the layer, once for all layers of a module that read it.
    """
    value, scope = c.value(a), c.b.scope
    c.b.scope = scope.parent or scope
    try:
        left = c.b.op("round_to_bytes", value)
    finally:
        c.b.scope = scope
    return _with_bias(c, product(c, left, dequantized(c, b, b_scale, b_zero)), bias)


def _with_bias(c: Call, x: Value, bias: Source) -> Value:
    return x if bias is None else c.b.op("add", x, c.value(bias, role="bias"))


def _attention(
    c: Call, x: Source, w: Source, bias: Source, x_scale: Source, w_scale: Source,
    mask: Source = None, x_zero: Source = None, w_zero: Source = None, past: Source = None,
) -> list[Any]:  # fmt: skip
    value, weight = dequantized(c, x, x_scale, x_zero), dequantized(c, w, w_scale, w_zero)
    return projected_attention(c, value, weight, c.maybe(bias, role="bias"), mask, past)


# ---- weights packed in blocks


def _known(c: Call, x: Source, what: str) -> Host:
    """The tensor of the file, in the shape that it has there."""
    value = x
    while isinstance(value, Value) and value.node is not None and value.node.op == "reshape":
        value = value.node.values[0]
    found = c.state.stored.get(value) if isinstance(value, Value) else value
    if not isinstance(found, Host):
        raise TranspileError(f"{what} must be stored in the model, not computed")
    return found


def _matmul_bits(
    c: Call, a: Source, w: Source, scales: Source, zeros: Source = None, groups: Source = None,
    bias: Source = None,
) -> Value:  # fmt: skip
    """A linear layer whose weight is stored as packed integers; it becomes floats again."""
    if groups is not None or c.attr("weight_prepacked", 0):
        raise TranspileError("MatMulNBits with g_idx, or with weights in a device's own order")
    rows, columns = int(c.required("N")), int(c.required("K"))
    bits, size = int(c.attr("bits", 4)), int(c.required("block_size"))
    offset = None if zeros is None else _known(c, zeros, "zero_points")
    packed = _known(c, w, "B")
    if not packed.initializer:
        raise TranspileError("B of MatMulNBits must be an initializer")
    weight = blocks(c, packed, _known(c, scales, "scales"), offset, rows, columns, size, bits)
    return c.b.op("linear", c.value(a), weight, c.maybe(bias, role="bias"))


def _gather_blocks(
    c: Call, data: Source, indices: Source, scales: Source, zeros: Source = None
) -> Value:
    """An embedding whose table is stored as whole numbers of few bits, or bytes that hold them."""
    table, scale = _known(c, data, "data"), _known(c, scales, "scales")
    shape = table.shape if isinstance(data, Host) else c.value(data).tensor.shape
    bits, size = int(c.attr("bits", 4)), int(c.attr("block_size", 128))
    axis = int(c.attr("quantize_axis", 1)) % len(shape)
    if len(shape) != 2 or axis != 1 or not table.initializer or int(c.attr("gather_axis", 0)) % 2:
        raise TranspileError("GatherBlockQuantized: only rows of a table that the file holds")
    rows, width = (int(str(size)) for size in shape)
    offset = None if zeros is None else _known(c, zeros, "zero_points")
    if table.narrow:
        value = dequantized(c, table, scale, offset, 1)
    else:
        home = "" if isinstance(data, Host) else c.b.scope.path  # else it has another layer's name
        value = blocks(c, table, scale, offset, rows, width * 8 // bits, size, bits, home)
    return c.b.op("embedding", value, c.value(indices))


def _embed(
    c: Call, ids: Source, segments: Source, words: Source, positions: Source, kinds: Source,
    gamma: Source, beta: Source, mask: Source, *numbers: Source,
) -> list[Any]:  # fmt: skip
    """Five scales, then five zero points, of the five tables."""
    from .onnx_contrib import embed_layer_norm

    tables = [words, positions, kinds, gamma, beta]
    roles = ("word_embeddings", "position_embeddings", "token_type_embeddings", "weight", "bias")
    floats: list[Any] = [
        None if t is None else dequantized(c, t, numbers[i], numbers[i + 5], role=roles[i])
        for i, t in enumerate(tables)
    ]
    a, b, kind, weight, shift = floats
    return embed_layer_norm(c, ids, segments, a, b, kind, weight, shift, mask)[:2]


ROWS: dict[str, Any] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "QLinearAdd": _two("add"),
    "QLinearMul": _two("multiply"),
    "QLinearSigmoid": _one(lambda c, x: c.b.op("sigmoid", x)),
    "QLinearLeakyRelu": _one(_leaky),
    "QLinearSoftmax": _one(_softmax),
    "QLinearReduceMean": _one(_mean),
    "QLinearGlobalAveragePool": _one(_global_mean),
    "QLinearAveragePool": _one(_pool),
    "QLinearConcat": _concat,
    "QLinearWhere": _where,
    "QLinearConv": _conv,
    "QGemm": _gemm,
    "QAttention": _attention,
    "QEmbedLayerNormalization": _embed,
    "MatMulIntegerToFloat": _matmul_to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
    "MatMulNBits": _matmul_bits,
    "GatherBlockQuantized": _gather_blocks,
}
