"""ONNX rows: operators of `com.microsoft`, which onnxruntime's optimizer writes.

Activations with a bias, norms with a residual, embeddings with a norm, products with a transpose
or an activation, and a few that the standard took over later. Attention and quantized operators
stand in files of their own. What they compute is defined by onnxruntime's operator documentation
(docs/ContribOperators.md of that project) and by its CPU kernels, which the tests compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import divide_exact
from . import onnx_contrib_attention, onnx_contrib_quant
from .aten_common import channels_first, channels_last, expand_dims, permuted, reshaped, sliced
from .onnx_conv import _conv
from .onnx_index import ROWS as INDEX_ROWS
from .onnx_math import elu, hard_sigmoid, leaky_relu, softsign, thresholded_relu, to_dtype
from .onnx_matrix import matmul
from .onnx_norm import _layer_norm, _rms_norm
from .onnx_shape import ROWS as SHAPE_ROWS
from .onnx_shape import axis
from .onnx_values import Call, Host, Row, Source

STANDARD = 23  # the standard's version whose rows are used here


def as_standard(c: Call, **attrs: Any) -> Call:
    """The call as one of the standard's operators, with further attributes."""
    return Call(c.b, c.op, {**c.attrs, **attrs}, STANDARD, c.outputs, c.state, c.env)


def standard(row: Row, **attrs: Any) -> Row:
    return lambda c, *inputs: row(as_standard(c, **attrs), *inputs)


def results(c: Call, **made: Value) -> list[Any]:
    """Results by place (`at0`, `at3`); TranspileError where another one is used."""
    places = {int(name[2:]): value for name, value in made.items()}
    for i in range(len(c.outputs)):
        if c.used(i) and i not in places:
            raise TranspileError(f"the result {i + 1} of {c.op} is for training only")
    return [places.get(i) for i in range(max(len(c.outputs), 1))]


# ---- activations


def biased(c: Call, x: Source, bias: Source) -> Value:
    """x + bias. The optimizer took the bias from the layer in front: it is added where that is."""
    value = c.value(x)
    if bias is None:
        return value
    scope = c.b.scope
    if value.node is not None and value.node.op in ("matmul", "linear"):
        c.b.scope = value.node.scope
    try:
        return c.b.op("add", value, c.value(bias, role="bias"))
    finally:
        c.b.scope = scope


def _gelu(approximate: str) -> Row:
    def row(c: Call, x: Source, bias: Source = None) -> Value:
        return c.b.op("gelu", biased(c, x, bias), approximate=approximate)

    return row


def _quick_gelu(c: Call, x: Source) -> Value:
    """x * sigmoid(alpha * x)."""
    value, alpha = c.value(x), float(c.attr("alpha", 1.702))
    if abs(alpha - 1.702) < 1e-6:
        return c.b.op("gelu", value, approximate="sigmoid")
    if alpha == 1.0:
        return c.b.op("silu", value)
    return c.b.op("multiply", value, c.b.op("sigmoid", c.b.op("multiply", value, alpha)))


def _bias_split_gelu(c: Call, x: Source, bias: Source) -> Value:
    """The first half of the last axis times gelu of the second."""
    value = biased(c, x, bias)
    at = value.tensor.rank - 1
    half = divide_exact(value.tensor.shape[at], 2)
    left, right = c.b.op("split", value, sizes=(half, half), axis=at)
    return c.b.op("multiply", left, c.b.op("gelu", right))


def _bias_add(c: Call, x: Source, bias: Source, skip: Source) -> Value:
    return c.b.op("add", biased(c, x, bias), c.value(skip))


def _bias_dropout(
    c: Call, x: Source, bias: Source, residual: Source = None, ratio: Source = None,
    training: Source = None,
) -> list[Any]:  # fmt: skip
    if training is not None and c.scalar(training, "training_mode"):
        raise TranspileError("BiasDropout in training mode draws random numbers")
    out = biased(c, x, bias)
    out = out if residual is None else c.b.op("add", out, c.value(residual))
    return results(c, at0=out)


