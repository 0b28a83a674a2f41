"""Matrix products, linear layers, embeddings, norms over the last axis, softmax, attention."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from .op import Attr, InferError, Op, broadcast, equal, tensor
from .ops_activation import infer_float
from .ops_shape import last
from .tree import NEW_AXIS, Index, Layer, Literal, Method, Slice, Tree, Width, call, infix, method
from .types import DType, Tensor


def _infer_matmul(a: Any, b: Any) -> Tensor:
    if tensor(a).rank == 1 or tensor(b).rank == 1:
        return _infer_matvec(a, b)
    if a.dtype is not b.dtype:
        raise InferError(f"matmul operands have different dtypes: {a}, {b}")
    equal(a.shape[-1], b.shape[-2])
    return a.with_shape(*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])


def _infer_matvec(a: Tensor, b: Tensor) -> Tensor:
    equal(a.shape[-1], b.shape[0] if b.rank == 1 else b.shape[-2])
    left = a.shape[:-1] if a.rank > 1 else ()
    right = (*b.shape[:-2], b.shape[-1]) if b.rank > 1 else ()
    return a.with_shape(*left, *right)


def _infer_inverse(x: Any) -> Tensor:
    infer_float(x)
    if x.rank < 2:
        raise InferError(f"inverse needs matrices, got {x}")
    equal(x.shape[-2], x.shape[-1])
    return tensor(x)


def _infer_linear(x: Any, weight: Any, bias: Any) -> Tensor:
    equal(tensor(x).shape[-1], tensor(weight).shape[1])
    return x.with_shape(*x.shape[:-1], weight.shape[0])


def _linear_tree(node: Any, x: Tree, weight: Tree, bias: Tree) -> Tree:
    out = infix("@", x, Method(weight, "T"))
    return out if bias == Literal(None) else infix("+", out, bias)


def _widened(x: np.ndarray) -> np.ndarray:
    """Half precision as float32, in which products are summed."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x


def _matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.matmul(_widened(a), _widened(b)).astype(a.dtype)


def _linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    out = _widened(x) @ _widened(weight.T)
    return (out if bias is None else out + bias).astype(x.dtype)


def _linear_layer(node: Any) -> Layer:
    bias = node.operands[2] is not None
    params = ((1, "weight"), (2, "bias")) if bias else ((1, "weight"),)
    return Layer(
        "nn.Linear", params, (Width(1, 1), Width(1, 0)), () if bias else (("bias", Literal(False)),)
    )


def _infer_grouped_matmul(x: Any, weight: Any, ends: Any) -> Tensor:
    equal(tensor(x).shape[-1], tensor(weight).shape[1])
    equal(tensor(ends).shape[0], weight.shape[0])
    return x.with_shape(x.shape[0], weight.shape[2])


def _grouped_matmul_tree(node: Any, x: Tree, weight: Tree, ends: Tree) -> Tree:
    rows = call("mx.arange", node.type(0).shape[0], dtype=node.type(2).dtype)
    groups = call("mx.searchsorted", ends, rows, side="right")
    out = call("mx.gather_mm", Index(x, (Slice(), NEW_AXIS)), weight, rhs_indices=groups)
    return method(out, "squeeze", 1)


def _grouped_matmul(x: np.ndarray, weight: np.ndarray, ends: np.ndarray) -> np.ndarray:
    groups = np.searchsorted(ends, np.arange(len(x)), "right")
    return np.einsum("ti,tio->to", _widened(x), _widened(weight)[groups]).astype(x.dtype)


def _infer_embedding(weight: Any, indices: Any) -> Tensor:
    if not tensor(indices).dtype.is_integer:
        raise InferError(f"embedding needs integer indices, got {indices}")
    return tensor(weight).with_shape(*indices.shape, *weight.shape[1:])


def _infer_norm(x: Any, weight: Any, bias: Any = None, *, eps: float) -> Tensor:
    for affine in (weight, bias):
        if affine is not None:
            equal(tensor(x).shape[-1], affine.shape[0])
    return tensor(x)


def _layer_norm(x: np.ndarray, weight: Any, bias: Any, eps: float) -> np.ndarray:
    wide = x.astype(np.float64)
    out = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return (out if bias is None else out + bias).astype(x.dtype)


def _rms_norm(x: np.ndarray, weight: Any, eps: float) -> np.ndarray:
    wide = x.astype(np.float64)
    out = wide / np.sqrt((wide * wide).mean(-1, keepdims=True) + eps)
    return (out if weight is None else out * weight).astype(x.dtype)


