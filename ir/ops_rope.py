"""Rotary position embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np

from .op import Attr, InferError, Op, equal, tensor
from .tree import Layer, Literal, Operand, Tree, Width, call
from .types import Tensor


def _infer(x: Any, freqs: Any, *, dims: int, **attrs: Any) -> Tensor:
    if tensor(x).rank < 3 or not x.dtype.is_float:
        raise InferError(f"rope needs floats of rank 3 or more (batch, length, size), got {x}")
    size = x.shape[-1]
    if dims <= 0 or dims % 2 or not isinstance(size, int) or dims > size:
        raise InferError(f"rope cannot turn {dims} of {size} features")
    if freqs is not None:
        equal(tensor(freqs).shape[0], dims // 2)
    return tensor(x)


def _size(node: Any) -> Tree:
    """How many features turn, as the size of the operand's last axis where those are all."""
    last = node.type(0).rank - 1
    dims: int = node["dims"]
    return Width(0, last) if dims == node.type(0).shape[-1] else dims


def _tree(node: Any, x: Tree, freqs: Tree) -> Tree:
    given = freqs != Literal(None)
    return call(
        "mx.fast.rope",
        x,
        _size(node),
        traditional=node["traditional"],
        base=None if given else node["base"],
        scale=node["scale"],
        offset=node["offset"],
        **({"freqs": freqs} if given else {}),
    )


def _layer(node: Any) -> Layer | None:
    """`nn.RoPE`, which has a base and no table of frequencies."""
    if node.operands[1] is not None:
        return None
    options: tuple[tuple[str, Tree], ...] = ()
    if node["traditional"]:
        options += (("traditional", Literal(True)),)
    options += (("base", Literal(node["base"])),)
    if node["scale"] != 1.0:
        options += (("scale", Literal(node["scale"])),)
    inputs = (Operand(0),) if node["offset"] == 0 else (Operand(0), node["offset"])
    return Layer("nn.RoPE", (), (_size(node),), options, inputs, attribute="rope")


def _rope(
    x: np.ndarray,
    freqs: Any,
    dims: int,
    base: float,
    scale: float,
    offset: int,
    traditional: bool,
) -> np.ndarray:
    wide = x[..., :dims].astype(np.float64)
    turns = (
        1.0 / freqs.astype(np.float64)
        if freqs is not None
        else base ** (-np.arange(0, dims, 2) / dims)
    )
    angles = (offset + np.arange(x.shape[-2]))[:, None] * scale * turns
    cos, sin = np.cos(angles), np.sin(angles)
    first, second = (
        (wide[..., 0::2], wide[..., 1::2])
        if traditional
        else (wide[..., : dims // 2], wide[..., dims // 2 :])
    )
    turned = [first * cos - second * sin, second * cos + first * sin]
    joined = np.stack(turned, -1).reshape(wide.shape) if traditional else np.concatenate(turned, -1)
    return np.concatenate([joined.astype(x.dtype), x[..., dims:]], -1)


ROWS = [
    Op(
        "rope",
        "x freqs?",
        _infer,
        _tree,
        _rope,
        {
            "dims": Attr("int"),
            "base": Attr("float", 10000.0),
            "scale": Attr("float", 1.0),
            "offset": Attr("dim", 0),
            "traditional": Attr("bool", False),
        },
        layer=_layer,
        doc="Turns pairs of the first `dims` features of x (..., length, size): pair i at position "
        "p by (offset + p) * scale / freqs[i], with freqs[i] = base^(2i / dims) where none are "
        "given. Pairs are neighbours (`traditional`) or i and i + dims / 2. Su et al., 2021.",
    ),
]
