"""ATen rows: matrix products, linear layers, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from ..ir import Builder, DType, Value
from ..ir.dims import product
from .aten_common import Row, axis, expand_dims, floats, need, reshaped, squeeze, static, swapped
from .aten_elementwise import add, scaled
from .aten_shape import expand, select
from .promotion import cast, promoted


def _linear(b: Builder, input: Value, weight: Value, bias: Value | None = None) -> Value:
    if weight.tensor.rank == 1:
        out = b.op("matmul", input, weight)
        return out if bias is None else add(b, out, bias)
    return b.op("linear", input, weight, bias)


def _matmul(b: Builder, self: Value, other: Value) -> Value:
    """The product of two tensors; that of integers is a sum of products, as MLX has none."""
    left, right = promoted(b, self, other)
    if left.tensor.dtype.is_integer:
        return _integer_matmul(b, left, right)
    return b.op("matmul", left, right)


def _integer_matmul(b: Builder, left: Value, right: Value) -> Value:
    """Exact: products are broadcast and summed."""
    need(
        left.tensor.rank > 1 and right.tensor.rank > 1,
        "a product of integer vectors",
        "cast to float first",
    )
    a = expand_dims(b, left, left.tensor.rank)
    c = expand_dims(b, right, right.tensor.rank - 2)
    products = b.op("multiply", a, c)
    return b.op("sum", products, axes=(products.tensor.rank - 2,))


def _addmm(
    b: Builder, self: Value, mat1: Value, mat2: Value, *, beta: Any = 1, alpha: Any = 1
) -> Value:
    """beta * self + alpha * (mat1 @ mat2)."""
    return (
        add(b, scaled(b, _matmul(b, mat1, mat2), alpha), scaled(b, self, beta))
        if beta
        else scaled(b, _matmul(b, mat1, mat2), alpha)
    )


def _reduced_addbmm(
    b: Builder, self: Value, batch1: Value, batch2: Value, *, beta: Any = 1, alpha: Any = 1
) -> Value:
    return add(
        b,
        scaled(b, self, beta),
        scaled(b, b.op("sum", _matmul(b, batch1, batch2), axes=(0,)), alpha),
    )


def _outer(b: Builder, self: Value, vec2: Value) -> Value:
    left, right = promoted(b, self, vec2)
    return b.op("multiply", expand_dims(b, left, 1), right)


def _grouped_mm(
    b: Builder,
    self: Value,
    mat2: Value,
    offs: Value | None = None,
    bias: Value | None = None,
    out_dtype: DType | None = None,
) -> Value:
    """Experts: consecutive rows by a matrix each; `offs` is where each expert's rows stop."""
    ranks = (self.tensor.rank, mat2.tensor.rank)
    if ranks == (3, 3):
        return _matmul(b, self, mat2)
    need(ranks == (2, 3) and offs is not None, "grouped_mm of anything but rows by matrices")
    out = b.op("grouped_matmul", self, mat2, offs)
    return cast(b, out if bias is None else add(b, out, bias), out_dtype)


def _cross(b: Builder, self: Value, other: Value, *, dim: int = -1) -> Value:
    """The vector product along an axis of 3."""
    left, right = promoted(b, self, other)
    at = (axis(left, dim),)

    def turned(x: Value, by: int) -> Value:
        return b.op("roll", x, shifts=(by,), axes=at)

    first = b.op("multiply", turned(left, -1), turned(right, -2))
    return b.op("subtract", first, b.op("multiply", turned(left, -2), turned(right, -1)))


def _cross_default(b: Builder, self: Value, other: Value, dim: int | None = None) -> Value:
    """Without an axis: the first one of size 3."""
    return _cross(b, self, other, dim=self.tensor.shape.index(3) if dim is None else dim)


def _einsum(b: Builder, equation: str, tensors: Sequence[Value], path: Any = None) -> Value:
    subscripts = _written_out(equation.replace(" ", ""), [t.tensor.rank for t in tensors])
    return b.op("einsum", *promoted(b, *tensors), subscripts=subscripts)


