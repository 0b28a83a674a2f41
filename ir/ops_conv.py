"""Convolution, pooling and resizing of [N, *spatial, C]; weights [O, *kernel, I / groups]."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dims import Expr, floordiv, minimum
from .op import Attr, InferError, Op, equal, tensor
from .tree import Layer, Literal, Name, Tree, Width, call, infix, lift
from .types import I64, Tensor

_STEPS = {"stride": Attr("ints"), "padding": Attr("ints"), "dilation": Attr("ints")}


def plain(values: Sequence[Any]) -> Any:
    """One number where all axes have the same, else a tuple."""
    return values[0] if all(v == values[0] for v in values) else tuple(values)


def _unless(default: int, **values: Sequence[Any]) -> dict[str, Any]:
    """Keywords whose value is not the default on every axis."""
    return {k: plain(v) for k, v in values.items() if any(i != default for i in v)}


# ---- convolution


def _check_conv(x: Any, weight: Any, bias: Any, groups: int, spatial: int) -> None:
    if tensor(x).rank != spatial + 2 or tensor(weight).rank != spatial + 2:
        raise InferError(f"conv over {spatial} axes got {x} and the weight {weight}")
    equal(x.shape[-1], weight.shape[-1] * groups)
    if bias is not None:
        equal(bias.shape[0], weight.shape[0])


def _infer_conv(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
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
        **_unless(1, stride=node["stride"]),
        **_unless(0, padding=node["padding"]),
        **_unless(1, dilation=node["dilation"]),
    }
    if node.op == "conv_transpose":
        options |= _unless(0, output_padding=node["output_padding"])
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
    if groups != 1 and (transposed or rank == 3):
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


def _taps(kernel: Sequence[int]) -> itertools.product[tuple[int, ...]]:
    return itertools.product(*map(range, kernel))


def _at(
    sizes: Sequence[int], tap: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[slice, ...]:
    """Where one kernel element meets the padded input, for all output places."""
    return tuple(
        slice(t * d, t * d + (n - 1) * s + 1, s)
        for n, t, s, d in zip(sizes, tap, stride, dilation, strict=True)
    )


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
    parts = [
        sum(
            part[(slice(None), *_at(sizes, tap, stride, dilation))] @ taps[(slice(None), *tap)].T
            for tap in _taps(kernel)
        )
        for part, taps in _by_group(padded, weight, groups)
    ]
    out = np.concatenate(parts, -1)
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
            out[(slice(None), *_at(sizes, tap, stride, dilation), channels)] += (
                part @ taps[(slice(None), *tap)].T
            )
    crop = tuple(slice(p, n - p) for p, n in zip(padding, full, strict=True))
    out = out[(slice(None), *crop)]
    return (out if bias is None else out + bias).astype(x.dtype)


# ---- pooling


def window_count(n: int | Expr, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int | Expr:
    """Windows along an axis; with ceil_mode none starts past the input and its left padding."""
    if not ceil_mode:
        return floordiv(n + 2 * p - d * (k - 1) - 1, s) + 1
    return minimum(floordiv(n + 2 * p - d * (k - 1) - 1 + s - 1, s), floordiv(n + p - 1, s)) + 1


def _infer_pool(
    x: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    dilation: Any = None,
    **attrs: Any,
) -> Tensor:
    holes = dilation or (1,) * len(kernel)
    sizes = [
        window_count(n, *window, ceil_mode)
        for n, *window in zip(tensor(x).shape[1:-1], kernel, stride, padding, holes, strict=True)
    ]
    return x.with_shape(x.shape[0], *sizes, x.shape[-1])


def _infer_pool_places(x: Any, **attrs: Any) -> tuple[Tensor, Tensor]:
    out = _infer_pool(x, **attrs)
    return out, out.with_dtype(I64)


def _windows(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> list[list[int]]:
    """The places each window covers, those in the padding too."""
    return [
        [i * s - p + j * d for j in range(k)]
        for i in range(int(window_count(n, k, s, p, d, ceil_mode)))
    ]  # type: ignore[arg-type]


def _pooled(
    x: np.ndarray,
    windows: list[list[list[int]]],
    body: Callable[[np.ndarray, tuple[list[int], ...]], Any],
) -> np.ndarray:
    """`body(patch, places)` for each output place; the patch holds what lies inside the input."""
    sizes = x.shape[1:-1]
    rows = []
    for window in itertools.product(*windows):
        inside = tuple(
            [i for i in axis if 0 <= i < n] for axis, n in zip(window, sizes, strict=True)
        )
        patch = x[np.ix_(range(x.shape[0]), *inside, range(x.shape[-1]))]
        rows.append(body(patch, inside))
    shape = (*map(len, windows), x.shape[0], x.shape[-1])
    return np.moveaxis(np.stack(rows).reshape(shape), -2, 0)


def _plan(
    x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> list[list[list[int]]]:
    return [
        _windows(n, *w, ceil_mode)
        for n, *w in zip(x.shape[1:-1], kernel, stride, padding, dilation, strict=True)
    ]


def _spatial(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))


def _max_pool(
    x: np.ndarray, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> np.ndarray:
    return _pooled(
        x,
        _plan(x, kernel, stride, padding, dilation, ceil_mode),
        lambda patch, _: patch.max(_spatial(patch)),
    )


def _flat_places(x: np.ndarray) -> Callable[[np.ndarray, tuple[list[int], ...]], np.ndarray]:
    """The place of each maximum in the flattened spatial axes."""
    sizes = x.shape[1:-1]

    def place(patch: np.ndarray, inside: tuple[list[int], ...]) -> np.ndarray:
        table = np.ravel_multi_index(np.meshgrid(*inside, indexing="ij"), sizes).ravel()
        return table[patch.reshape(patch.shape[0], -1, patch.shape[-1]).argmax(1)]

    return place


def _max_pool_with_indices(x: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    return _max_pool(x, **options), _pooled(x, _plan(x, **options), _flat_places(x)).astype(
        np.int64
    )


def _avg_pool(
    x: np.ndarray,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int,
) -> np.ndarray:
    plan = _plan(x, kernel, stride, padding, (1,) * len(kernel), ceil_mode)
    total = _pooled(x.astype(np.float64), plan, lambda patch, _: patch.sum(_spatial(patch)))
    for axis, (windows, n, p) in enumerate(zip(plan, x.shape[1:-1], padding, strict=True), 1):
        low, high = (-p, n + p) if count_include_pad else (0, n)
        counts = np.array([sum(low <= i < high for i in window) for window in windows])
        total = (
            total
            if divisor
            else total / counts.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        )
    return (total / divisor if divisor else total).astype(x.dtype)


def _pool_tree(node: Any, x: Tree) -> Tree:
    options: dict[str, Any] = {}
    if any(d != 1 for d in node.attrs.get("dilation", ())):
        options["dilation"] = node["dilation"]
    if node["ceil_mode"]:
        options["ceil_mode"] = True
    if not node.attrs.get("count_include_pad", True):
        options["count_include_pad"] = False
    if node.attrs.get("divisor"):
        options["divisor_override"] = node["divisor"]
    return call(f"runtime.{node.op}", x, node["kernel"], node["stride"], node["padding"], **options)


def _pool_layer(name: str) -> Callable[[Any], Layer | None]:
    def layer(node: Any) -> Layer | None:
        special = (
            node["ceil_mode"]
            or node.attrs.get("divisor")
            or not node.attrs.get("count_include_pad", True)
        )
        if special or any(d != 1 for d in node.attrs.get("dilation", ())):
            return None
        options = {} if node["stride"] == node["kernel"] else {"stride": plain(node["stride"])}
        options |= _unless(0, padding=node["padding"])
        args = (lift(plain(node["kernel"])),)
        return Layer(
            f"nn.{name}{len(node['kernel'])}d",
            (),
            args,
            tuple((k, lift(v)) for k, v in options.items()),
        )

    return layer


_POOL = {"kernel": Attr("ints"), "stride": Attr("ints"), "padding": Attr("ints")}
_MAX_POOL = {**_POOL, "dilation": Attr("ints"), "ceil_mode": Attr("bool", False)}

# ---- adaptive pooling


def _infer_adaptive(x: Any, size: tuple[Any, ...]) -> Tensor:
    return tensor(x).with_shape(x.shape[0], *size, x.shape[-1])


def _adaptive_plan(x: np.ndarray, size: tuple[int, ...]) -> list[list[list[int]]]:
    return [
        [list(range(i * n // out, -(-(i + 1) * n // out))) for i in range(out)]
        for n, out in zip(x.shape[1:-1], size, strict=True)
    ]


def _adaptive_avg_pool(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return _pooled(
        x.astype(np.float64), _adaptive_plan(x, size), lambda patch, _: patch.mean(_spatial(patch))
    ).astype(x.dtype)


def _adaptive_max_pool(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return _pooled(x, _adaptive_plan(x, size), lambda patch, _: patch.max(_spatial(patch)))


def _adaptive_max_pool_with_indices(
    x: np.ndarray, size: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    places = _pooled(x, _adaptive_plan(x, size), _flat_places(x)).astype(np.int64)
    return _adaptive_max_pool(x, size), places


# ---- resizing


def _infer_interpolate(x: Any, size: tuple[Any, ...], **attrs: Any) -> Tensor:
    if len(size) != tensor(x).rank - 2:
        raise InferError(f"interpolate to {size} got {x}")
    return x.with_shape(x.shape[0], *size, x.shape[-1])


def _interpolate_tree(node: Any, x: Tree) -> Tree:
    mode, options = node["mode"], {}
    if node["align_corners"]:
        options["align_corners"] = True
    if any(node["scales"]):
        options["scale"] = tuple(s or None for s in node["scales"])
    if mode == "nearest-exact":
        options["exact"] = True
    name = {"nearest-exact": "nearest"}.get(mode, mode)
    return call(f"runtime.interpolate_{name}", x, node["size"], **options)


def _positions(n: int, out: int, align_corners: bool, scale: float) -> np.ndarray:
    i = np.arange(out, dtype=np.float64)
    if align_corners:
        return i * ((n - 1) / (out - 1) if out > 1 else 0)
    return (i + 0.5) * (1 / scale if scale else n / out) - 0.5


def _axis_weights(n: int, out: int, mode: str, align_corners: bool, scale: float) -> np.ndarray:
    """The matrix [out, n] that resizes one axis."""
    matrix = np.zeros((out, n))
    rows = np.arange(out)
    if mode.startswith("nearest"):
        ratio = 1 / scale if scale else n / out
        places = np.floor((rows + (0.5 if mode == "nearest-exact" else 0)) * np.float32(ratio))
        matrix[rows, np.minimum(places.astype(int), n - 1)] = 1
        return matrix
    at = _positions(n, out, align_corners, scale)
    if mode == "linear":
        at = np.clip(at, 0, None)
        low = np.minimum(np.floor(at).astype(int), n - 1)
        taps = [(low, 1 - (at - low)), (np.minimum(low + 1, n - 1), at - low)]
    else:
        low, t = np.floor(at).astype(int), at - np.floor(at)
        taps = [(np.clip(low + k, 0, n - 1), _keys(t - k)) for k in (-1, 0, 1, 2)]
    for places, weights in taps:
        np.add.at(matrix, (rows, places), weights)
    return matrix


def _keys(d: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Cubic convolution kernel. Keys, 1981."""
    d = np.abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _interpolate(
    x: np.ndarray, size: Any, mode: str, align_corners: bool, scales: Any
) -> np.ndarray:
    out = x.astype(np.float64)
    for axis, (n, scale) in enumerate(zip(size, scales, strict=True), 1):
        matrix = _axis_weights(out.shape[axis], n, mode, align_corners, scale)
        out = np.moveaxis(np.tensordot(matrix, out, (1, axis)), 0, axis)
    return out.astype(x.dtype)


