"""Activation functions beyond those of `ops_elementwise.py`, and a few other functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .op import Attr, InferError, Op, arithmetic, tensor
from .ops_elementwise import bits_tree, weak
from .ops_shape import last
from .tree import Tree, call
from .types import Tensor


def infer_float(x: Any, **attrs: Any) -> Tensor:
    if not tensor(x).dtype.is_float:
        raise InferError(f"needs a floating point operand, got {x}")
    return x


def _wide(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """Computed in float64."""
    return lambda x, **attrs: np.asarray(function(x.astype(np.float64), **attrs)).astype(x.dtype)


def _activation(name: str, function: Callable[..., Any], doc: str, mlx: str | None = None) -> Op:
    return Op(
        name,
        "x",
        infer_float,
        lambda n, x: call(mlx or f"nn.{name}", x),
        _wide(function),
        elementwise=True,
        doc=doc,
    )


def _with_number(
    name: str, attr: str, default: float, function: Callable[..., Any], mlx: str, doc: str
) -> Op:
    """An activation with one number, left out where it is MLX's default."""

    def emit(node: Any, x: Tree) -> Tree:
        return call(mlx, x, *([] if node[attr] == default else [node[attr]]))

    return Op(
        name,
        "x",
        infer_float,
        emit,
        _wide(function),
        {attr: Attr("float", default)},
        elementwise=True,
        doc=doc,
    )


def _infer_glu(x: Any, axis: int) -> Tensor:
    size = tensor(x).shape[axis]
    if isinstance(size, int) and size % 2:
        raise InferError(f"glu halves an axis of {size}")
    return x.with_shape(*(d // 2 if i == axis else d for i, d in enumerate(x.shape)))


def _glu(x: np.ndarray, axis: int) -> np.ndarray:
    a, b = np.split(x.astype(np.float64), 2, axis)
    return (a / (1 + np.exp(-b))).astype(x.dtype)


def _glu_tree(node: Any, x: Tree) -> Tree:
    axis = last(node["axis"], node.type(0).rank)
    return call("nn.glu", x, **({} if axis == -1 else {"axis": axis}))


def _prelu(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * weight).astype(x.dtype)


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def _erfinv(x: np.ndarray) -> np.ndarray:
    """Newton's method on erf from a logarithmic first guess. Winitzki, 2008."""
    logs = np.log1p(-x * x)
    half = 2 / (math.pi * 0.147) + logs / 2
    y = np.sign(x) * np.sqrt(np.sqrt(half * half - logs / 0.147) - half)
    for _ in range(4):
        y -= (np.vectorize(math.erf)(y) - x) / (2 / math.sqrt(math.pi) * np.exp(-y * y))
    return y


def _lgamma(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.lgamma, otypes=[np.float64])(x)


def _digamma(x: np.ndarray) -> np.ndarray:
    """An asymptotic series after six steps of the recurrence, and reflection below 0."""
    y = np.where(x < 0, 1 - x, x)
    z = y + 6
    out = np.log(z) - 0.5 / z - 1 / (12 * z**2) + 1 / (120 * z**4) - 1 / (252 * z**6)
    out = out - sum(1 / (y + i) for i in range(6))
    return np.where(x < 0, out - math.pi / np.tan(math.pi * x), out)


def _shift(name: str, operator: str, function: Callable[..., Any]) -> Op:
    return Op(
        name,
        "a b",
        arithmetic,
        lambda n, a, b: bits_tree(name, operator, a, b),
        weak(function),
        elementwise=True,
        doc=f"`a {operator} b` on integers.",
    )


def _pair(name: str, mlx: str, function: Callable[..., Any], doc: str) -> Op:
    return Op(
        name,
        "a b",
        arithmetic,
        lambda n, a, b: call(mlx, a, b),
        weak(function),
        elementwise=True,
        doc=doc,
    )


ROWS = [
    _activation(
        "hardswish",
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        "x * min(max(x + 3, 0), 6) / 6. Howard et al., 2019.",
    ),
    _activation(
        "hardsigmoid",
        lambda x: np.clip(x + 3, 0, 6) / 6,
        "min(max(x + 3, 0), 6) / 6.",
        "runtime.hardsigmoid",
    ),
    _activation("mish", lambda x: x * np.tanh(_softplus(x)), "x * tanh(softplus(x)). Misra, 2019."),
    _activation("softplus", _softplus, "log(1 + exp(x))."),
    _activation("log_sigmoid", lambda x: -_softplus(-x), "log(sigmoid(x))."),
    _activation("erfinv", _erfinv, "Inverse of erf.", "mx.erfinv"),
    _activation("lgamma", _lgamma, "Logarithm of the gamma function.", "runtime.lgamma"),
    _activation("digamma", _digamma, "Derivative of lgamma.", "runtime.digamma"),
    _with_number(
        "leaky_relu",
        "slope",
        0.01,
        lambda x, slope: np.where(x > 0, x, slope * x),
        "nn.leaky_relu",
        "x, or slope * x below 0.",
    ),
    _with_number(
        "elu",
        "alpha",
        1.0,
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        "runtime.elu",
        "x, or alpha * (exp(x) - 1) below 0. Clevert et al., 2015.",
    ),
    Op(
        "prelu",
        "x weight",
        arithmetic,
        lambda n, x, w: call("nn.prelu", x, w),
        _prelu,
        elementwise=True,
        doc="x, or weight * x below 0. He et al., 2015.",
    ),
    Op(
        "glu",
        "x",
        _infer_glu,
        _glu_tree,
        _glu,
        {"axis": Attr("axis")},
        doc="a * sigmoid(b) for the halves a, b of an axis. Dauphin et al., 2016.",
    ),
    _pair("logaddexp", "mx.logaddexp", np.logaddexp, "log(exp(a) + exp(b))."),
    _shift("left_shift", "<<", np.left_shift),
    _shift("right_shift", ">>", np.right_shift),
]
