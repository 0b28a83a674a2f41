"""ONNX rows: attention and rotary embeddings of `com.microsoft`.

`mask_filter_value` is added where a padding mask is 0, as onnxruntime does: a row whose keys are
all masked still has a mean. Positions that lie ahead are left out altogether.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import DType, Value
from ..ir.dims import Expr, floordiv
from .aten_common import expand_dims, permuted, reshaped, sliced
from .onnx_math import to_dtype
from .onnx_matrix import matmul
from .onnx_values import Call, Host, Source

Dim = int | Expr


def shape_of(x: Value | Host) -> tuple[Dim, ...]:
    return x.shape if isinstance(x, Host) else x.tensor.shape


@dataclass
class Heads:
    """Query, key and value as (batch, heads, length, size), and what is added to the scores."""

    query: Value
    key: Value
    value: Value
    bias: Value | None = None


def split_heads(c: Call, x: Value, heads: int) -> Value:
    """[B, L, heads * size] to [B, heads, L, size]."""
    batch, length, width = x.tensor.shape
    size = floordiv(width, heads)
    return permuted(c.b, reshaped(c.b, x, (batch, length, heads, size)), [0, 2, 1, 3])


def join_heads(c: Call, x: Value) -> Value:
    batch, heads, length, size = x.tensor.shape
    return reshaped(c.b, permuted(c.b, x, [0, 2, 1, 3]), (batch, length, heads * size))


def scale_of(c: Call, query: Value) -> float:
    given = float(c.attr("scale", 0.0) or 0.0)
    size = query.tensor.shape[-1]
    if not given and not isinstance(size, int):
        raise TranspileError(f"heads of {size} features", hint="fix the dim with --input")
    return given or 1.0 / math.sqrt(size)  # type: ignore[arg-type]


def attend(c: Call, h: Heads, causal: bool) -> Value:
    """The joined heads of attention; a mask of what lies ahead is put over the other masks."""
    bias = h.bias
    if causal and bias is not None:
        ahead = before(c, h.query.tensor.shape[2], h.key.tensor.shape[2])
        bias = c.b.op("where", ahead, bias, -math.inf)
    out = c.b.op(
        "attention", h.query, h.key, h.value, bias, scale=scale_of(c, h.query),
        causal="lower_right" if causal and bias is None else "none",
    )  # fmt: skip
    return join_heads(c, out)


def places(c: Call, size: Dim, offset: Dim = 0) -> Value:
    return c.b.op("arange", start=offset, stop=size + offset, dtype=DType.i32)


def before(c: Call, rows: Dim, columns: Dim, window: int = -1) -> Value:
    """[rows, columns]: true where the key is no later than the query, and in the window."""
    b = c.b
    row = expand_dims(b, places(c, rows, columns - rows), 1)
    column = places(c, columns)
    out = b.op("less_equal", column, row)
    if window > 0:
        near = b.op("greater", column, b.op("subtract", row, window))
        out = b.op("bitwise_and", out, near)
    return out


def added(c: Call, first: Value | None, second: Value | None) -> Value | None:
    if first is None or second is None:
        return second if first is None else first
    return c.b.op("add", first, second)


# ---- masks of padding


def padding(c: Call, mask: Source, batch: Dim, length: Dim, dtype: DType) -> Value | None:
    """What a padding mask adds to scores [B, heads, S, T]."""
    if mask is None:
        return None
    keep = _kept(c, c.value(mask), batch, length)
    low = float(c.attr("mask_filter_value", -10000.0))
    zeros = c.b.op("full", shape=(), value=0.0, dtype=dtype)
    return c.b.op("where", keep, zeros, low)


def _kept(c: Call, mask: Value, batch: Dim, length: Dim) -> Value:
    """True where a key counts, of rank 4."""
    b, rank = c.b, mask.tensor.rank
    if rank == 1:
        return _within(c, mask, batch, length)
    if rank == 4:
        raise TranspileError("attention with a mask of rank 4", hint="masks of rank 1 to 3 work")
    keep = mask if mask.tensor.dtype is DType.bool else b.op("greater", mask, 0)
    return expand_dims(b, keep, *((1, 2) if rank == 2 else (1,)))


def _within(c: Call, ends: Value, batch: Dim, length: Dim) -> Value:
    """Keys below the row's length; with as many starts behind the lengths, not before those."""
    b, size = c.b, ends.tensor.shape[0]
    place = places(c, length)
    if size == batch:
        return b.op("less", place, expand_dims(b, to_dtype(b, ends, DType.i32), 1, 2, 3))
    if size != batch * 2:
        raise TranspileError(f"a mask of {size} numbers for a batch of {batch}")
    stop, start = b.op("split", to_dtype(b, ends, DType.i32), sizes=(batch, batch), axis=0)
    low = b.op("greater_equal", place, expand_dims(b, start, 1, 2, 3))
    return b.op("bitwise_and", b.op("less", place, expand_dims(b, stop, 1, 2, 3)), low)