# ---- sampling


def _infer_grid_sample(x: Any, grid: Any, **attrs: Any) -> Tensor:
    if tensor(grid).rank != tensor(x).rank or grid.shape[-1] != x.rank - 2:
        raise InferError(f"grid_sample of {x} got the grid {grid}")
    equal(x.shape[0], grid.shape[0])
    return x.with_shape(*grid.shape[:-1], x.shape[-1])


def _fold(at: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> np.ndarray:
    """Positions outside, as the padding mode moves them."""
    if padding_mode == "border":
        return np.clip(at, 0, n - 1)
    if padding_mode == "reflection":
        low, high = (0, n - 1) if align_corners else (-0.5, n - 0.5)
        span = high - low
        if span == 0:
            return np.zeros_like(at)
        folded = np.mod(at - low, 2 * span)
        return np.clip(np.where(folded > span, 2 * span - folded, folded) + low, 0, n - 1)
    return at


def _sample_taps(
    at: np.ndarray, n: int, mode: str, padding_mode: str, align_corners: bool
) -> list[tuple[np.ndarray, Any]]:
    if mode == "bicubic":
        low = np.floor(at)
        return [
            (_fold(low + k, n, padding_mode, align_corners), _keys(at - low - k))
            for k in (-1, 0, 1, 2)
        ]
    at = _fold(at, n, padding_mode, align_corners)
    low = np.floor(at)
    return (
        [(np.round(at), 1.0)] if mode == "nearest" else [(low, low + 1 - at), (low + 1, at - low)]
    )


def _grid_sample(
    x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> np.ndarray:
    sizes = x.shape[1:-1]
    taps = []
    for d, n in enumerate(sizes):
        at = grid[..., -1 - d].astype(np.float64)
        at = (at + 1) / 2 * (n - 1) if align_corners else ((at + 1) * n - 1) / 2
        taps.append(_sample_taps(at, n, mode, padding_mode, align_corners))
    batch = np.arange(x.shape[0]).reshape(-1, *[1] * (grid.ndim - 2))
    out = np.zeros((*grid.shape[:-1], x.shape[-1]))
    for corner in itertools.product(*taps):
        inside = np.logical_and.reduce(
            [(i >= 0) & (i < n) for (i, _), n in zip(corner, sizes, strict=True)]
        )
        places = [np.where(inside, i, 0).astype(int) for i, _ in corner]
        weight = np.where(
            inside,
            np.prod(
                np.broadcast_arrays(*(np.asarray(w, float) + 0 * corner[0][0] for _, w in corner)),
                0,
            ),
            0,
        )
        out += x[(batch, *places)] * weight[..., None]
    return out.astype(x.dtype)


def _grid_tree(node: Any, x: Tree, grid: Tree) -> Tree:
    defaults = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False}
    return call(
        "runtime.grid_sample", x, grid, **{k: node[k] for k, v in defaults.items() if node[k] != v}
    )


# ---- windows as columns (channels first, as torch has them)

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
    taps = [padded[(..., *_at(sizes, tap, stride, dilation))] for tap in _taps(kernel)]
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
        out[(..., *_at(sizes, tap, stride, dilation))] += parts[..., i, :, :]
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
        {**_STEPS, "groups": Attr("int", 1)},
        layer=_conv_layer,
        doc="Convolution over 1 to 3 axes, channels last, weight [O, *kernel, I / groups].",
    ),
    Op(
        "conv_transpose",
        "x weight bias?",
        _infer_conv_transpose,
        _conv_tree,
        _conv_transpose,
        {**_STEPS, "groups": Attr("int", 1), "output_padding": Attr("ints")},
        layer=_conv_layer,
        doc="Transposed convolution, channels last, weight [O, *kernel, I / groups].",
    ),
    Op(
        "max_pool",
        "x",
        _infer_pool,
        _pool_tree,
        _max_pool,
        _MAX_POOL,
        layer=_pool_layer("MaxPool"),
        doc="Largest of each window, channels last.",
    ),
    Op(
        "max_pool_with_indices",
        "x",
        _infer_pool_places,
        _pool_tree,
        _max_pool_with_indices,
        _MAX_POOL,
        several=True,
        doc="max_pool, and the places of the maxima in the flattened spatial axes.",
    ),
    Op(
        "avg_pool",
        "x",
        _infer_pool,
        _pool_tree,
        _avg_pool,
        {
            **_POOL,
            "ceil_mode": Attr("bool", False),
            "count_include_pad": Attr("bool", True),
            "divisor": Attr("int", 0),
        },
        layer=_pool_layer("AvgPool"),
        doc="Mean of each window, channels last; `divisor` takes the count's place.",
    ),
    Op(
        "adaptive_avg_pool",
        "x",
        _infer_adaptive,
        lambda n, x: call("runtime.adaptive_avg_pool", x, n["size"]),
        _adaptive_avg_pool,
        {"size": Attr("dims")},
        doc="Means over windows that divide each axis evenly.",
    ),
    Op(
        "adaptive_max_pool",
        "x",
        _infer_adaptive,
        lambda n, x: call("runtime.adaptive_max_pool", x, n["size"]),
        _adaptive_max_pool,
        {"size": Attr("dims")},
        doc="Maxima over windows that divide each axis evenly.",
    ),
    Op(
        "adaptive_max_pool_with_indices",
        "x",
        lambda x, size: (_infer_adaptive(x, size), _infer_adaptive(x, size).with_dtype(I64)),
        lambda n, x: call("runtime.adaptive_max_pool_with_indices", x, n["size"]),
        _adaptive_max_pool_with_indices,
        {"size": Attr("dims")},
        several=True,
        doc="adaptive_max_pool, and the places of the maxima.",
    ),
    Op(
        "interpolate",
        "x",
        _infer_interpolate,
        _interpolate_tree,
        _interpolate,
        {
            "size": Attr("dims"),
            "mode": Attr("str"),
            "align_corners": Attr("bool", False),
            "scales": Attr("numbers"),
        },
        doc="Resizing of [N, *spatial, C]; `mode` is nearest, nearest-exact, linear or cubic; "
        "a scale that is not 0 decides where the axis is read.",
    ),
    Op(
        "grid_sample",
        "x grid",
        _infer_grid_sample,
        _grid_tree,
        _grid_sample,
        {
            "mode": Attr("str", "bilinear"),
            "padding_mode": Attr("str", "zeros"),
            "align_corners": Attr("bool", False),
        },
        doc="[N, *spatial, C] read at normalised places [N, *out, 2 or 3] that go x, y(, z). "
        "Jaderberg et al., 2015.",
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
