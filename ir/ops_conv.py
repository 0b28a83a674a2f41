"""Convolution of [N, *spatial, C] by weights [O, *kernel, I / groups], and windows as columns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dims import Expr, floordiv, minimum
from .op import Attr, InferError, Op, equal, tensor
from .tree import Layer, Literal, Name, Tree, Width, call, infix, lift
from .types import Tensor

_STEPS = {"stride": Attr("ints"), "padding": Attr("ints"), "dilation": Attr("ints")}


def plain(values: Sequence[Any]) -> Any:
    """One number where all axes have the same, else a tuple."""
    return values[0] if all(v == values[0] for v in values) else tuple(values)


def unless(default: int, **values: Sequence[Any]) -> dict[str, Any]:
    """Keywords whose value is not the default on every axis."""
    return {k: plain(v) for k, v in values.items() if any(i != default for i in v)}


def _check_conv(x: Any, weight: Any, bias: Any, groups: Any, spatial: int) -> None:
    if tensor(x).rank != spatial + 2 or tensor(weight).rank != spatial + 2:
        raise InferError(f"conv over {spatial} axes got {x} and the weight {weight}")
    equal(x.shape[-1], weight.shape[-1] * groups)
    if bias is not None:
        equal(bias.shape[0], weight.shape[0])


def _infer_conv(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> Tensor:
    _check_conv(x, weight, bias, groups, len(stride))
    sizes = [
        floordiv(n + 2 * p - d * (k - 1) - 1, s) + 1
        for n, k, s, p, d in zip(
            x.shape[1:-1], weight.shape[1:-1], stride, padding, dilation, strict=True
        )
    ]
    return x.with_shape(x.shape[0], *sizes, weight.shape[0])


def _infer_conv_transpose(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    output_padding: Any,
) -> Tensor:
    _check_conv(x, weight, bias, groups, len(stride))
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + o + 1
        for n, k, s, p, d, o in zip(
            x.shape[1:-1],
            weight.shape[1:-1],
            stride,
            padding,
            dilation,
            output_padding,
            strict=True,
        )
    ]
    return x.with_shape(x.shape[0], *sizes, weight.shape[0])


def _conv_options(node: Any) -> dict[str, Any]:
    options = {
        **unless(1, stride=node["stride"]),
        **unless(0, padding=node["padding"]),
        **unless(1, dilation=node["dilation"]),
    }
    if node.op == "conv_transpose":
        options |= unless(0, output_padding=node["output_padding"])
    return options


def _conv_tree(node: Any, x: Tree, weight: Tree, bias: Tree) -> Tree:
    groups, function = node["groups"], f"mx.{node.op}{len(node['stride'])}d"
    options = _conv_options(node)
    if groups != 1 and len(node["stride"]) == 3:
        out = call("runtime.grouped_conv", Name(function), x, weight, groups, **options)
    else:
        out = call(function, x, weight, **options, **({"groups": groups} if groups != 1 else {}))
    return out if bias == Literal(None) else infix("+", out, bias)


def _conv_layer(node: Any) -> Layer | None:
    """nn.Conv1d ... nn.ConvTranspose3d. MLX's transposed layers and Conv3d take no groups."""
    rank, groups, transposed = len(node["stride"]), node["groups"], node.op == "conv_transpose"
    if not isinstance(groups, int) or (groups != 1 and (transposed or rank == 3)):
        return None
    weight, bias = node.type(1).shape, node.operands[2] is not None
    inputs = Width(1, rank + 1) if groups == 1 else Width(0, rank + 1)
    options = {"kernel_size": plain(weight[1:-1]), **_conv_options(node)}
    depthwise = groups == node.type(0).shape[-1]
    options |= {} if groups == 1 else {"groups": inputs if depthwise else groups}
    options |= {} if bias else {"bias": False}
    params = ((1, "weight"), (2, "bias")) if bias else ((1, "weight"),)
    name = f"nn.{'ConvTranspose' if transposed else 'Conv'}{rank}d"
    return Layer(
        name, params, (inputs, Width(1, 0)), tuple((k, lift(v)) for k, v in options.items())
    )


def _taps(kernel: Sequence[int]) -> itertools.product[Any]:
    return itertools.product(*map(range, kernel))


def _at(
    sizes: Sequence[int], tap: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Any, ...]:
    """Where one kernel element meets the padded input, for all output places."""
    return tuple(
        slice(t * d, t * d + (n - 1) * s + 1, s)
        for n, t, s, d in zip(sizes, tap, stride, dilation, strict=True)
    )


def _tap(weight: np.ndarray, tap: Any) -> np.ndarray:
    """One kernel element as a matrix [I, O]."""
    return np.moveaxis(weight, 0, -1)[tap]


def _by_group(
    x: np.ndarray, weight: np.ndarray, groups: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(
        zip(
            np.split(x.astype(np.float64), groups, -1),
            np.split(weight.astype(np.float64), groups, 0),
            strict=True,
        )
    )


def _conv(
    x: np.ndarray,
    weight: np.ndarray,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> np.ndarray:
    kernel = weight.shape[1:-1]
    padded = np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)])
    sizes = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(padded.shape[1:-1], kernel, stride, dilation, strict=True)
    ]
    out = np.zeros((x.shape[0], *sizes, weight.shape[0]))
    for group, (part, taps) in enumerate(_by_group(padded, weight, groups)):
        channels = slice(group * taps.shape[0], (group + 1) * taps.shape[0])
        for tap in _taps(kernel):
            place: Any = (slice(None), *_at(sizes, tap, stride, dilation))
            out[..., channels] += part[place] @ _tap(taps, tap)
    return (out if bias is None else out + bias).astype(x.dtype)