# ---- the operators


def _attention(
    c: Call, x: Source, weight: Source, bias: Source = None, mask: Source = None,
    past: Source = None, extra: Source = None, past_length: Source = None,
) -> list[Any]:  # fmt: skip
    return projected_attention(
        c, c.value(x), c.value(weight, role="weight"), c.maybe(bias, role="bias"), mask, past, extra
    )


def projected_attention(
    c: Call, x: Value, weight: Value, bias: Value | None, mask: Source, past: Source,
    extra: Source = None,
) -> list[Any]:  # fmt: skip
    """Queries, keys and values are one projection of the input."""
    for name in ("do_rotary", "past_present_share_buffer"):
        if c.attr(name, 0):
            raise TranspileError(f"Attention with {name}")
    b, heads = c.b, int(c.required("num_heads"))
    joint = matmul(c, x, weight)
    joint = joint if bias is None else b.op("add", joint, bias)
    sizes = c.attr("qkv_hidden_sizes") or [floordiv(joint.tensor.shape[-1], 3)] * 3
    query, key, value = b.op("split", joint, sizes=tuple(sizes), axis=2)
    h = Heads(*(split_heads(c, v, heads) for v in (query, key, value)))
    if past is not None:
        old = c.value(past)
        h.key, h.value = (
            b.op("concatenate", b.op("select", old, axis=0, index=i), v, axis=2)
            for i, v in enumerate((h.key, h.value))
        )
    present = b.op("stack", h.key, h.value, axis=0) if c.used(1) else None
    out = _masked(c, h, mask, extra)
    return [out, present]


def _masked(c: Call, h: Heads, mask: Source, extra: Source) -> Value:
    batch, length = h.query.tensor.shape[0], h.key.tensor.shape[2]
    h.bias = padding(c, mask, batch, length, h.query.tensor.dtype)
    h.bias = added(c, c.maybe(extra), h.bias)
    return attend(c, h, bool(c.attr("unidirectional", 0)))


def _multi_head(
    c: Call, query: Source, key: Source = None, value: Source = None, bias: Source = None,
    mask: Source = None, extra: Source = None, past_key: Source = None, past_value: Source = None,
    past_length: Source = None, indirection: Source = None,
) -> list[Any]:  # fmt: skip
    """Queries, keys and values come projected, each or packed; the bias may still be missing."""
    if past_length is not None or indirection is not None:
        raise TranspileError("MultiHeadAttention with a cache in a shared buffer")
    if c.used(3):
        raise TranspileError("MultiHeadAttention that also returns its scores")
    h = Heads(*_three(c, query, key, value, bias))
    if past_key is not None and past_value is not None:
        h.key = c.b.op("concatenate", c.value(past_key), h.key, axis=2)
        h.value = c.b.op("concatenate", c.value(past_value), h.value, axis=2)
    out = _masked(c, h, mask, extra)
    return [out, h.key, h.value]