def _written_out(equation: str, ranks: Sequence[int]) -> str:
    """The equation with a letter for every axis of its ellipses, and with its result."""
    given, arrow, result = equation.partition("->")
    free = [c for c in ascii_letters if c not in equation]
    operands = given.split(",")
    counts = [r - len(o) + 3 if "..." in o else 0 for r, o in zip(ranks, operands, strict=True)]
    lead = "".join(free[: max(counts)])
    operands = [o.replace("...", lead[len(lead) - n :]) for o, n in zip(operands, counts)]
    if not arrow:
        letters = given.replace(",", "").replace(".", "")
        result = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    result = result.replace("...", lead)
    return ",".join(operands) + "->" + result


def _tensordot(
    b: Builder, self: Value, other: Value, dims_self: Sequence[int], dims_other: Sequence[int]
) -> Value:
    letters = "abcdefghijklmnopqrstuvwxyz"
    left = list(letters[: self.tensor.rank])
    right = list(letters[self.tensor.rank : self.tensor.rank + other.tensor.rank])
    for i, j in zip(dims_self, dims_other, strict=True):
        right[j] = left[i]
    summed = {left[i] for i in dims_self}
    out = [c for c in left + right if c not in summed]
    return _einsum(b, f"{''.join(left)},{''.join(right)}->{''.join(out)}", [self, other])


def _bilinear(
    b: Builder, input1: Value, input2: Value, weight: Value, bias: Value | None = None
) -> Value:
    lead = "xyzw"[: input1.tensor.rank - 1]
    out = b.op("einsum", input1, weight, input2, subscripts=f"{lead}a,oab,{lead}b->{lead}o")
    return out if bias is None else b.op("add", out, bias)


def _kron(b: Builder, self: Value, other: Value) -> Value:
    """Every element times the other tensor: axis by axis the sizes multiply."""
    rank = max(self.tensor.rank, other.tensor.rank)
    left, right = ((1,) * (rank - x.tensor.rank) + x.tensor.shape for x in (self, other))
    pairs = b.op(
        "multiply",
        *promoted(
            b,
            reshaped(b, self, tuple(d for n in left for d in (n, 1))),
            reshaped(b, other, tuple(d for n in right for d in (1, n))),
        ),
    )
    return reshaped(b, pairs, tuple(m * n for m, n in zip(left, right, strict=True)))


def _cdist(b: Builder, x1: Value, x2: Value, p: float = 2.0, compute_mode: Any = None) -> Value:
    """Distances between the rows of two matrices."""
    rank = x1.tensor.rank
    left, right = (
        expand_dims(b, floats(b, x1), rank - 1),
        expand_dims(b, floats(b, x2), x2.tensor.rank - 2),
    )
    return vector_norm(b, b.op("subtract", left, right), p, (max(rank, x2.tensor.rank),), False)


def _pdist(b: Builder, self: Value, p: float = 2.0) -> Value:
    """Distances between all pairs of rows, the upper triangle row by row."""
    from .aten_create import constant_table

    size = static(self.tensor.shape[0], "the number of rows of pdist")
    pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
    places = constant_table(b, [[i for i, _ in pairs], [j for _, j in pairs]], DType.i64)
    left, right = (b.op("take", self, select(b, places, 0, k), axis=0) for k in (0, 1))
    return vector_norm(b, b.op("subtract", left, right), p, (1,), False)


def vector_norm(b: Builder, x: Value, p: float, places: tuple[int, ...], keepdims: bool) -> Value:
    """(sum |x| ** p) ** (1 / p), with its limits at 0 and infinity."""
    if p == 2 and len(places) in (1, x.tensor.rank):
        return b.op("norm", x, axes=places, keepdims=keepdims)
    size = b.op("abs", x)
    options = {"axes": places, "keepdims": keepdims}
    if p == math.inf:
        return b.op("max", size, **options)
    if p == -math.inf:
        return b.op("min", size, **options)
    if p == 0:
        return b.op(
            "sum", b.op("cast", b.op("not_equal", size, 0), dtype=x.tensor.dtype), **options
        )
    if p == 1:
        return b.op("sum", size, **options)
    if p == 2:
        return b.op("sqrt", b.op("sum", b.op("square", x), **options))
    return b.op("power", b.op("sum", b.op("power", size, float(p)), **options), 1 / float(p))