def _bias_softmax(c: Call, x: Source, bias: Source) -> Value:
    """The bias lacks axes of the data: before `axis` (inner), or just there (outer)."""
    b, value, mask = c.b, c.value(x), c.value(bias)
    at, rank = axis(value, c.attr("axis", 1)), value.tensor.rank
    if at != rank - 1:
        raise TranspileError("BiasSoftmax over several axes", hint="axis=-1 works")
    missing = rank - mask.tensor.rank
    if missing > 0 and c.required("is_inner_broadcast"):
        lead, tail = mask.tensor.shape[: at - missing], mask.tensor.shape[at - missing :]
        mask = reshaped(b, mask, (*lead, *[1] * missing, *tail))
    return b.op("softmax", b.op("add", value, mask), axis=at)


def _first(values: list[float], default: float) -> float:
    return float(values[0]) if values else default


_FUSED: dict[str, Callable[[Builder, Value, list[float]], Value]] = {
    "Relu": lambda b, x, n: b.op("relu", x),
    "Sigmoid": lambda b, x, n: b.op("sigmoid", x),
    "Tanh": lambda b, x, n: b.op("tanh", x),
    "Softplus": lambda b, x, n: b.op("softplus", x),
    "Softsign": lambda b, x, n: softsign(b, x),
    "HardSwish": lambda b, x, n: b.op("hardswish", x),
    "LeakyRelu": lambda b, x, n: leaky_relu(b, x, _first(n, 0.01)),
    "Elu": lambda b, x, n: elu(b, x, _first(n, 1.0)),
    "ThresholdedRelu": lambda b, x, n: thresholded_relu(b, x, _first(n, 1.0)),
    "HardSigmoid": lambda b, x, n: hard_sigmoid(b, x, *(n if len(n) == 2 else (0.2, 0.5))),
    "Clip": lambda b, x, n: b.op("clip", x, *(n if len(n) == 2 else (None, None))),
}


def fused_activation(c: Call, x: Value) -> Value:
    """The activation that the node names; its numbers stand in a list, or are called alpha ..."""
    name = c.attr("activation", "")
    if not name:
        return x
    if name not in _FUSED:
        raise TranspileError(f"the fused activation {name}", hint=f"known: {', '.join(_FUSED)}")
    listed = c.attr("activation_params")
    if listed is None:
        named = [c.attr(f"activation_{n}") for n in ("alpha", "beta", "gamma")]
        listed = [v for v in named if v is not None]
    return _FUSED[name](c.b, x, [float(v) for v in listed])


# ---- norms


def _simple_layer_norm(c: Call, x: Source, scale: Source) -> list[Any]:
    """RMS norm; its second result is 1 / rms."""
    if c.used(1):
        raise TranspileError("the second result of SimplifiedLayerNormalization is for training")
    return results(c, at0=_rms_norm(as_standard(c), x, scale))


def _skip(c: Call, x: Source, skip: Source, bias: Source, gamma: Source) -> Value:
    """x + skip + bias, outside of the module that holds nothing but the norm's own weight."""
    total, scope = biased(c, x, bias), c.b.scope
    if isinstance(gamma, Host) and scope.parent is not None:
        home = c.state.readable(gamma.initializer).rpartition(".")[0]
        c.b.scope = scope.parent if home == scope.path else scope
    try:
        return c.b.op("add", total, c.value(skip))
    finally:
        c.b.scope = scope


def _skip_layer_norm(
    c: Call, x: Source, skip: Source, gamma: Source, beta: Source = None, bias: Source = None
) -> list[Any]:
    """layer_norm(x + skip + bias), and the sum itself as the fourth result."""
    total = _skip(c, x, skip, bias, gamma)
    weight, shift = c.value(gamma, role="weight"), c.maybe(beta, role="bias")
    eps = float(c.attr("epsilon", 1e-12))
    return results(c, at0=c.b.op("layer_norm", total, weight, shift, eps=eps), at3=total)