def _three(c: Call, query: Source, key: Source, value: Source, bias: Source) -> list[Value]:
    b, heads, q = c.b, int(c.required("num_heads")), c.value(query)
    if q.tensor.rank == 5:
        parts = [b.op("select", q, axis=3, index=i) for i in range(3)]
        return [_biased_heads(c, x, bias, i) for i, x in enumerate(parts)]
    k = c.value(key)
    if k.tensor.rank == 5:
        parts = [q, *(b.op("select", k, axis=3, index=i) for i in range(2))]
        batch, length, width = q.tensor.shape
        parts[0] = reshaped(b, q, (batch, length, heads, floordiv(width, heads)))
        return [_biased_heads(c, x, bias, i) for i, x in enumerate(parts)]
    v = c.value(value)
    shifts = _shifts(c, q, k, v, bias)
    q, k, v = (
        x if s is None else b.op("add", x, s) for x, s in zip((q, k, v), shifts, strict=True)
    )
    return [x if x.tensor.rank == 4 else split_heads(c, x, heads) for x in (q, k, v)]


def _shifts(c: Call, q: Value, k: Value, v: Value, bias: Source) -> list[Value | None]:
    """Parts of the joint bias; keys that come from a cache have had theirs."""
    if bias is None:
        return [None, None, None]
    shift, width = c.value(bias, role="bias"), q.tensor.shape[-1]
    last = shift.tensor.shape[0]
    cuts = [(0, width), (width, width * 2), (width * 2, last)]
    parts: list[Value | None] = [sliced(c.b, shift, 0, *cut) for cut in cuts]
    return parts if k.tensor.rank == 3 else [parts[0], None, None]


def _biased_heads(c: Call, x: Value, bias: Source, index: int) -> Value:
    """[B, L, heads, size] with its part of the bias, to [B, heads, L, size]."""
    if bias is not None:
        heads, size = x.tensor.shape[2:]
        width = heads * size
        part = sliced(c.b, c.value(bias, role="bias"), 0, index * width, (index + 1) * width)
        x = c.b.op("add", x, reshaped(c.b, part, (heads, size)))
    return permuted(c.b, x, [0, 2, 1, 3])


# ---- grouped queries


def _group_query(c: Call, *inputs: Source) -> list[Any]:
    """Causal attention whose keys are shared by groups of queries, without a cache."""
    padded: list[Source] = [*inputs, *[None] * (16 - len(inputs))]
    query, key, value, past_key, past_value, lengths = padded[:6]
    cos, sin, ids, extra, sink, *rest = padded[7:]
    _refuse_cache(c, past_key, past_value, rest[:2])
    h = Heads(*_grouped(c, query, key, value))
    h.query, h.key = _unit_heads(c, h.query, rest[2]), _unit_heads(c, h.key, rest[3])
    if c.attr("do_rotary", 0):
        angles = _angles(c, h.query.tensor.shape[2], cos, sin, ids, first=True)
        interleaved = bool(c.attr("rotary_interleaved", 0))
        h.query, h.key = (rotated(c, x, *angles, interleaved) for x in (h.query, h.key))
    h.bias = c.maybe(extra)
    if not c.attr("causal", 1):  # else what stands behind a row's end is ahead of all its queries
        h.bias = added(c, h.bias, _behind(c, h, lengths))
    return [_group_query_scores(c, h, sink), h.key, h.value]


def _behind(c: Call, h: Heads, lengths: Source) -> Value:
    """Leaves out keys behind the end of their row; `lengths` count from 0."""
    batch, length = h.query.tensor.shape[0], h.key.tensor.shape[2]
    ends = c.b.op("add", c.value(lengths), 1)
    zeros = c.b.op("full", shape=(), value=0.0, dtype=h.query.tensor.dtype)
    return c.b.op("where", _within(c, ends, batch, length), zeros, -math.inf)


