"""Normalisation over images and sequences (channels last), and of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import Attr, InferError, Op, equal, tensor
from .tree import Layer, Literal, Tree, Width, call
from .types import Tensor

EPS = {"eps": Attr("float", 1e-5)}


def _infer(x: Any, *params: Any, **attrs: Any) -> Tensor:
    for param in params:
        if param is not None:
            equal(tensor(x).shape[-1], param.shape[0])
    return tensor(x)


def _infer_group_norm(x: Any, weight: Any, bias: Any, groups: int, eps: float) -> Tensor:
    channels = tensor(x).shape[-1]
    if isinstance(channels, int) and channels % groups:
        raise InferError(f"{channels} channels are no multiple of {groups} groups")
    return _infer(x, weight, bias)


def _affine(x: np.ndarray, weight: Any, bias: Any, like: np.ndarray) -> np.ndarray:
    x = x if weight is None else x * weight
    return (x if bias is None else x + bias).astype(like.dtype)


def _standard(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    wide = x.astype(np.float64)
    return (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + eps)


def _batch_norm(
    x: np.ndarray, weight: Any, bias: Any, mean: Any, var: Any, eps: float
) -> np.ndarray:
    if mean is None or var is None:
        return _affine(_standard(x, tuple(range(x.ndim - 1)), eps), weight, bias, x)
    return _affine(
        (x.astype(np.float64) - mean) / np.sqrt(var.astype(np.float64) + eps), weight, bias, x
    )


def _instance_norm(x: np.ndarray, weight: Any, bias: Any, eps: float) -> np.ndarray:
    return _affine(_standard(x, tuple(range(1, x.ndim - 1)), eps), weight, bias, x)


def _group_norm(x: np.ndarray, weight: Any, bias: Any, groups: int, eps: float) -> np.ndarray:
    n, channels = x.shape[0], x.shape[-1]
    grouped = x.reshape(n, -1, groups, channels // groups)
    return _affine(_standard(grouped, (1, 3), eps).reshape(x.shape), weight, bias, x)


def eps_option(node: Any, default: float = 1e-5) -> dict[str, Any]:
    return {} if node["eps"] == default else {"eps": node["eps"]}


def given(**operands: Tree) -> dict[str, Any]:
    """The optional operands that are there, by keyword."""
    return {name: tree for name, tree in operands.items() if tree != Literal(None)}


def _params(node: Any, names: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
    return tuple((i, name) for i, name in names if node.operands[i] is not None)


def _channels(node: Any) -> Tree:
    """How many channels, named after a parameter where there is one."""
    for i in range(1, len(node.operands)):
        if node.operands[i] is not None:
            return Width(i, 0)
    return node.type(0).shape[-1]


def _has_affine(node: Any) -> bool | None:
    """Whether weight and bias are there; None where only one is, which MLX's layers lack."""
    there = [node.operands[i] is not None for i in (1, 2)]
    return there[0] if there[0] == there[1] else None


def _options(node: Any, **options: Any) -> tuple[tuple[str, Tree], ...]:
    eps = {} if node["eps"] == 1e-5 else {"eps": Literal(node["eps"])}
    return tuple({**eps, **{k: Literal(v) for k, v in options.items()}}.items())


def _batch_norm_layer(node: Any) -> Layer | None:
    affine = _has_affine(node)
    if affine is None or node.operands[3] is None:
        return None
    if len(node.type(0).shape) > 4:  # the layer takes two spatial dims at the most
        return None
    names = ((1, "weight"), (2, "bias"), (3, "running_mean"), (4, "running_var"))
    extra = {} if affine else {"affine": False}
    return Layer("nn.BatchNorm", _params(node, names), (Width(3, 0),), _options(node, **extra))


def _instance_norm_layer(node: Any) -> Layer | None:
    affine = _has_affine(node)
    if affine is None:
        return None
    extra = {"affine": True} if affine else {}
    return Layer(
        "nn.InstanceNorm",
        _params(node, ((1, "weight"), (2, "bias"))),
        (_channels(node),),
        _options(node, **extra),
    )


def _group_norm_layer(node: Any) -> Layer | None:
    affine = _has_affine(node)
    if affine is None:
        return None
    extra = {} if affine else {"affine": False}
    args = (node["groups"], _channels(node))
    options = _options(node, **extra, pytorch_compatible=True)
    return Layer("nn.GroupNorm", _params(node, ((1, "weight"), (2, "bias"))), args, options)


def _weight_norm(v: np.ndarray, g: np.ndarray, axis: int) -> np.ndarray:
    axes = tuple(a for a in range(v.ndim) if a != axis)
    wide = v.astype(np.float64)
    return (wide * (g / np.sqrt(np.square(wide).sum(axes, keepdims=True)))).astype(v.dtype)


ROWS = [
    Op(
        "batch_norm",
        "x weight? bias? mean? var?",
        _infer,
        lambda n, x, w, b, m, v: call(
            "runtime.batch_norm", x, m, v, **given(weight=w, bias=b), **eps_option(n)
        ),
        _batch_norm,
        EPS,
        layer=_batch_norm_layer,
        doc="(x - mean) / sqrt(var + eps) * weight + bias over the last axis; statistics of the "
        "batch where none are given. "
        "Ioffe and Szegedy, 2015.",
    ),
    Op(
        "instance_norm",
        "x weight? bias?",
        _infer,
        lambda n, x, w, b: call(
            "runtime.instance_norm", x, **given(weight=w, bias=b), **eps_option(n)
        ),
        _instance_norm,
        EPS,
        layer=_instance_norm_layer,
        doc="Normalisation over the spatial axes of [N, *spatial, C]. Ulyanov et al., 2016.",
    ),
    Op(
        "group_norm",
        "x weight? bias?",
        _infer_group_norm,
        lambda n, x, w, b: call(
            "runtime.group_norm", x, n["groups"], **given(weight=w, bias=b), **eps_option(n)
        ),
        _group_norm,
        {"groups": Attr("int"), **EPS},
        layer=_group_norm_layer,
        doc="Normalisation over groups of channels of [N, *spatial, C]. Wu and He, 2018.",
    ),
    Op(
        "weight_norm",
        "v g",
        lambda v, g, axis: tensor(v),
        lambda n, v, g: call("runtime.weight_norm", v, g, None if n["axis"] < 0 else n["axis"]),
        _weight_norm,
        {"axis": Attr("int", 0)},
        doc="v * g / |v|, the norm over all axes but one (-1: all). Salimans and Kingma, 2016.",
    ),
]
