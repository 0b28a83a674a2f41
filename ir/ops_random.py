"""Rows: arrays of random numbers.

Such a node is not pure: two that are written alike give different numbers. Each is one `draw`, and
the draws of a graph are numbered in the order in which they are made: passes and printers keep that
order, for a seed fixes the numbers by it. A draw whose result nothing needs may go.

The reference makes numbers of its own from the draw's number. So two graphs of one source agree
where they have the same draws, and differ where one is lost, repeated or exchanged with another.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import Attr, InferError, Op, tensor
from .tree import Tree, TypeOf, call, method
from .types import DType, Tensor

_SEED = 0x6D6C78  # of the reference


def _generator(draw: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, draw])


def _kind(dtype: DType, natural: DType = DType.f32) -> dict[str, Any]:
    return {} if dtype is natural else {"dtype": dtype}


def _kind_of(node: Any, like: Tree) -> dict[str, Any]:
    """The type, or that of the array which it follows."""
    return {"dtype": TypeOf(like)} if node.values else _kind(node["dtype"])


def _follows(like: Any, dtype: DType) -> None:
    if like is not None and tensor(like).dtype is not dtype:
        raise InferError(f"numbers of the type {dtype}, like {like}")


# ---- normal


def _normal(like: Any, shape: Any, mean: float, std: float, dtype: DType, draw: int) -> Tensor:
    _follows(like, dtype)
    if not (dtype.is_float or dtype is DType.c64):
        raise InferError(f"normal numbers of the type {dtype}")
    if dtype.is_complex and (mean, std) != (0.0, 1.0):
        raise InferError("complex normal numbers have the mean 0 and the variance 1")
    return Tensor(dtype, shape)


def _normal_tree(node: Any, like: Tree) -> Tree:
    moments = {"loc": (node["mean"], 0.0), "scale": (node["std"], 1.0)}
    given = {name: value for name, (value, default) in moments.items() if value != default}
    return call("mx.random.normal", node["shape"], **_kind_of(node, like), **given)


def _normal_reference(
    like: Any, shape: Any, mean: float, std: float, dtype: DType, draw: int
) -> np.ndarray:
    random = _generator(draw)
    values = random.standard_normal(shape)
    if dtype.is_complex:
        values = (values + 1j * random.standard_normal(shape)) / np.sqrt(2)
    return np.asarray(mean + std * values).astype(dtype.numpy)


# ---- uniform, integers


def _uniform(like: Any, shape: Any, low: float, high: float, dtype: DType, draw: int) -> Tensor:
    _follows(like, dtype)
    if not dtype.is_float:
        raise InferError(f"uniform numbers of the type {dtype}")
    return Tensor(dtype, shape)


def _uniform_tree(node: Any, like: Tree) -> Tree:
    low, high, shape = node["low"], node["high"], node["shape"]
    if (low, high) == (0.0, 1.0):
        return call("mx.random.uniform", shape=shape, **_kind_of(node, like))
    return call("mx.random.uniform", low, high, shape, **_kind_of(node, like))


def _integers(shape: Any, low: Any, high: Any, dtype: DType, draw: int) -> Tensor:
    if not dtype.is_integer:
        raise InferError(f"random integers of the type {dtype}")
    if any(isinstance(end, float) for end in (low, high)):
        raise InferError("random integers between fractions")
    return Tensor(dtype, shape)


def _integers_tree(node: Any) -> Tree:
    ends, kind = (node["low"], node["high"]), _kind(node["dtype"], DType.i32)
    return call("mx.random.randint", *ends, node["shape"], **kind)


# ---- bernoulli


def _bernoulli(p: Any, shape: Any, draw: int) -> Tensor:
    if isinstance(p, Tensor) and not (tensor(p).dtype.is_float and p.shape == tuple(shape)):
        raise InferError(f"probabilities {p} for a result of the shape {shape}")
    return Tensor(DType.bool, shape)


def _bernoulli_tree(node: Any, p: Tree) -> Tree:
    return call("mx.random.bernoulli", p, *([] if node.values else [node["shape"]]))


# ---- categorical


def _categorical(logits: Any, count: Any, draw: int) -> Tensor:
    if not tensor(logits).rank or not logits.dtype.is_float:
        raise InferError(f"choices by {logits}")
    return Tensor(DType.i64, (*logits.shape[:-1], count))


def _categorical_tree(node: Any, logits: Tree) -> Tree:
    chosen = call("mx.random.categorical", logits, num_samples=node["count"])
    return method(chosen, "astype", DType.i64)


def _categorical_reference(logits: Any, count: int, draw: int) -> np.ndarray:
    noise = _generator(draw).gumbel(size=(*logits.shape[:-1], count, logits.shape[-1]))
    chosen = np.argmax(logits[..., None, :].astype(np.float64) + noise, -1)
    return np.asarray(chosen, np.int64)


_DRAW = Attr("int", 0)

ROWS = [
    Op(
        "random_normal", "like?", _normal, _normal_tree, _normal_reference,
        {
            "shape": Attr("dims"), "mean": Attr("float", 0.0), "std": Attr("float", 1.0),
            "dtype": Attr("dtype"), "draw": _DRAW,
        },
        random=True,
        doc="Numbers of the normal distribution; complex ones have the variance 1 as a whole. With "
        "`like` they have its type, whatever that is where weights are in half precision.",
    ),
    Op(
        "random_uniform", "like?", _uniform, _uniform_tree,
        lambda like, shape, low, high, dtype, draw: np.asarray(
            _generator(draw).uniform(low, high, shape)
        ).astype(dtype.numpy),
        {
            "shape": Attr("dims"), "low": Attr("float", 0.0), "high": Attr("float", 1.0),
            "dtype": Attr("dtype"), "draw": _DRAW,
        },
        random=True,
        doc="Numbers from low to below high, all alike likely. `like` as for `random_normal`.",
    ),
    Op(
        "random_integers", "", _integers, _integers_tree,
        lambda shape, low, high, dtype, draw: np.asarray(
            _generator(draw).integers(low, high, shape)
        ).astype(dtype.numpy),
        {
            "shape": Attr("dims"), "low": Attr("number", 0), "high": Attr("number"),
            "dtype": Attr("dtype"), "draw": _DRAW,
        },
        random=True,
        doc="Integers from low to below high, all alike likely.",
    ),
    Op(
        "random_bernoulli", "p", _bernoulli, _bernoulli_tree,
        lambda p, shape, draw: np.asarray(_generator(draw).random(shape) < p),
        {"shape": Attr("dims"), "draw": _DRAW},
        random=True,
        doc="True with the probability `p`: a number, or one for each element.",
    ),
    Op(
        "random_categorical", "logits", _categorical, _categorical_tree, _categorical_reference,
        {"count": Attr("dim"), "draw": _DRAW},
        random=True,
        doc="`count` indices into the last axis, whose softmax has their probabilities.",
    ),
]  # fmt: skip