def _refuse_cache(c: Call, key: Source, value: Source, scales: list[Source]) -> None:
    for past in (key, value):
        length = 0 if past is None else shape_of(past)[2]
        if length != 0:
            raise TranspileError(
                f"GroupQueryAttention with a cache of {length} positions",
                hint="leave past_key and past_value out, or fix their length to 0 with --input",
            )
    if any(s is not None for s in scales):
        raise TranspileError("GroupQueryAttention with a quantized cache")
    if c.used(3):
        raise TranspileError("GroupQueryAttention that also returns its scores")


def _grouped(c: Call, query: Source, key: Source, value: Source) -> list[Value]:
    heads, groups, q = int(c.required("num_heads")), int(c.required("kv_num_heads")), c.value(query)
    if key is None:
        size = floordiv(q.tensor.shape[2], heads + 2 * groups)
        sizes = (heads * size, groups * size, groups * size)
        q, k, v = c.b.op("split", q, sizes=sizes, axis=2)
    else:
        k, v = c.value(key), c.value(value)
    return [split_heads(c, q, heads), split_heads(c, k, groups), split_heads(c, v, groups)]


def _unit_heads(c: Call, x: Value, weight: Source) -> Value:
    if weight is None:
        return x
    eps = float(c.attr("qk_norm_epsilon", 1e-6))
    return c.b.op("rms_norm", x, c.value(weight, role="weight"), eps=eps)


def _group_query_scores(c: Call, h: Heads, sink: Source) -> Value:
    window, causal = int(c.attr("local_window_size", -1)), bool(c.attr("causal", 1))
    cap = float(c.attr("softcap", 0.0))
    if c.attr("smooth_softmax", 0) and sink is None:
        sinks: Value | None = c.b.op("full", shape=(1,), value=0.0, dtype=h.query.tensor.dtype)
    else:
        sinks = c.maybe(sink, role="sinks")
    if cap or sinks is not None:
        return _composed(c, h, cap, sinks, window if causal else -1, causal)
    if window <= 0 or not causal:
        return attend(c, h, causal)
    seen = before(c, h.query.tensor.shape[2], h.key.tensor.shape[2], window)
    h.bias = seen if h.bias is None else c.b.op("where", seen, h.bias, -math.inf)
    return attend(c, h, False)


def _composed(
    c: Call, h: Heads, cap: float, sinks: Value | None, window: int, causal: bool
) -> Value:
    """Scores bent by cap * tanh(scores / cap), or with a weight that goes nowhere (a sink)."""
    b, heads, groups = c.b, h.query.tensor.shape[1], h.key.tensor.shape[1]
    repeats = floordiv(heads, groups)
    key, value = (
        x if repeats == 1 else b.op("repeat", x, repeats=repeats, axis=1) for x in (h.key, h.value)
    )
    scores = b.op("matmul", b.op("multiply", h.query, scale_of(c, h.query)),
                  permuted(b, key, [0, 1, 3, 2]))  # fmt: skip
    if cap:
        scores = b.op("multiply", b.op("tanh", b.op("divide", scores, cap)), cap)
    scores = scores if h.bias is None else b.op("add", scores, h.bias)
    if causal:
        seen = before(c, scores.tensor.shape[2], scores.tensor.shape[3], window)
        scores = b.op("where", seen, scores, -math.inf)
    return join_heads(c, b.op("matmul", _weights(c, scores, sinks), value))


def _weights(c: Call, scores: Value, sinks: Value | None) -> Value:
    b = c.b
    if sinks is None:
        return b.op("softmax", scores, axis=3)
    batch, heads, rows, columns = scores.tensor.shape
    column = expand_dims(b, sinks, 1, 2)
    column = b.op("broadcast_to", column, shape=(batch, heads, rows, 1))
    joined = b.op("softmax", b.op("concatenate", scores, column, axis=3), axis=3)
    return b.op("slice", joined, axis=3, start=0, stop=columns)


# ---- rotary embeddings


