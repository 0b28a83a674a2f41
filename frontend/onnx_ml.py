"""Rows of `ai.onnx.ml` and of the preview domains: what is arithmetic on tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import DType, Value
from .onnx_math import to_dtype
from .onnx_values import Call, Host, Source


def _binarizer(c: Call, x: Source) -> Value:
    value = c.value(x)
    above = c.b.op("greater", value, float(c.attr("threshold", 0.0)))
    return to_dtype(c.b, above, value.tensor.dtype)


def _label_encoder(c: Call, x: Source) -> Value:
    """Numbers looked up in a list of numbers; strings are none."""
    b, value = c.b, c.value(x)
    keys, found, default = _labels(c)
    out = b.op("full", shape=value.tensor.shape, value=default, dtype=found[1])
    for key, label in reversed(list(zip(keys, found[0], strict=True))):
        out = b.op("where", b.op("equal", value, key), label, out)
    return out


def _labels(c: Call) -> tuple[list[Any], tuple[list[Any], DType], Any]:
    keys = _numbers(c, "keys")
    values = _numbers(c, "values")
    if keys is None or values is None:
        raise TranspileError("LabelEncoder with strings: strings are no tensors")
    default = c.attr("default_tensor")
    if isinstance(default, Host):
        number: Any = default.number
    elif values[1] is DType.f32:
        number = float(c.attr("default_float", -0.0))
    else:
        number = int(c.attr("default_int64", -1))
    return keys[0], values, number


def _numbers(c: Call, name: str) -> tuple[list[Any], DType] | None:
    for suffix, dtype in (("_int64s", DType.i64), ("_floats", DType.f32)):
        if name + suffix in c.attrs:
            return list(c.attrs[name + suffix]), dtype
    tensor = c.attr(f"{name}_tensor")
    if isinstance(tensor, Host):
        return [v.item() for v in tensor.array.reshape(-1)], tensor.dtype
    return None


# ---- steps of training, which are arithmetic when they are called alone


def _grouped(inputs: Sequence[Source], parts: int) -> list[tuple[Source, ...]]:
    count = len(inputs) // parts
    return [tuple(inputs[i + k * count] for k in range(parts)) for i in range(count)]


def _spread(rows: list[list[Value]]) -> list[Value]:
    return [row[k] for k in range(len(rows[0])) for row in rows]


def _decayed(c: Call, gradient: Value, x: Value, name: str = "norm_coefficient") -> Value:
    factor = float(c.attr(name, 0.0))
    return gradient if not factor else c.b.op("add", gradient, c.b.op("multiply", x, factor))


def _momentum(c: Call, rate: Source, turn: Source, *rest: Source) -> list[Value]:
    b, r = c.b, c.value(rate)
    alpha, beta = float(c.required("alpha")), float(c.required("beta"))
    first = b.op("equal", c.value(turn), 0)
    nesterov = c.attr("mode") in ("nesterov", b"nesterov")
    rows = []
    for x, g, v in _grouped(rest, 3):
        value, velocity = c.value(x), c.value(v)
        gradient = _decayed(c, c.value(g), value)
        scale = b.op("where", first, 1.0, beta)
        new = b.op("add", b.op("multiply", velocity, alpha), b.op("multiply", gradient, scale))
        step = b.op("add", gradient, b.op("multiply", new, alpha)) if nesterov else new
        rows.append([b.op("subtract", value, b.op("multiply", step, r)), new])
    return _spread(rows)


def _adagrad(c: Call, rate: Source, turn: Source, *rest: Source) -> list[Value]:
    b = c.b
    decay, eps = float(c.attr("decay_factor", 0.0)), float(c.attr("epsilon", 0.0))
    steps = to_dtype(b, c.value(turn), DType.f32)
    r = b.op("divide", c.value(rate), b.op("add", b.op("multiply", steps, decay), 1.0))
    rows = []
    for x, g, h in _grouped(rest, 3):
        value = c.value(x)
        gradient = _decayed(c, c.value(g), value)
        new = b.op("add", c.value(h), b.op("square", gradient))
        root = b.op("add", b.op("sqrt", new), eps)
        step = b.op("divide", b.op("multiply", gradient, r), root)
        rows.append([b.op("subtract", value, step), new])
    return _spread(rows)


def _adam(c: Call, rate: Source, turn: Source, *rest: Source) -> list[Value]:
    b = c.b
    alpha, beta = float(c.attr("alpha", 0.9)), float(c.attr("beta", 0.999))
    eps, after = float(c.attr("epsilon", 0.0)), float(c.attr("norm_coefficient_post", 0.0))
    steps = to_dtype(b, c.value(turn), DType.f32)
    bias = b.op(
        "divide",
        b.op("sqrt", b.op("subtract", 1.0, b.op("power", beta, steps))),
        b.op("subtract", 1.0, b.op("power", alpha, steps)),
    )
    r = b.op(
        "where", b.op("greater", steps, 0.0), b.op("multiply", c.value(rate), bias), c.value(rate)
    )
    rows = []
    for x, g, v, h in _grouped(rest, 4):
        value = c.value(x)
        gradient = _decayed(c, c.value(g), value)
        mean = _average(c, c.value(v), gradient, alpha)
        square = _average(c, c.value(h), b.op("square", gradient), beta)
        root = b.op("add", b.op("sqrt", square), eps)
        new = b.op("subtract", value, b.op("divide", b.op("multiply", mean, r), root))
        rows.append([b.op("multiply", new, 1 - after) if after else new, mean, square])
    return _spread(rows)


def _average(c: Call, old: Value, new: Value, share: float) -> Value:
    return c.b.op("add", c.b.op("multiply", old, share), c.b.op("multiply", new, 1 - share))


# ---- counts of n-grams


def _tf_idf(c: Call, x: Source) -> Value:
    """How often each n-gram of a pool occurs in a row, its items up to `max_skip_count` apart."""
    b, value = c.b, c.value(x)
    if "pool_int64s" not in c.attrs:
        raise TranspileError("TfIdfVectorizer of strings: strings are no tensors")
    rows = value if value.tensor.rank == 2 else b.op("expand_dims", value, axes=(0,))
    counts, order = [], []
    for size, grams, first in _grams(c):
        counts.append(_occurrences(c, rows, size, grams))
        order += [int(v) for v in c.required("ngram_indexes")[first : first + len(grams)]]
    return _weighted(c, value, counts, order)


def _grams(c: Call) -> list[tuple[int, np.ndarray, int]]:
    """(length, items, number of the first) for each length of n-grams."""
    pool, starts = c.required("pool_int64s"), [int(v) for v in c.required("ngram_counts")]
    out, first = [], 0
    for i, start in enumerate(starts):
        end = starts[i + 1] if i + 1 < len(starts) else len(pool)
        grams = np.array(pool[start:end], np.int64).reshape(-1, i + 1)
        if len(grams) and c.required("min_gram_length") <= i + 1 <= c.required("max_gram_length"):
            out.append((i + 1, grams, first))
        first += len(grams)
    return out


def _occurrences(c: Call, rows: Value, size: int, grams: np.ndarray) -> Value:
    """[rows, grams]: single items are counted once, whatever may be skipped."""
    b, (batch, length) = c.b, rows.tensor.shape
    total: Any = None
    for step in range(1, 2 if size == 1 else int(c.required("max_skip_count")) + 2):
        places = length - (size - 1) * step
        if isinstance(places, int) and places < 1:
            break
        found: Any = None
        for j in range(size):
            items = c.constant(
                grams[:, j].astype(rows.tensor.dtype.numpy), rows.tensor.dtype, "items"
            )
            part = b.op("slice", rows, axis=1, start=j * step, stop=j * step + places)
            hit = b.op("equal", b.op("expand_dims", part, axes=(2,)), items)
            found = hit if found is None else b.op("bitwise_and", found, hit)
        count = b.op("sum", b.op("cast", found, dtype=DType.f32), axes=(1,), keepdims=False)
        total = count if total is None else b.op("add", total, count)
    if total is None:
        return b.op("full", shape=(batch, len(grams)), value=0.0, dtype=DType.f32)
    return total


def _weighted(c: Call, x: Value, counts: list[Value], order: list[int]) -> Value:
    b = c.b
    width = max(int(v) for v in c.required("ngram_indexes")) + 1
    table = counts[0] if len(counts) == 1 else b.op("concatenate", *counts, axis=1)
    grams = table.tensor.shape[1]
    table = b.op("pad", table, low=(0, 0), high=(0, 1), value=0.0)
    places = np.full(width, grams, np.int32)
    places[order] = np.arange(len(order))
    out = b.op("take", table, c.constant(places, DType.i32, "places"), axis=1)
    mode, weights = c.required("mode"), c.attr("weights")
    if mode == "IDF":
        out = b.op("cast", b.op("greater", out, 0.0), dtype=DType.f32)
    if mode != "TF" and weights:
        factors = np.zeros(width, np.float32)
        factors[[int(v) for v in c.required("ngram_indexes")]] = weights
        out = b.op("multiply", out, c.constant(factors, DType.f32, "weights"))
    return out if x.tensor.rank == 2 else b.op("squeeze", out, axes=(0,))


_TRAINING = "ai.onnx.preview.training."

ROWS: dict[str, Any] = {
    "TfIdfVectorizer": _tf_idf,
    "ai.onnx.ml.Binarizer": _binarizer,
    "ai.onnx.ml.LabelEncoder": _label_encoder,
    f"{_TRAINING}Momentum": _momentum,
    f"{_TRAINING}Adagrad": _adagrad,
    f"{_TRAINING}Adam": _adam,
}