def _layer_norm_layer(node: Any) -> Layer:
    weight, bias = node.operands[1] is not None, node.operands[2] is not None
    params = tuple(p for p, there in (((1, "weight"), weight), ((2, "bias"), bias)) if there)
    last_size = node.type(0).shape[-1]
    size = Width(0, node.type(0).rank - 1) if isinstance(last_size, int) else last_size
    size = Width(1, 0) if weight else size
    options: tuple[tuple[str, Tree], ...] = (("eps", Literal(node["eps"])),)
    if not weight:
        options += (("affine", Literal(False)),)
    elif not bias:
        options += (("bias", Literal(False)),)
    return Layer("nn.LayerNorm", params, (size,), options)


def _rms_norm_layer(node: Any) -> Layer | None:
    if node.operands[1] is None:
        return None
    options: tuple[tuple[str, Tree], ...] = (("eps", Literal(node["eps"])),)
    return Layer("nn.RMSNorm", ((1, "weight"),), (Width(1, 0),), options)


def _softmax(x: np.ndarray, axis: int, precise: bool = False) -> np.ndarray:
    wide = x.astype(np.float64)
    exp = np.exp(wide - wide.max(axis, keepdims=True))
    return (exp / exp.sum(axis, keepdims=True)).astype(x.dtype)


def _softmax_tree(node: Any, x: Tree) -> Tree:
    half = {"precise": True} if node.type(0).dtype in (DType.f16, DType.bf16) else {}
    return call("mx.softmax", x, axis=last(node["axis"], node.type(0).rank), **half)


def _infer_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    *,
    scale: float,
    causal: str,
    empty_rows: bool = False,
) -> Tensor:
    for x in (query, key, value):
        if tensor(x).rank != 4:
            raise InferError(f"attention needs rank 4 (batch, heads, length, size), got {x}")
    equal(query.shape[-1], key.shape[-1])
    equal(key.shape[-2], value.shape[-2])
    heads, groups = query.shape[1], key.shape[1]
    if isinstance(heads, int) and isinstance(groups, int) and heads % groups:
        raise InferError(f"{heads} query heads are no multiple of {groups} key heads")
    if mask is not None and causal != "none":
        raise InferError("attention takes a mask or `causal`, not both")
    if mask is not None:
        broadcast(mask.shape, (query.shape[0], heads, query.shape[2], key.shape[2]))
    return query.with_shape(*query.shape[:-1], value.shape[-1])


def _attention_tree(node: Any, query: Tree, key: Tree, value: Tree, mask: Tree) -> Tree:
    if node["empty_rows"] and mask != Literal(None):
        return call("runtime.masked_attention", query, key, value, mask, node["scale"])
    option = (
        {"mask": "causal"}
        if node["causal"] == "lower_right"
        else {}
        if mask == Literal(None)
        else {"mask": mask}
    )
    return call(
        "mx.fast.scaled_dot_product_attention", query, key, value, scale=node["scale"], **option
    )


def _attention(
    query: Any, key: Any, value: Any, mask: Any, scale: float, causal: str, empty_rows: bool
) -> np.ndarray:
    repeats = query.shape[1] // key.shape[1]
    key, value = np.repeat(key, repeats, 1), np.repeat(value, repeats, 1)
    scores = (query.astype(np.float64) @ key.swapaxes(-1, -2)) * scale
    if causal == "lower_right":
        rows, columns = scores.shape[-2:]
        scores = np.where(np.tri(rows, columns, columns - rows, dtype=bool), scores, -np.inf)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if empty_rows and mask is not None and mask.dtype == bool:
        seen = mask.any(-1, keepdims=True)
        out = _softmax(np.where(seen, scores, 0), -1) @ value
        return np.where(seen, out, 0).astype(query.dtype)
    return (_softmax(scores, -1) @ value).astype(query.dtype)


def _infer_match_mask(mask: Any, query: Any) -> Tensor:
    if not tensor(mask).dtype.is_float:
        raise InferError(f"match_mask takes an additive mask, got {mask}")
    return mask.with_dtype(tensor(query).dtype)


def _match_mask(mask: np.ndarray, query: np.ndarray) -> np.ndarray:
    if mask.dtype == query.dtype:
        return mask
    lowest = ml_dtypes.finfo(query.dtype).min
    return np.maximum(mask, np.asarray(lowest, mask.dtype)).astype(query.dtype)


