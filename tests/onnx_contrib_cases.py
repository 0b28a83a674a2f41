"""Nodes of com.microsoft as models of one node, with inputs at any size of B (batch) and L (length)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper

KINDS = {"f32": np.float32, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "i8": np.int8,
         "bool": np.bool_}  # fmt: skip


@dataclass(frozen=True)
class X:
    """A graph input; integers lie in [low, high)."""

    shape: tuple[Any, ...]
    kind: str = "f32"
    low: int = 0
    high: int = 2
    make: Callable[[dict[str, int]], Any] | None = None

    def array(self, sizes: dict[str, int], rng: np.random.Generator) -> np.ndarray:
        if self.make is not None:
            return np.asarray(self.make(sizes), KINDS[self.kind])
        return drawn(
            tuple(sizes.get(d, d) for d in self.shape), self.kind, rng, self.low, self.high
        )


def x(*shape: Any, kind: str = "f32", low: int = 0, high: int = 2, make: Any = None) -> X:
    return X(shape, kind, low, high, make)


@dataclass(frozen=True)
class W:
    """An initializer."""

    shape: tuple[int, ...]
    kind: str = "f32"
    low: int = 0
    high: int = 256
    value: Any = None

    def array(self, rng: np.random.Generator) -> np.ndarray:
        if self.value is not None:
            return np.asarray(self.value, KINDS[self.kind])
        return drawn(self.shape, self.kind, rng, self.low, self.high)


def w(*shape: int, kind: str = "f32", low: int = 0, high: int = 256) -> W:
    if kind == "i8":  # onnxruntime's sums of two products saturate at 16 bits on some processors
        low, high = -60, 60
    return W(shape, kind, low, high)


def n(value: Any, kind: str = "f32") -> W:
    """An initializer that is known: a scale, a zero point."""
    return W((), kind, value=value)


def drawn(
    shape: tuple[int, ...], kind: str, rng: np.random.Generator, low: int, high: int
) -> np.ndarray:
    if kind == "f32":
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(low, high, shape).astype(KINDS[kind])


@dataclass(frozen=True)
class Case:
    op: str
    inputs: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[int, ...] = (0,)  # which results are asked for
    tolerance: float = 2e-5
    reference: Callable[..., Any] | None = None  # where onnxruntime has no CPU kernel
    name: str = ""
    domain: str = "com.microsoft"

    def __str__(self) -> str:
        return f"{self.op}-{self.name}" if self.name else self.op


def model_of(case: Case) -> Any:
    """A ModelProto of the one node; initializers have names as exporters write them."""
    rng = np.random.default_rng(7)
    names, graph_inputs, initializers = [], [], []
    for i, each in enumerate(case.inputs):
        name = "" if each is None else f"x{i}"
        names.append(name)
        if isinstance(each, X):
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(KINDS[each.kind]))
            graph_inputs.append(helper.make_tensor_value_info(name, kind, each.shape))
        elif each is not None:
            array = each.array(rng)
            if each.kind == "f32" and each.value is None:
                array = array * np.float32(0.4)
            initializers.append(onnx.numpy_helper.from_array(array, name))
    results = ["" for _ in range(max(case.outputs) + 1)]
    for i in case.outputs:
        results[i] = f"y{i}"
    node = helper.make_node(case.op, names, results, domain=case.domain, **case.attrs)
    made = [onnx.ValueInfoProto(name=r) for r in results if r]
    graph = helper.make_graph([node], "contrib", graph_inputs, made, initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _split_gelu(x: Any, bias: Any) -> Any:
    import math

    left, right = np.split(x + bias, 2, -1)
    return left * right * 0.5 * (1 + np.vectorize(math.erf)(right / math.sqrt(2)))


S = x("B", "L", 8)
NORM = (w(8), w(8))
QKV = (w(8, 24), w(24))
HEADS = {"num_heads": 2}
MASK = x("B", "L", kind="i32", make=lambda s: np.arange(s["L"]) < np.arange(2, 2 + s["B"])[:, None])
MASK3 = x("B", "L", "L", kind="i32", make=lambda s: np.tri(s["L"])[None].repeat(s["B"], 0))
ENDS = x("B", kind="i32", make=lambda s: np.arange(2, 2 + s["B"]))
SPAN = x("2*B", kind="i32")
IDS = x("B", "L", kind="i64", high=6)
TABLES = (w(16, 2), w(16, 2))
WIDE = (w(16, 8), w(16, 8))
IDS32 = x("B", "L", kind="i32", high=6)
LAST = x("B", kind="i32", make=lambda s: [s["L"] - 1] * s["B"])
GQA = {"num_heads": 4, "kv_num_heads": 2}
PROMPT = (x("B", "L", 64), x("B", "L", 32), x("B", "L", 32), None, None, LAST)
POSITIONS = x("B", "L", kind="i64", make=lambda s: np.arange(s["L"])[None].repeat(s["B"], 0) + 1)
Q = x("B", "L", 8, kind="u8", high=256)
SCALES = (n(0.02), n(120, "u8"))
OUT = (n(0.03), n(110, "u8"))
IMAGE = x("B", 3, 6, "L", kind="u8", high=256)


def _gqa(*more: Any) -> tuple[Any, ...]:
    total = W((), "i32", value=-1)
    return (*PROMPT, total, *more)


CASES = [
    Case("Gelu", (S,)),
    Case("BiasGelu", (S, w(8))),
    Case("FastGelu", (S,)),
    Case("FastGelu", (S, w(8)), name="bias"),
    Case("QuickGelu", (S,)),
    Case("QuickGelu", (S,), {"alpha": 1.0}, name="silu"),
    Case("QuickGelu", (S,), {"alpha": 0.5}, name="alpha"),
    Case("BiasSplitGelu", (S, w(8)), reference=_split_gelu),
    Case("BiasAdd", (S, w(8), S), reference=lambda x, b, s: x + b + s),
    Case("BiasDropout", (S, w(8), S), reference=lambda x, b, s: x + b + s),
    Case("BiasSoftmax", (x("B", 2, "L", 8), x("B", 1, 1, 8)), {"axis": 3, "is_inner_broadcast": 0},
         reference=lambda x, b: _softmax(x + b)),
    Case("SimplifiedLayerNormalization", (S, w(8)), domain=""),
    Case("SkipLayerNormalization", (S, S, *NORM)),
    Case("SkipLayerNormalization", (S, S, *NORM, w(8)), {"epsilon": 1e-3}, (0, 3), name="sum"),
    Case("SkipSimplifiedLayerNormalization", (S, S, w(8)), {"epsilon": 1e-6}),
    Case("SkipSimplifiedLayerNormalization", (S, S, w(8), w(8)), {"epsilon": 1e-6}, (0, 3), name="sum"),
    Case("EmbedLayerNormalization", (IDS32, None, w(6, 8), w(9, 8), None, *NORM), outputs=(0, 1)),
    Case("EmbedLayerNormalization", (IDS32, x("B", "L", kind="i32"), w(6, 8), w(9, 8), w(2, 8), *NORM, MASK),
         outputs=(0, 1), name="segments"),
    Case("EmbedLayerNormalization", (IDS32, None, w(6, 8), w(9, 8), None, *NORM, None, IDS32), outputs=(0, 1, 2),
         name="positions"),
    Case("GroupNorm", (x("B", "L", 3, 8), *NORM), {"groups": 2, "activation": 1},
         reference=lambda x, g, b: _silu(_group_norm(x, g, b, 2))),
    Case("SkipGroupNorm", (x("B", "L", 3, 8), *NORM, x("B", 8), w(8)), {"groups": 4, "activation": 0}, (0, 1),
         reference=lambda x, g, b, s, v: (_group_norm(x + s[:, None, None] + v, g, b, 4), x + s[:, None, None] + v)),
    Case("FusedMatMul", (x("B", "L", 8), x("B", "L", 8)), {"transB": 1, "alpha": 0.5}),
    Case("FusedMatMul", (x("B", 8, "L"), x("B", 8, 4)), {"transA": 1}, name="transposed"),
    Case("FusedMatMul", (x("L", "B", 8), x("B", 8, 3)), {"transBatchA": 1}, name="batch"),
    Case("FusedMatMul", (x(8, "B", "L"), x("B", 8, 3)), {"transBatchA": 1, "transA": 1}, name="both"),
    Case("FusedMatMul", (x("B", "L", 8), w(8, 3)), name="weight"),
    Case("TransposeMatMul", (x("B", 8, "L"), x("B", 8, 4)), {"transA": 1}),
    Case("FusedGemm", (x("B", 8), w(8, 4), w(4)), {"activation": "Relu"}),
    Case("FusedGemm", (x("B", 8), w(4, 8), w(4)), {"activation": "LeakyRelu", "activation_alpha": 0.2, "transB": 1},
         name="leaky"),
    Case("GemmFastGelu", (S, w(8, 4), w(4)),
         reference=lambda x, w, b: _gelu_tanh(x @ w + b)),
    Case("FusedConv", (x("B", 3, 6, "L"), w(4, 3, 3, 3), w(4)), {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    Case("FusedConv", (x("B", 3, 6, 6), w(4, 3, 3, 3), w(4), x("B", 4, 4, 4)),
         {"activation": "HardSigmoid", "activation_params": [0.1, 0.4]}, name="residual"),
    Case("Inverse", (x("B", 3, 3),), tolerance=2e-3),
    Case("Trilu", (x("B", "L", "L"), n(1, "i64")), {"upper": 0}),
    Case("ExpandDims", (S, n(1, "i32"))),
    Case("UnfoldTensor", (x("B", 8),), {"dim": 1, "size": 3, "step": 2}),
    Case("GatherND", (S, x("B", 2, kind="i64"))),
    Case("Rfft", (x("B", "L", 8),), {"signal_ndim": 1, "normalized": 0, "onesided": 1},
         reference=lambda x: np.stack([np.fft.rfft(x).real, np.fft.rfft(x).imag], -1)),
    Case("Irfft", (x("B", "L", 5, 2),), {"signal_ndim": 1, "normalized": 0, "onesided": 1},
         reference=lambda x: np.fft.irfft(x[..., 0] + 1j * x[..., 1])),
    Case("ComplexMul", (x("B", "L", 2), x("B", "L", 2)),
         reference=lambda a, b: _parts((a[..., 0] + 1j * a[..., 1]) * (b[..., 0] + 1j * b[..., 1]))),
    Case("ComplexMulConj", (x("B", "L", 2), x("B", "L", 2)),
         reference=lambda a, b: _parts((a[..., 0] + 1j * a[..., 1]) * (b[..., 0] - 1j * b[..., 1]))),
    Case("IsAllFinite", (S, x("B")), reference=lambda x, y: np.isfinite(x).all() & np.isfinite(y).all()),
    Case("CDist", (x("B", 8), x("L", 8)), {"metric": "sqeuclidean"}, tolerance=1e-4),
    Case("CDist", (x("B", 8), x("L", 8)), {"metric": "euclidean"}, name="euclidean", tolerance=1e-4),
    Case("ReduceSumInteger", (x("B", "L", 4, kind="i8"),), {"axes": [1], "keepdims": 1},
         reference=lambda x: x.astype(np.int32).sum(1, keepdims=True)),
    # attention
    Case("Attention", (S, *QKV), HEADS),
    Case("Attention", (S, *QKV), {**HEADS, "unidirectional": 1}, name="causal"),
    Case("Attention", (S, *QKV, MASK), HEADS, name="mask"),
    Case("Attention", (S, *QKV, MASK), {**HEADS, "unidirectional": 1}, name="mask-causal"),
    Case("Attention", (S, *QKV, MASK3), HEADS, name="mask3"),
    Case("Attention", (S, *QKV, ENDS), HEADS, name="ends"),
    Case("Attention", (S, *QKV, None, None, x("B", 2, "L", "L")), HEADS, name="bias"),
    Case("Attention", (S, w(8, 20), w(20)), {**HEADS, "qkv_hidden_sizes": [8, 8, 4], "scale": 0.3}, name="sizes"),
    Case("Attention", (S, *QKV, None, x(2, "B", 2, "P", 4)), {**HEADS, "unidirectional": 1}, (0, 1), name="past"),
    Case("MultiHeadAttention", (S, x("B", "P", 8), x("B", "P", 8)), HEADS),
    Case("MultiHeadAttention", (S, x("B", "P", 8), x("B", "P", 8), w(24)), HEADS, (0, 1, 2), name="bias"),
    Case("MultiHeadAttention", (S, S, x("B", "L", 12), w(28)), HEADS, name="widths"),
    Case("MultiHeadAttention", (S, S, S, None, MASK), HEADS, name="mask"),
    Case("MultiHeadAttention", (S, S, S, None, None, x(1, 2, "L", "L")), HEADS, name="scores"),
    Case("MultiHeadAttention", (S, S, S), {**HEADS, "unidirectional": 1, "scale": 0.25}, name="causal"),
    Case("MultiHeadAttention", (x("B", "L", 2, 3, 4),), HEADS, name="packed",
         reference=lambda x: _heads(*np.moveaxis(x, 3, 0))),
    Case("MultiHeadAttention", (x("B", "L", 2, 3, 4), None, None, w(24)), HEADS, name="packed-bias",
         reference=lambda x, b: _heads(*(p + v for p, v in zip(np.moveaxis(x, 3, 0), b.reshape(3, 2, 4), strict=True)))),
    Case("MultiHeadAttention", (S, x("B", "P", 2, 2, 4)), HEADS, name="packed-keys",
         reference=lambda q, x: _heads(q.reshape(*q.shape[:2], 2, 4), *np.moveaxis(x, 3, 0))),
    Case("MultiHeadAttention", (S, x("B", 2, "P", 4), x("B", 2, "P", 4)), HEADS, name="cross"),
    Case("MultiHeadAttention", (S, S, S, None, None, None, x("B", 2, "P", 4), x("B", 2, "P", 4)), HEADS, (0, 1, 2),
         name="past"),
    Case("GroupQueryAttention", _gqa(), GQA, (0, 1, 2)),
    Case("GroupQueryAttention", _gqa(*WIDE), {**GQA, "do_rotary": 1}, (0, 1, 2), name="rotary"),
    Case("GroupQueryAttention", _gqa(*WIDE), {**GQA, "do_rotary": 1, "rotary_interleaved": 1}, (0, 1, 2),
         name="rotary-pairs"),
    Case("GroupQueryAttention", _gqa(*WIDE, POSITIONS), {**GQA, "do_rotary": 1}, (0, 1, 2), name="positions"),
    Case("GroupQueryAttention", _gqa(), {**GQA, "causal": 0}, (0, 1, 2), name="both-ways"),
    Case("GroupQueryAttention", _gqa(), {**GQA, "local_window_size": 3}, (0, 1, 2), name="window"),
    Case("GroupQueryAttention", _gqa(), {**GQA, "softcap": 2.0, "scale": 0.8}, (0, 1, 2), name="softcap"),
    Case("GroupQueryAttention", _gqa(), {**GQA, "smooth_softmax": 1}, (0, 1, 2), name="smooth"),
    Case("GroupQueryAttention", _gqa(None, None, None, None, w(4)), GQA, (0, 1, 2), name="sink"),
    Case("GroupQueryAttention", _gqa(None, None, None, x("B", 4, "L", "L")), GQA, (0, 1, 2), name="bias"),
    Case("GroupQueryAttention", (x("B", "L", 128), None, None, None, None, *_gqa()[5:]), GQA, (0, 1, 2),
         name="packed"),
    Case("RotaryEmbedding", (x("B", "L", 8), IDS, *TABLES)),
    Case("RotaryEmbedding", (x("B", "L", 8), n([3], "i64"), *TABLES), {"interleaved": 1}, name="offset"),
    Case("RotaryEmbedding", (x("B", 2, "L", 4), IDS, *TABLES), name="heads"),
    Case("RotaryEmbedding", (x("B", "L", 16), IDS, *TABLES), {"num_heads": 2, "rotary_embedding_dim": 4},
         name="partial"),
    # quantized
    Case("QuantizeLinear", (S, n(0.05), n(130, "u8"))),
    Case("QuantizeLinear", (S, n(0.05), n(-3, "i8")), name="signed"),
    Case("DequantizeLinear", (Q, n(0.05), n(130, "u8"))),
    Case("QLinearAdd", (Q, *SCALES, Q, n(0.03), n(100, "u8"), *OUT), tolerance=1),
    Case("QLinearMul", (Q, *SCALES, Q, n(0.03), n(100, "u8"), *OUT), tolerance=1),
    Case("QLinearSigmoid", (Q, *SCALES, n(0.004), n(0, "u8")), tolerance=1),
    Case("QLinearLeakyRelu", (Q, *SCALES, *OUT), {"alpha": 0.2}, tolerance=1),
    Case("QLinearSoftmax", (Q, *SCALES, n(1 / 256), n(0, "u8")), {"axis": -1, "opset": 13}, tolerance=1),
    Case("QLinearReduceMean", (Q, *SCALES, *OUT), {"axes": [1], "keepdims": 1}, tolerance=1,
         reference=lambda x, *_: np.clip(np.round((x - 120.0).mean(1, keepdims=True) * 0.02 / 0.03) + 110, 0, 255)
         .astype(np.uint8)),
    Case("QLinearGlobalAveragePool", (IMAGE, *SCALES, *OUT), {"channels_last": 0}, tolerance=1),
    Case("QLinearAveragePool", (IMAGE, *SCALES, *OUT), {"kernel_shape": [2, 2], "strides": [2, 2]}, tolerance=1),
    Case("QLinearConcat", (n(0.03), n(110, "u8"), Q, *SCALES, Q, *OUT), {"axis": 1}, tolerance=1),
    Case("QLinearWhere", (x("B", "L", 8, kind="bool"), Q, *SCALES, Q, *OUT, n(0.025), n(100, "u8")), tolerance=1),
    Case("QLinearConv", (x("B", 6, "L", 3, kind="u8", high=256), *SCALES, w(4, 3, 3, 3, kind="u8"), n(0.01),
         n(128, "u8"), n(0.2), n(110, "u8"), w(4, kind="i32", high=500)),
         {"channels_last": 1, "pads": [1, 1, 1, 1]}, tolerance=1),
    Case("QGemm", (x("B", 8, kind="u8", high=256), *SCALES, w(8, 4, kind="u8"), n(0.01), n(128, "u8"),
         w(4, kind="i32", high=500), *OUT), tolerance=1),
    Case("QGemm", (x("B", 8, kind="u8", high=256), *SCALES, w(4, 8, kind="i8"), n([0.01, 0.02, 0.03, 0.04]),
         n([0, 0, 0, 0], "i8")), {"transB": 1}, name="float", tolerance=1e-4),
    Case("MatMulIntegerToFloat", (Q, w(8, 4, kind="i8"), n(0.02), n([0.01, 0.02, 0.03, 0.04]), n(120, "u8"),
         n([0, 0, 0, 0], "i8"), w(4)), tolerance=1e-4),
    Case("DynamicQuantizeMatMul", (S, w(8, 4, kind="u8"), n(0.02), n(128, "u8"), w(4)), tolerance=1e-3),
    Case("QAttention", (Q, w(8, 24, kind="u8"), w(24), n(0.02), n(0.002), None, n(120, "u8"), n(128, "u8")), HEADS,
         tolerance=1e-4),
    Case("QEmbedLayerNormalization",
         (IDS32, None, w(6, 8, kind="u8"), w(9, 8, kind="u8"), None, w(8, kind="u8"), w(8, kind="u8"), None,
          n(0.02), n(0.03), None, n(0.01), n(0.02), n(100, "u8"), n(90, "u8"), None, n(80, "u8"), n(70, "u8")),
         outputs=(0, 1), tolerance=1e-3),
    Case("MatMulNBits", (x("B", "L", 32), w(6, 2, 8, kind="u8"), w(6, 2)),
         {"K": 32, "N": 6, "bits": 4, "block_size": 16}, tolerance=1e-4),
    Case("MatMulNBits", (x("B", "L", 40), w(6, 3, 8, kind="u8"), w(6, 3), w(6, 2, kind="u8"), None, w(6)),
         {"K": 40, "N": 6, "bits": 4, "block_size": 16}, name="zeros", tolerance=1e-4),
    Case("MatMulNBits", (x("B", "L", 32), w(6, 2, 16, kind="u8"), w(6, 2)),
         {"K": 32, "N": 6, "bits": 8, "block_size": 16}, name="bytes", tolerance=1e-4),
    Case("MatMulNBits", (x("B", "L", 32), w(6, 2, 8, kind="u8"), w(6, 2), w(6, 2)),
         {"K": 32, "N": 6, "bits": 4, "block_size": 16}, name="float-zeros", tolerance=1e-4),
    Case("GatherBlockQuantized", (w(10, 16, kind="u8"), IDS, w(10, 2)), {"bits": 4, "block_size": 16},
         tolerance=1e-5),
]  # fmt: skip


def _softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def _gelu_tanh(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def _group_norm(x: Any, gamma: Any, beta: Any, groups: int) -> Any:
    parts = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
    normed = (parts - parts.mean((1, 3), keepdims=True)) / np.sqrt(
        parts.var((1, 3), keepdims=True) + 1e-5
    )
    return normed.reshape(x.shape) * gamma + beta


def _heads(q: Any, k: Any, v: Any) -> Any:
    """Attention over [B, L, heads, size]."""
    scores = np.einsum("bihd,bjhd->bhij", q, k) / np.sqrt(q.shape[-1])
    out = np.einsum("bhij,bjhd->bihd", _softmax(scores), v)
    return out.reshape(*out.shape[:2], -1)


def _parts(z: Any) -> Any:
    return np.stack([z.real, z.imag], -1)


__all__ = ["CASES", "Case", "T", "model_of"]