def _skip_rms_norm(
    c: Call, x: Source, skip: Source, gamma: Source, bias: Source = None
) -> list[Any]:
    total = _skip(c, x, skip, bias, gamma)
    eps = float(c.attr("epsilon", 1e-12))
    out = c.b.op("rms_norm", total, c.value(gamma, role="weight"), eps=eps)
    return results(c, at0=out, at3=total)


def embed_layer_norm(
    c: Call, ids: Source, segments: Source, words: Source, positions: Source, kinds: Source,
    gamma: Source, beta: Source, mask: Source = None, position_ids: Source = None,
) -> list[Any]:  # fmt: skip
    """layer_norm of the sum of word, position and segment embeddings; and how long each row is."""
    b, index = c.b, c.value(ids)
    total = b.op("embedding", c.value(words, role="word_embeddings"), index)
    table = c.value(positions, role="position_embeddings")
    if position_ids is None:
        total = b.op("add", total, sliced(b, table, 0, 0, index.tensor.shape[1]))
    else:
        total = b.op("add", total, b.op("embedding", table, c.value(position_ids)))
    if segments is not None and kinds is not None:
        kind = c.value(kinds, role="token_type_embeddings")
        total = b.op("add", total, b.op("embedding", kind, c.value(segments)))
    weight, shift = c.value(gamma, role="weight"), c.value(beta, role="bias")
    out = b.op("layer_norm", total, weight, shift, eps=float(c.attr("epsilon", 1e-12)))
    return [out, _lengths(c, index, mask) if c.used(1) else None, total]


def _lengths(c: Call, ids: Value, mask: Source) -> Value:
    if mask is None:
        return c.b.op("full", shape=(ids.tensor.shape[0],), value=0, dtype=DType.i32)
    ones = to_dtype(c.b, c.b.op("equal", c.value(mask), 1), DType.i32)
    return c.b.op("sum", ones, axes=(1,), keepdims=False)


def _group_norm(c: Call, x: Source, gamma: Source, beta: Source) -> Value:
    return _normed_groups(c, c.value(x), gamma, beta)


def _normed_groups(c: Call, x: Value, gamma: Source, beta: Source) -> Value:
    """Channels last unless the node says otherwise; computed in float32; silu behind it."""
    b, last, dtype = c.b, bool(c.attr("channels_last", 1)), x.tensor.dtype
    spatial = x.tensor.rank - 2
    value = x if last else channels_last(b, x, spatial)
    params = [
        to_dtype(b, c.value(gamma, role="weight"), dtype),
        to_dtype(b, c.value(beta, role="bias"), dtype),
    ]
    eps, groups = float(c.attr("epsilon", 1e-5)), int(c.required("groups"))
    out = b.op("group_norm", value, *params, groups=groups, eps=eps)
    out = b.op("silu", out) if c.attr("activation", 0) else out
    return out if last else channels_first(b, out, spatial)


def _skip_group_norm(
    c: Call, x: Source, gamma: Source, beta: Source, skip: Source, bias: Source = None
) -> list[Any]:
    b, value, extra = c.b, c.value(x), c.value(skip)
    if not c.attr("channels_last", 1):
        raise TranspileError("SkipGroupNorm with channels first")
    if extra.tensor.rank == 2:
        extra = expand_dims(b, extra, 1, 2)
    total = b.op("add", value, extra)
    total = total if bias is None else b.op("add", total, c.value(bias, role="bias"))
    return results(c, at0=_normed_groups(c, total, gamma, beta), at1=total)


# ---- products


def fused_matmul(c: Call, a: Source, b: Source) -> Value:
    left = _turned(c, c.value(a), "transBatchA", "transA")
    right = _turned(c, c.value(b, role="weight"), "transBatchB", "transB")
    out, alpha = matmul(c, left, right), float(c.attr("alpha", 1.0))
    out = out if alpha == 1.0 else c.b.op("multiply", out, alpha)
    return fused_activation(c, out)