def _infer_einsum(*operands: Any, subscripts: str) -> Tensor:
    inputs, output = subscripts.split("->")
    sizes: dict[str, Any] = {}
    for letters, x in zip(inputs.split(","), operands, strict=True):
        if len(letters) != tensor(x).rank:
            raise InferError(f"einsum {subscripts}: {letters} names the axes of {x}")
        for letter, size in zip(letters, x.shape, strict=True):
            known = sizes.get(letter, 1)
            sizes[letter] = size if known == 1 else known if size == 1 else equal(known, size)
    return operands[0].with_shape(*(sizes[c] for c in output))


ROWS = [
    Op(
        "matmul",
        "a b",
        _infer_matmul,
        lambda n, a, b: infix("@", a, b),
        _matmul,
        doc="Batched matrix product.",
    ),
    Op(
        "linear",
        "x weight bias?",
        _infer_linear,
        _linear_tree,
        _linear,
        layer=_linear_layer,
        doc="x @ weight.T + bias, weight [out, in].",
    ),
    Op(
        "inverse",
        "x",
        _infer_inverse,
        lambda n, x: call("runtime.inverse", x),
        lambda x: np.linalg.inv(x.astype(np.float64)).astype(x.dtype),
        doc="The inverse of each matrix; computed in float32.",
    ),
    Op(
        "grouped_matmul",
        "x weight ends",
        _infer_grouped_matmul,
        _grouped_matmul_tree,
        _grouped_matmul,
        doc="Rows of x [T, I] by the matrix [E, I, O] of their group; `ends` is where each group "
        "stops.",
    ),
    Op(
        "embedding",
        "weight indices",
        _infer_embedding,
        lambda n, w, i: call("mx.take", w, i, axis=0),
        lambda weight, indices: weight[indices],
        layer=lambda n: Layer("nn.Embedding", ((0, "weight"),), (Width(0, 0), Width(0, 1))),
        doc="Rows of the weight.",
    ),
    Op(
        "layer_norm",
        "x weight? bias?",
        _infer_norm,
        lambda n, x, w, b: call("mx.fast.layer_norm", x, w, b, n["eps"]),
        _layer_norm,
        {"eps": Attr("float", 1e-5)},
        layer=_layer_norm_layer,
        doc="Normalisation over the last axis. Ba et al., 2016.",
    ),
    Op(
        "rms_norm",
        "x weight?",
        _infer_norm,
        lambda n, x, w: call("mx.fast.rms_norm", x, w, n["eps"]),
        _rms_norm,
        {"eps": Attr("float", 1e-5)},
        layer=_rms_norm_layer,
        doc="x / sqrt(mean(x^2) + eps) * weight over the last axis. Zhang and Sennrich, 2019.",
    ),
    Op(
        "softmax",
        "x",
        infer_float,
        _softmax_tree,
        _softmax,
        {"axis": Attr("axis")},
        doc="Accumulated in float32 for half precision.",
    ),
    Op(
        "log_softmax",
        "x",
        infer_float,
        lambda n, x: call("nn.log_softmax", x, axis=last(n["axis"], n.type(0).rank)),
        lambda x, axis: np.log(_softmax(x.astype(np.float64), axis)).astype(x.dtype),
        {"axis": Attr("axis")},
        doc="log(softmax(x)).",
    ),
    Op(
        "attention",
        "query key value mask?",
        _infer_attention,
        _attention_tree,
        _attention,
        {
            "scale": Attr("float"),
            "causal": Attr("str", "none"),
            "empty_rows": Attr("bool", False),
        },
        doc="softmax(query @ key.T * scale + mask) @ value over (batch, heads, length, size); "
        "fewer key heads are shared by groups of query heads. A boolean mask keeps where true. "
        "`causal` is none or lower_right (the last query sees all keys, the one before it all but "
        "one), and takes no mask besides. With `empty_rows` a boolean mask may leave a query no "
        "key: its result is zero.",
    ),
    Op(
        "match_mask",
        "mask query",
        _infer_match_mask,
        lambda n, mask, query: call("runtime.match_mask", mask, query),
        _match_mask,
        doc="An additive mask in the type of the queries that it is for; numbers below the range "
        "of that type become its lowest.",
    ),
    Op(
        "einsum",
        "*operands",
        _infer_einsum,
        lambda n, *xs: call("mx.einsum", n["subscripts"], *xs),
        lambda *xs, subscripts: np.einsum(subscripts, *map(_widened, xs)).astype(xs[0].dtype),
        {"subscripts": Attr("str")},
        doc="Einstein summation over one-letter axes.",
    ),
]
