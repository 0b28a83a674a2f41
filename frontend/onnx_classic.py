"""Rows of `ai.onnx.ml`: linear models, scalers and trees, as scikit-learn's are written."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Value
from .onnx_math import to_dtype
from .onnx_values import Call, Source

F32 = DType.f32
_NO_STRINGS = "labels that are strings are no tensors: take the scores alone, or integer labels"


def _floats(c: Call, x: Source) -> Value:
    """Rows of numbers; a single row may come without its axis."""
    value = to_dtype(c.b, c.value(x), F32)
    return value if value.tensor.rank > 1 else c.b.op("expand_dims", value, axes=(0,))


def _list(c: Call, name: str) -> np.ndarray:
    return np.asarray(c.attr(name, []), np.float32)


def _scaler(c: Call, x: Source) -> Value:
    """(x - offset) * scale, each a number or one a column."""
    out = _floats(c, x)
    for name, op in (("offset", "subtract"), ("scale", "multiply")):
        out = c.b.op(op, out, _row(c, _list(c, name), name))
    return out


def _row(c: Call, values: np.ndarray, name: str) -> Any:
    return float(values[0]) if values.size == 1 else c.constant(values, F32, name)


def _imputer(c: Call, x: Source) -> Value:
    value = c.value(x)
    floating = value.tensor.dtype.is_float
    kind = "float" if floating else "int64"
    wanted = np.asarray(c.required(f"imputed_value_{kind}s"), value.tensor.dtype.numpy)
    missing = c.attr(f"replaced_value_{kind}", 0)
    nan = floating and np.isnan(missing)
    found = c.b.op("isnan", value) if nan else c.b.op("equal", value, missing)
    number = (
        wanted[0].item() if wanted.size == 1 else c.constant(wanted, value.tensor.dtype, "imputed")
    )
    return c.b.op("where", found, number, value)


def _normalizer(c: Call, x: Source) -> Value:
    """Each row by its largest element, the sum of its magnitudes, or its length."""
    b, value = c.b, _floats(c, x)
    last = (value.tensor.rank - 1,)
    norm = c.attr("norm", "MAX")
    if norm == "MAX":
        return b.op("divide", value, b.op("max", value, axes=last, keepdims=True))
    power = b.op("abs", value) if norm == "L1" else b.op("square", value)
    size = b.op("sum", power, axes=last, keepdims=True)
    size = size if norm == "L1" else b.op("sqrt", size)
    return b.op("divide", value, b.op("where", b.op("equal", size, 0.0), 1.0, size))


def _affine(c: Call, x: Source, rows: int) -> Value:
    """x @ coefficients.T + intercepts."""
    table = _list(c, "coefficients").reshape(rows, -1)
    out = c.b.op("matmul", _floats(c, x), c.constant(table.T.copy(), F32, "coefficients"))
    intercepts = _list(c, "intercepts")
    return c.b.op("add", out, _row(c, intercepts, "intercepts")) if intercepts.size else out


def _linear_regressor(c: Call, x: Source) -> Value:
    return _transformed(c, _affine(c, x, int(c.attr("targets", 1))))


def _linear_classifier(c: Call, x: Source) -> list[Any]:
    count = max(_list(c, "intercepts").size, 1)
    names = c.attr("classlabels_ints") or c.attr("classlabels_strings") or range(count)
    if len(names) != count:
        raise TranspileError(
            f"{c.op} of {len(names)} classes with {count} scores", hint="export a score for each"
        )
    scores = _affine(c, x, count)
    return [_labels(c, scores, "classlabels_ints"), _transformed(c, scores)]


def _labels(c: Call, scores: Value, ints: str) -> Value | None:
    """The label of the largest score of each row; nothing where no one asks."""
    if not c.used(0):
        return None
    if c.attr("classlabels_strings"):
        raise TranspileError(_NO_STRINGS)
    best = c.b.op("cast", c.b.op("argmax", scores, axis=1, keepdims=False), dtype=DType.i64)
    return _named(c, best, c.attr(ints) or [])


def _named(c: Call, best: Value, labels: list[int]) -> Value:
    if list(labels) in ([], list(range(len(labels)))):
        return best
    return c.b.op(
        "take", c.constant(np.asarray(labels, np.int64), DType.i64, "labels"), best, axis=0
    )


def _transformed(c: Call, scores: Value) -> Value:
    kind = c.attr("post_transform", "NONE")
    if kind == "NONE":
        return scores
    if kind == "LOGISTIC":
        return c.b.op("sigmoid", scores)
    if kind == "SOFTMAX":
        return c.b.op("softmax", scores, axis=scores.tensor.rank - 1)
    raise TranspileError(f"{c.op} with post_transform {kind}", hint="NONE, LOGISTIC, SOFTMAX work")


# ---- trees

_COMPARE = {
    "BRANCH_LEQ": "less_equal", "BRANCH_LT": "less", "BRANCH_GTE": "greater_equal",
    "BRANCH_GT": "greater", "BRANCH_EQ": "equal", "BRANCH_NEQ": "not_equal",
}  # fmt: skip


def _tree_regressor(c: Call, x: Source) -> Value:
    total = _summed(c, x, int(c.attr("n_targets", 1)), "target")
    base = _list(c, "base_values")
    total = c.b.op("add", total, _row(c, base, "base_values")) if base.size else total
    return _transformed(c, total)


def _tree_classifier(c: Call, x: Source) -> list[Any]:
    labels = c.attr("classlabels_int64s") or c.attr("classlabels_strings") or []
    alone = len(labels) == 2 and len(set(c.required("class_ids"))) == 1
    base = _list(c, "base_values")
    if alone:
        return _of_two(c, _summed(c, x, 1, "class"), base)
    total = _summed(c, x, len(labels), "class")
    total = c.b.op("add", total, _row(c, base, "base_values")) if base.size else total
    return [_labels(c, total, "classlabels_int64s"), _transformed(c, total)]


def _of_two(c: Call, score: Value, base: np.ndarray) -> list[Any]:
    """Two classes by the score of one of them."""
    b = c.b
    if base.size > 1:
        raise TranspileError(f"{c.op} of two classes by one score with {base.size} base values")
    score = b.op("add", score, float(base[0])) if base.size else score
    positive = bool((_list(c, "class_weights") >= 0).all())
    label = None
    if c.used(0):
        if c.attr("classlabels_strings"):
            raise TranspileError(_NO_STRINGS)
        above = b.op("greater", b.op("squeeze", score, axes=(1,)), 0.5 if positive else 0.0)
        label = _named(c, b.op("cast", above, dtype=DType.i64), c.attr("classlabels_int64s"))
    kind = c.attr("post_transform", "NONE")
    if kind not in ("NONE", "LOGISTIC"):
        raise TranspileError(f"{c.op} of two classes by one score with {kind}")
    yes = b.op("sigmoid", score) if kind == "LOGISTIC" else score
    complement = kind == "LOGISTIC" or positive
    no = b.op("subtract", 1.0, yes) if complement else b.op("negative", yes)
    return [label, b.op("concatenate", no, yes, axis=1)]


def _summed(c: Call, x: Source, width: int, of: str) -> Value:
    """The weights of the leaves that each row of x comes to, over all trees."""
    how = c.attr("aggregate_function", "SUM")
    if how not in ("SUM", "AVERAGE"):
        raise TranspileError(f"{c.op} with aggregate_function {how}", hint="SUM and AVERAGE work")
    if any(c.attr("nodes_missing_value_tracks_true", [])):
        raise TranspileError(f"{c.op} in which missing values take a branch")
    b = c.b
    nodes = _nodes(c)
    at = _leaves(c, _floats(c, x), nodes)
    table = np.zeros((len(nodes["row"]), width), np.float32)
    places = zip(*(c.required(f"{of}_{p}") for p in ("treeids", "nodeids", "ids")), strict=True)
    for (tree, node, target), weight in zip(places, c.required(f"{of}_weights"), strict=True):
        table[nodes["row"][tree, node], target if width > 1 else 0] += weight
    found = b.op("take", c.constant(table, F32, "leaf_weights"), at, axis=0)
    return b.op("sum" if how == "SUM" else "mean", found, axes=(1,), keepdims=False)


def _nodes(c: Call) -> dict[str, Any]:
    """The nodes of all trees as arrays; a leaf is its own child."""
    trees, ids = c.required("nodes_treeids"), c.required("nodes_nodeids")
    row = {key: i for i, key in enumerate(zip(trees, ids, strict=True))}
    modes = [str(m) for m in c.required("nodes_modes")]
    children = {}
    for name in ("true", "false"):
        targets = c.required(f"nodes_{name}nodeids")
        children[name] = np.array(
            [
                i if m == "LEAF" else row[t, n]
                for i, (m, t, n) in enumerate(zip(modes, trees, targets))
            ],
            np.int32,
        )
    kinds = set(modes) - {"LEAF"}
    if len(kinds) > 1 or not kinds <= set(_COMPARE):
        raise TranspileError(
            f"{c.op} whose nodes compare in several ways: {', '.join(sorted(kinds))}"
        )
    pointed = {i for n in children.values() for k, i in enumerate(n) if modes[k] != "LEAF"}
    return {
        "row": row, **children, "kind": next(iter(kinds), "BRANCH_LEQ"),
        "roots": np.array([i for i in range(len(modes)) if i not in pointed], np.int32),
        "feature": np.asarray(c.required("nodes_featureids"), np.int32),
        "value": _list(c, "nodes_values"),
    }  # fmt: skip


def _depth(nodes: dict[str, Any]) -> int:
    """How many branches the deepest leaf has above it."""
    at, depth = nodes["roots"], 0
    while True:
        below = np.unique(np.concatenate([nodes["true"][at], nodes["false"][at]]))
        if set(below) <= set(at):
            return depth
        at, depth = below, depth + 1


def _leaves(c: Call, x: Value, nodes: dict[str, Any]) -> Value:
    """For each row of x and each tree the leaf: all trees go down together."""
    b, roots = c.b, nodes["roots"]
    b.hint = ""
    names = ("feature", "true", "false")
    tables = {n: c.constant(nodes[n], DType.i32, f"{n}_of_node") for n in names}
    values = c.constant(nodes["value"], F32, "value_of_node")
    start = c.constant(roots[None], DType.i32, "roots")
    at = b.op("broadcast_to", start, shape=(x.tensor.shape[0], len(roots)))
    for _ in range(_depth(nodes)):
        column = b.op("take", tables["feature"], at, axis=0)
        own = b.op("gather", x, column, axis=1)
        holds = b.op(_COMPARE[nodes["kind"]], own, b.op("take", values, at, axis=0))
        children = (b.op("take", tables[n], at, axis=0) for n in ("true", "false"))
        at = b.op("where", holds, *children)
    return at


_ML = "ai.onnx.ml."

ROWS: dict[str, Any] = {
    f"{_ML}Scaler": _scaler,
    f"{_ML}Imputer": _imputer,
    f"{_ML}Normalizer": _normalizer,
    f"{_ML}LinearRegressor": _linear_regressor,
    f"{_ML}LinearClassifier": _linear_classifier,
    f"{_ML}TreeEnsembleRegressor": _tree_regressor,
    f"{_ML}TreeEnsembleClassifier": _tree_classifier,
}