def _turned(c: Call, x: Value, batch: str, plain: str) -> Value:
    """`transBatch` brings the first axis next to the last; then the last two may be exchanged."""
    order = list(range(x.tensor.rank))
    if c.attr(batch, 0) and len(order) > 2:
        order = [*order[1:-1], order[0], order[-1]]
    if c.attr(plain, 0) and len(order) > 1:
        order = [*order[:-2], order[-1], order[-2]]
    return permuted(c.b, x, order)


def _fused_gemm(c: Call, a: Source, b: Source, bias: Source = None) -> Value:
    from .onnx_matrix import _gemm

    return fused_activation(c, _gemm(c, a, b, bias))


def _gemm_fast_gelu(c: Call, a: Source, b: Source, bias: Source = None) -> Value:
    out = biased(c, matmul(c, c.value(a), c.value(b, role="weight")), bias)
    return c.b.op("gelu", out, approximate="tanh")


def _fused_conv(c: Call, x: Source, w: Source, bias: Source = None, extra: Source = None) -> Value:
    out = _conv(as_standard(c), x, w, bias)
    out = out if extra is None else c.b.op("add", out, c.value(extra))
    return fused_activation(c, out)


def _nhwc_conv(c: Call, x: Source, w: Source, bias: Source = None, extra: Source = None) -> Value:
    """Channels last on both sides; passes make the transposes meet."""
    value = c.value(x)
    spatial = value.tensor.rank - 2
    out = _conv(as_standard(c), channels_first(c.b, value, spatial), w, bias)
    out = channels_last(c.b, out, spatial)
    out = out if extra is None else c.b.op("add", out, c.value(extra))
    return fused_activation(c, out)


def _inverse(c: Call, x: Source) -> Value:
    return c.b.op("inverse", c.value(x))


# ---- the rest


def _expand_dims_row(c: Call, x: Source, at: Source) -> Value:
    value = c.value(x)
    place = c.ints(at, "the axis")[0]
    return expand_dims(c.b, value, place % (value.tensor.rank + 1))


def _unfold(c: Call, x: Source) -> Value:
    value = c.value(x)
    at, size = axis(value, c.attr("dim", -1)), int(c.required("size"))
    return c.b.op("windows", value, axis=at, size=size, step=int(c.attr("step", 1)))


def _range(c: Call, start: Source, limit: Source, delta: Source = None) -> Any:
    from .onnx_values import host

    if delta is None:
        dtype = c.value(start).tensor.dtype
        delta = host(1, dtype)
    return SHAPE_ROWS["Range"](as_standard(c), start, limit, delta)


def _rfft(c: Call, x: Source) -> Value:
    """Real and imaginary parts on a last axis of their own."""
    value, count = c.value(x), int(c.attr("signal_ndim", 1))
    _one_sided(c)
    axes = tuple(range(value.tensor.rank - count, value.tensor.rank))
    return c.b.op("as_real", c.b.op("rfft", value, axes=axes))


def _irfft(c: Call, x: Source) -> Value:
    value = c.b.op("as_complex", c.value(x))
    count = int(c.required("signal_ndim"))
    _one_sided(c)
    axes = tuple(range(value.tensor.rank - count, value.tensor.rank))
    return c.b.op("irfft", value, axes=axes, size=(value.tensor.shape[-1] - 1) * 2)


def _one_sided(c: Call) -> None:
    if not c.attr("onesided", 1) or c.attr("normalized", 0):
        raise TranspileError("a normalised or two-sided transform")


def _complex_mul(conjugate: bool) -> Row:
    """Products of complex numbers whose parts stand on the last axis."""

    def row(c: Call, x: Source, y: Source) -> Value:
        left, right = (c.b.op("as_complex", c.value(v)) for v in (x, y))
        right = c.b.op("conj", right) if conjugate else right
        return c.b.op("as_real", c.b.op("multiply", left, right))

    return row