def _conv_transpose(
    x: np.ndarray,
    weight: np.ndarray,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    output_padding: Any,
) -> np.ndarray:
    kernel, sizes = weight.shape[1:-1], x.shape[1:-1]
    full = [
        (n - 1) * s + d * (k - 1) + 1 + o
        for n, k, s, d, o in zip(sizes, kernel, stride, dilation, output_padding, strict=True)
    ]
    out = np.zeros((x.shape[0], *full, weight.shape[0]))
    for group, (part, taps) in enumerate(_by_group(x, weight, groups)):
        channels = slice(group * taps.shape[0], (group + 1) * taps.shape[0])
        for tap in _taps(kernel):
            place: Any = (slice(None), *_at(sizes, tap, stride, dilation), channels)
            out[place] += part @ _tap(taps, tap)
    crop: Any = (slice(p, n - p) for p, n in zip(padding, full, strict=True))
    out = out[(slice(None), *crop)]
    return (out if bias is None else out + bias).astype(x.dtype)


def window_count(n: int | Expr, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int | Expr:
    """Windows along an axis; with ceil_mode none starts past the input and its left padding."""
    if not ceil_mode:
        return floordiv(n + 2 * p - d * (k - 1) - 1, s) + 1
    return minimum(floordiv(n + 2 * p - d * (k - 1) - 1 + s - 1, s), floordiv(n + p - 1, s)) + 1


_COLUMNS = {
    "kernel": Attr("ints"),
    "dilation": Attr("ints"),
    "padding": Attr("ints"),
    "stride": Attr("ints"),
}


def _column_grid(sizes: Sequence[Any], node: Any) -> list[Any]:
    options = zip(
        sizes, node["kernel"], node["stride"], node["padding"], node["dilation"], strict=True
    )
    return [window_count(n, k, s, p, d, False) for n, k, s, p, d in options]


def _infer_im2col(x: Any, **attrs: Any) -> Tensor:
    *lead, channels, height, width = tensor(x).shape
    rows, columns = _column_grid((height, width), attrs)
    kernel = attrs["kernel"]
    return x.with_shape(*lead, channels * kernel[0] * kernel[1], rows * columns)


def _im2col(x: np.ndarray, kernel: Any, dilation: Any, padding: Any, stride: Any) -> np.ndarray:
    options = {"kernel": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    sizes = _column_grid(x.shape[-2:], options)
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding])
    places: Any = [(..., *_at(sizes, tap, stride, dilation)) for tap in _taps(kernel)]
    taps = [padded[place] for place in places]
    return np.stack(taps, -3).reshape(*x.shape[:-3], x.shape[-3] * len(taps), -1)


def _infer_col2im(x: Any, size: tuple[Any, ...], **attrs: Any) -> Tensor:
    *lead, columns, _ = tensor(x).shape
    return x.with_shape(*lead, floordiv(columns, attrs["kernel"][0] * attrs["kernel"][1]), *size)


def _col2im(
    x: np.ndarray, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any
) -> np.ndarray:
    options = {"kernel": kernel, "dilation": dilation, "padding": padding, "stride": stride}
    sizes = _column_grid(size, options)
    channels = x.shape[-2] // (kernel[0] * kernel[1])
    parts = x.reshape(*x.shape[:-2], channels, kernel[0] * kernel[1], *sizes)
    out = np.zeros(
        (*x.shape[:-2], channels, *(n + 2 * p for n, p in zip(size, padding, strict=True))), x.dtype
    )
    for i, tap in enumerate(_taps(kernel)):
        place: Any = (..., *_at(sizes, tap, stride, dilation))
        out[place] += parts[..., i, :, :]
    return out[..., padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def _columns_tree(node: Any, x: Tree) -> Tree:
    size = (node["size"],) if node.op == "col2im" else ()
    options = {
        k: node[k]
        for k, v in (("dilation", 1), ("padding", 0), ("stride", 1))
        if any(i != v for i in node[k])
    }
    return call(f"runtime.{node.op}", x, *size, node["kernel"], **options)


ROWS = [
    Op(
        "conv",
        "x weight bias?",
        _infer_conv,
        _conv_tree,
        _conv,
        {**_STEPS, "groups": Attr("dim", 1)},
        layer=_conv_layer,
        doc="Convolution over 1 to 3 axes, channels last, weight [O, *kernel, I / groups].",
    ),
    Op(
        "conv_transpose",
        "x weight bias?",
        _infer_conv_transpose,
        _conv_tree,
        _conv_transpose,
        {**_STEPS, "groups": Attr("dim", 1), "output_padding": Attr("ints")},
        layer=_conv_layer,
        doc="Transposed convolution, channels last, weight [O, *kernel, I / groups].",
    ),
    Op(
        "im2col",
        "x",
        _infer_im2col,
        _columns_tree,
        _im2col,
        _COLUMNS,
        doc="[..., C, H, W] to its windows as columns.",
    ),
    Op(
        "col2im",
        "x",
        _infer_col2im,
        _columns_tree,
        _col2im,
        {"size": Attr("dims"), **_COLUMNS},
        doc="Columns summed back into [..., C, H, W].",
    ),
]