# ---- attention


def _attention(
    b: Builder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    need(
        not dropout_p,
        "attention dropout in training mode",
        "call model.eval() before the model is captured",
    )
    if scale is None:
        scale = static(query.tensor.shape[-1], "the size of an attention head") ** -0.5
    length, keys = query.tensor.shape[-2], key.tensor.shape[-2]
    causal = "lower_right" if is_causal and length == keys else "none"
    if is_causal and causal == "none":
        attn_mask = _upper_left(b, length, keys)
    parts = [_rank4(b, x) for x in _same_batch(b, query, key, value)]
    mask = _attention_mask(b, attn_mask, query)
    boolean = mask is not None and mask.tensor.dtype is DType.bool
    options = {"scale": float(scale), "causal": causal, "empty_rows": boolean}
    out = b.op("attention", *parts, mask, **options)
    return _restore_rank(b, out, query)


def _same_batch(b: Builder, *parts: Value) -> list[Value]:
    """Leading axes broadcast; heads may differ for grouped queries."""
    lead = parts[0].tensor.shape[:-3]
    if parts[0].tensor.rank < 4 or all(p.tensor.shape[:-3] == lead for p in parts):
        return list(parts)
    from ..ir.op import broadcast

    lead = broadcast(*(p.tensor.shape[:-3] for p in parts))
    return [expand(b, p, (*lead, *p.tensor.shape[-3:])) for p in parts]


def _upper_left(b: Builder, rows: Any, columns: Any) -> Value:
    """torch's is_causal: row i sees the columns up to i, whatever the number of columns."""
    at = expand_dims(b, b.op("arange", stop=rows, dtype=DType.i64), 1)
    return b.op("greater_equal", at, b.op("arange", stop=columns, dtype=DType.i64))


def _rank4(b: Builder, x: Value) -> Value:
    """(batch, heads, length, size)."""
    shape = x.tensor.shape
    if len(shape) > 4:
        return reshaped(b, x, (product(shape[:-3]), *shape[-3:]), 0)
    places = {4: (), 3: (1,), 2: (0, 1)}[len(shape)]
    return expand_dims(b, x, *places)


def _restore_rank(b: Builder, out: Value, query: Value) -> Value:
    shape = query.tensor.shape
    if len(shape) > 4:
        return reshaped(b, out, (*shape[:-1], out.tensor.shape[-1]))
    return squeeze(b, out, *{4: (), 3: (1,), 2: (0, 1)}[len(shape)])


def _attention_mask(b: Builder, mask: Value | None, query: Value) -> Value | None:
    """At rank 4, boolean or of the query's type."""
    if mask is None:
        return None
    if mask.tensor.dtype is not DType.bool:
        mask = cast(b, mask, query.tensor.dtype)
    rank, shape = query.tensor.rank, mask.tensor.shape
    if rank == 3 and len(shape) == 3:
        return expand_dims(b, mask, 1)
    if len(shape) > 4:
        return reshaped(b, mask, (product(shape[:-3]), *shape[-3:]))
    if len(shape) == 3 and rank > 4:
        return expand_dims(b, mask, 0)
    return expand_dims(b, mask, *range(4 - len(shape))) if len(shape) < 4 else mask


def _kernel_attention(results: int, after: tuple[str, ...]) -> Row:
    """The backends of scaled_dot_product_attention: output, then what gradients need."""

    def row(
        b: Builder,
        query: Value,
        key: Value,
        value: Value,
        *rest: Any,
        scale: float | None = None,
        **options: Any,
    ) -> Any:
        arguments = {**dict(zip(after, rest, strict=False)), **options}
        mask = arguments.get("attn_bias", arguments.get("attn_mask"))
        out = _attention(
            b,
            query,
            key,
            value,
            mask,
            arguments.get("dropout_p", 0.0),
            arguments.get("is_causal", False),
            scale=scale,
            enable_gqa=arguments.get("enable_gqa", False),
        )
        return (out, *[None] * (results - 1))

    return row


def _attention_math(
    b: Builder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    dropout_mask: Any = None,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Value, None]:
    return _attention(b, query, key, value, attn_mask, dropout_p, is_causal, scale=scale), None


# ---- fused modules of torch.nn's fast path


def _native_multi_head_attention(
    b: Builder,
    query: Value,
    key: Value,
    value: Value,
    embed_dim: int,
    num_head: int,
    qkv_weight: Value,
    qkv_bias: Value | None,
    proj_weight: Value,
    proj_bias: Value | None,
    mask: Value | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Value, Value | None]:
    """nn.MultiheadAttention over [batch, length, embed_dim], projections packed as q, k, v."""
    queries, keys, values = _packed_projections(b, (query, key, value), qkv_weight, qkv_bias)
    q, k, v = (_split_heads(b, x, num_head) for x in (queries, keys, values))
    allowed = _merge_mask(b, mask, mask_type)
    if not need_weights:
        out = _attention(b, q, k, v, allowed)
        return _linear(b, _join_heads(b, out), proj_weight, proj_bias), None
    out, weights = _attention_with_weights(b, q, k, v, allowed)
    if average_attn_weights:
        weights = b.op("mean", weights, axes=(1,))
    return _linear(b, _join_heads(b, out), proj_weight, proj_bias), weights


def _packed_projections(
    b: Builder, inputs: Sequence[Value], weight: Value, bias: Value | None
) -> tuple[Value, ...]:
    """One product and a split where query, key and value are one tensor, else three products."""
    if inputs[0] is inputs[1] is inputs[2]:
        size = weight.tensor.shape[0]
        parts = (size // 3,) * 3
        packed = _linear(b, inputs[0], weight, bias)
        return b.op("split", packed, sizes=parts, axis=packed.tensor.rank - 1)
    weights = b.op("split", weight, sizes=(weight.tensor.shape[0] // 3,) * 3, axis=0)
    biases = (
        (None,) * 3
        if bias is None
        else b.op("split", bias, sizes=(bias.tensor.shape[0] // 3,) * 3, axis=0)
    )
    return tuple(_linear(b, x, w, c) for x, w, c in zip(inputs, weights, biases, strict=True))


def _split_heads(b: Builder, x: Value, heads: int) -> Value:
    batch, length, size = x.tensor.shape
    return swapped(b, reshaped(b, x, (batch, length, heads, size // heads)), 1, 2)


def _join_heads(b: Builder, x: Value) -> Value:
    batch, heads, length, size = x.tensor.shape
    return reshaped(b, swapped(b, x, 1, 2), (batch, length, heads * size))


def _merge_mask(b: Builder, mask: Value | None, kind: int | None) -> Value | None:
    """torch's mask marks what is left out; 0: [L, S], 1: [batch, S] padding, 2: the two merged."""
    if mask is None:
        return None
    if mask.tensor.dtype is DType.bool:
        mask = b.op("invert", mask)
    return expand_dims(b, mask, 1, 2) if kind == 1 and mask.tensor.rank == 2 else mask


def _attention_with_weights(
    b: Builder, query: Value, key: Value, value: Value, mask: Value | None
) -> tuple[Value, Value]:
    scale = static(query.tensor.shape[-1], "the size of an attention head") ** -0.5
    scores = b.op("matmul", b.op("multiply", query, scale), swapped(b, key, 2, 3))
    if mask is not None and mask.tensor.dtype is DType.bool:
        scores = b.op("where", mask, scores, -math.inf)
    elif mask is not None:
        scores = b.op("add", scores, mask)
    weights = b.op("softmax", scores, axis=3)
    return b.op("matmul", weights, value), weights


def _transformer_encoder_layer(
    b: Builder,
    src: Value,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Value,
    qkv_bias: Value,
    proj_weight: Value,
    proj_bias: Value,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Value,
    norm_bias_1: Value,
    norm_weight_2: Value,
    norm_bias_2: Value,
    ffn_weight_1: Value,
    ffn_bias_1: Value,
    ffn_weight_2: Value,
    ffn_bias_2: Value,
    mask: Value | None = None,
    mask_type: int | None = None,
) -> Value:
    """nn.TransformerEncoderLayer's fast path, as the layers it stands for."""

    def attend(x: Value) -> Value:
        out, _ = _native_multi_head_attention(
            b,
            x,
            x,
            x,
            embed_dim,
            num_heads,
            qkv_weight,
            qkv_bias,
            proj_weight,
            proj_bias,
            mask,
            False,
            True,
            mask_type,
        )
        return out

    def feed_forward(x: Value) -> Value:
        hidden = _linear(b, x, ffn_weight_1, ffn_bias_1)
        hidden = b.op("gelu", hidden) if use_gelu else b.op("relu", hidden)
        return _linear(b, hidden, ffn_weight_2, ffn_bias_2)

    def norm(x: Value, weight: Value, bias: Value) -> Value:
        return b.op("layer_norm", x, weight, bias, eps=float(eps))

    if norm_first:
        x = b.op("add", src, attend(norm(src, norm_weight_1, norm_bias_1)))
        return b.op("add", x, feed_forward(norm(x, norm_weight_2, norm_bias_2)))
    x = norm(b.op("add", src, attend(src)), norm_weight_1, norm_bias_1)
    return norm(b.op("add", x, feed_forward(x)), norm_weight_2, norm_bias_2)


_EFFICIENT = ("attn_bias", "compute_log_sumexp", "dropout_p", "is_causal")
_FLASH = ("dropout_p", "is_causal", "return_debug_mask")
_CUDNN = ("attn_bias", "compute_log_sumexp", "dropout_p", "is_causal", "return_debug_mask")

ROWS: dict[str, Row] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "mv": _matmul,
    "dot": _matmul,
    "inner": _matmul,
    "vdot": _matmul,
    "linalg_matmul": _matmul,
    "addmm": _addmm,
    "addmv": _addmm,
    "baddbmm": _addmm,
    "addbmm": _reduced_addbmm,
    "addr": lambda b, self, vec1, vec2, *, beta=1, alpha=1: add(
        b, scaled(b, self, beta), scaled(b, _outer(b, vec1, vec2), alpha)
    ),
    "outer": _outer,
    "kron": _kron,
    "_grouped_mm": _grouped_mm,
    "linalg_cross": _cross,
    "cross": _cross_default,
    "ger": _outer,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "bilinear": _bilinear,
    "inverse": lambda b, self: b.op("inverse", self),
    "linalg_inv": lambda b, A: b.op("inverse", A),
    "linalg_inv_ex": lambda b, A, *, check_errors=False: (b.op("inverse", A), None),
    "cdist": _cdist,
    "_cdist_forward": _cdist,
    "_euclidean_dist": _cdist,
    "pdist": _pdist,
    "_pdist_forward": _pdist,
    "scaled_dot_product_attention": _attention,
    "_scaled_dot_product_attention_math": _attention_math,
    "_scaled_dot_product_flash_attention_for_cpu": _kernel_attention(2, ("dropout_p", "is_causal")),
    "_scaled_dot_product_flash_attention": _kernel_attention(9, _FLASH),
    "_scaled_dot_product_efficient_attention": _kernel_attention(4, _EFFICIENT),
    "_scaled_dot_product_cudnn_attention": _kernel_attention(9, _CUDNN),
    "_scaled_dot_product_fused_attention_overrideable": _kernel_attention(
        9, ("attn_bias", "dropout_p", "is_causal")
    ),
    "_native_multi_head_attention": _native_multi_head_attention,
    "_transformer_encoder_layer_fwd": _transformer_encoder_layer,
}