def _angles(
    c: Call, length: Dim, cos: Source, sin: Source, ids: Source, first: bool = False
) -> tuple[Value, Value]:
    """Cosines and sines of the positions, [L, pairs] or [B, 1, L, pairs]."""
    tables = [c.value(cos, role="cos"), c.value(sin, role="sin")]
    if ids is None:
        one, two = (sliced(c.b, t, 0, 0, length) for t in tables)
        return one, two
    index = c.value(ids)
    if first:  # a prompt starts at the first position that is given
        corner = sliced(c.b, sliced(c.b, index, 0, 0, 1), 1, 0, 1)
        index = reshaped(c.b, corner, (1,))
    if index.tensor.rank == 1:
        index = c.b.op("add", to_dtype(c.b, index, DType.i32), places(c, length))
    out = [c.b.op("take", t, index, axis=0) for t in tables]
    one, two = (expand_dims(c.b, t, 1) if t.tensor.rank == 3 else t for t in out)
    return one, two


def rotated(c: Call, x: Value, cos: Value, sin: Value, interleaved: bool) -> Value:
    """Pairs of the first features of [B, heads, L, size] turned; the others stay."""
    b, at, size = c.b, x.tensor.rank - 1, x.tensor.shape[-1]
    half = cos.tensor.shape[-1]
    turned = sliced(b, x, at, 0, half * 2)
    first, second = _pairs(c, turned, half, interleaved)
    real = b.op("subtract", b.op("multiply", first, cos), b.op("multiply", second, sin))
    imaginary = b.op("add", b.op("multiply", second, cos), b.op("multiply", first, sin))
    if interleaved:
        out = reshaped(b, b.op("stack", real, imaginary, axis=at + 1), turned.tensor.shape)
    else:
        out = b.op("concatenate", real, imaginary, axis=at)
    if half * 2 == size:
        return out
    return b.op("concatenate", out, sliced(b, x, at, half * 2, size), axis=at)


def _pairs(c: Call, x: Value, half: Any, interleaved: bool) -> tuple[Value, Value]:
    at = x.tensor.rank - 1
    if interleaved:
        first, second = (c.b.op("slice", x, axis=at, start=i, stop=None, step=2) for i in range(2))
        return first, second
    first, second = c.b.op("split", x, sizes=(half, half), axis=at)
    return first, second


def _rotary(c: Call, x: Source, ids: Source, cos: Source, sin: Source) -> Value:
    """Of [B, L, heads * size] or [B, heads, L, size]."""
    if c.attr("is_packed_batching", 0) or float(c.attr("scale", 1.0)) != 1.0:
        raise TranspileError("RotaryEmbedding of packed batches, or with a scale")
    value, width = c.value(x), int(c.attr("rotary_embedding_dim", 0))
    interleaved = bool(c.attr("interleaved", 0))
    flat = value.tensor.rank == 3
    if flat:
        heads: Any = int(c.attr("num_heads", 0))
        size = c.value(cos, role="cos").tensor.shape[1] * 2
        heads = heads if width and heads else floordiv(value.tensor.shape[2], size)
        value = split_heads(c, value, heads)
    angles = _angles(c, value.tensor.shape[2], cos, sin, ids)
    out = rotated(c, value, *angles, interleaved)
    return join_heads(c, out) if flat else out


def _gemma_rotary(
    c: Call, angles: Source, q: Source, q_turned: Source, k: Source, k_turned: Source
) -> list[Value]:
    """x * cos + turned * sin with the angles as they are."""
    b, angle = c.b, expand_dims(c.b, c.value(angles), 1)
    out = []
    for x, turned in ((q, q_turned), (k, k_turned)):
        value = c.value(x)
        cos, sin = (to_dtype(b, b.op(f, angle), value.tensor.dtype) for f in ("cos", "sin"))
        half = b.op("multiply", c.value(turned), sin)
        out.append(b.op("add", b.op("multiply", value, cos), half))
    return out


ROWS: dict[str, Any] = {
    "Attention": _attention,
    "MultiHeadAttention": _multi_head,
    "GroupQueryAttention": _group_query,
    "RotaryEmbedding": _rotary,
    "GemmaRotaryEmbedding": _gemma_rotary,
}