def _all_finite(c: Call, *xs: Source) -> Value:
    """One truth value over all elements of all inputs."""
    b: Builder = c.b
    out: Any = None
    only_nan, only_inf = c.attr("isnan_only", 0), c.attr("isinf_only", 0)
    bad = "isnan" if only_nan else "isinf" if only_inf else ""
    for x in xs:
        value = c.value(x)
        good = b.op("invert", b.op(bad, value)) if bad else b.op("isfinite", value)
        every = b.op("all", good, axes=tuple(range(value.tensor.rank)), keepdims=False)
        out = every if out is None else b.op("bitwise_and", out, every)
    return reshaped(b, out, ())


def _cdist(c: Call, x: Source, y: Source) -> Value:
    """Distances of all pairs of rows."""
    b, metric = c.b, c.attr("metric", "sqeuclidean")
    left, right = expand_dims(b, c.value(x), 1), expand_dims(b, c.value(y), 0)
    off = b.op("subtract", left, right)
    if metric == "euclidean":
        return b.op("norm", off, axes=(2,), keepdims=False)
    if metric == "sqeuclidean":
        return b.op("sum", b.op("square", off), axes=(2,), keepdims=False)
    raise TranspileError(f"CDist with the metric {metric}")


def _reduce_sum_integer(c: Call, x: Source) -> Value:
    value = c.value(x, DType.i32)
    axes = tuple(sorted(axis(value, a) for a in c.required("axes")))
    return c.b.op("sum", value, axes=axes, keepdims=bool(c.attr("keepdims", 1)))


_OWN: dict[str, Any] = {
    "Gelu": _gelu("none"),
    "BiasGelu": _gelu("none"),
    "FastGelu": _gelu("tanh"),
    "QuickGelu": _quick_gelu,
    "GemmFastGelu": _gemm_fast_gelu,
    "BiasSplitGelu": _bias_split_gelu,
    "BiasAdd": _bias_add,
    "BiasDropout": _bias_dropout,
    "BiasSoftmax": _bias_softmax,
    "LayerNormalization": standard(_layer_norm),
    "SimplifiedLayerNormalization": _simple_layer_norm,
    "SkipLayerNormalization": _skip_layer_norm,
    "SkipSimplifiedLayerNormalization": _skip_rms_norm,
    "EmbedLayerNormalization": embed_layer_norm,
    "GroupNorm": _group_norm,
    "SkipGroupNorm": _skip_group_norm,
    "FusedMatMul": fused_matmul,
    "FusedMatMulActivation": fused_matmul,
    "TransposeMatMul": fused_matmul,
    "FusedGemm": _fused_gemm,
    "FusedConv": _fused_conv,
    "NhwcConv": _nhwc_conv,
    "NhwcFusedConv": _nhwc_conv,
    "Inverse": _inverse,
    "Trilu": standard(SHAPE_ROWS["Trilu"]),
    "Pad": standard(SHAPE_ROWS["Pad"]),
    "ExpandDims": _expand_dims_row,
    "UnfoldTensor": _unfold,
    "Range": _range,
    "GatherND": standard(INDEX_ROWS["GatherND"]),
    "Rfft": _rfft,
    "Irfft": _irfft,
    "ComplexMul": _complex_mul(False),
    "ComplexMulConj": _complex_mul(True),
    "IsAllFinite": _all_finite,
    "CDist": _cdist,
    "ReduceSumInteger": _reduce_sum_integer,
}

ROWS: dict[str, Any] = {
    "SimplifiedLayerNormalization": _simple_layer_norm,  # onnxruntime's, without a domain
    **{
        f"com.microsoft.{name}": row
        for name, row in {
            **_OWN,
            **onnx_contrib_attention.ROWS,
            **onnx_contrib_quant.ROWS,
        }.items()
    },
}
