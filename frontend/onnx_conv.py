"""ONNX rows: convolution and pooling. The IR's ops are channels last, ONNX is channels first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, floordiv, maximum, product
from .aten_common import channels_first, channels_last, permuted, reshaped
from .aten_conv import _transposed_weight, _weight
from .onnx_shape import pad
from .onnx_values import Call, Source

Dim = int | Expr


def _list(c: Call, name: str, count: int, default: int) -> list[int]:
    return [int(v) for v in c.attr(name) or [default] * count]


def _same_pads(
    sizes: Sequence[Dim], kernel: Sequence[int], strides: Sequence[int], holes: Sequence[int],
    upper: bool,
) -> tuple[list[Dim], list[Dim]]:  # fmt: skip
    """Padding that gives ceil(size / stride) windows; the odd one goes to one end."""
    low: list[Dim] = []
    high: list[Dim] = []
    for n, k, s, d in zip(sizes, kernel, strides, holes, strict=True):
        windows = -floordiv(-n, s)
        total = maximum((windows - 1) * s + (k - 1) * d + 1 - n, 0)
        half = floordiv(total, 2)
        low.append(half if upper else total - half)
        high.append(total - half if upper else half)
    return low, high


def pads_of(
    c: Call, sizes: Sequence[Dim], kernel: Sequence[int], strides: Sequence[int],
    holes: Sequence[int],
) -> tuple[list[Dim], list[Dim]]:  # fmt: skip
    """Padding in front of and behind each spatial axis."""
    count, auto = len(kernel), c.attr("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        return _same_pads(sizes, kernel, strides, holes, auto == "SAME_UPPER")
    if auto == "VALID":
        return [0] * count, [0] * count
    given = _list(c, "pads", 2 * count, 0)
    return list(given[:count]), list(given[count:])


def _split_pads(
    b: Builder, x: Value, low: Sequence[Dim], high: Sequence[Dim], fill: Any = 0.0
) -> tuple[Value, tuple[int, ...]]:
    """What a layer can pad itself (fixed and even) it does; the rest is padded before it."""
    even = all(isinstance(a, int) and a == z for a, z in zip(low, high, strict=True))
    if even:
        return x, tuple(int(a) for a in low)  # type: ignore[arg-type]
    return pad(b, x, [0, 0, *low], [0, 0, *high], fill), (0,) * len(low)


def _fixed(shape: Sequence[Dim], what: str) -> tuple[int, ...]:
    out = []
    for d in shape:
        if not isinstance(d, int):
            raise TranspileError(f"{what} is {d}, it must be fixed", hint="fix it with --input")
        out.append(d)
    return tuple(out)


def _conv(c: Call, x: Source, w: Source, bias: Source = None) -> Value:
    return conv(c, c.value(x), c.value(w, role="weight"), c.maybe(bias, role="bias"))


def conv(c: Call, value: Value, weight: Value, bias: Value | None, fill: Any = 0.0) -> Value:
    b, spatial = c.b, value.tensor.rank - 2
    kernel = _fixed(weight.tensor.shape[2:], "the kernel size")
    strides, holes = _list(c, "strides", spatial, 1), _list(c, "dilations", spatial, 1)
    low, high = pads_of(c, value.tensor.shape[2:], kernel, strides, holes)
    value, even = _split_pads(b, value, low, high, fill)
    if spatial > 3:
        raise TranspileError(f"a convolution over {spatial} axes")
    out = b.op(
        "conv", channels_last(b, value, spatial), _weight(b, weight), bias,
        stride=tuple(strides), padding=even, dilation=tuple(holes), groups=c.attr("group", 1),
    )  # fmt: skip
    return channels_first(b, out, spatial)


def _conv_transpose(c: Call, x: Source, w: Source, bias: Source = None) -> Value:
    b, value, weight = c.b, c.value(x), c.value(w, role="weight")
    spatial, groups = value.tensor.rank - 2, c.attr("group", 1)
    kernel = _fixed(weight.tensor.shape[2:], "the kernel size")
    strides, holes = _list(c, "strides", spatial, 1), _list(c, "dilations", spatial, 1)
    extra = _list(c, "output_padding", spatial, 0)
    sizes = value.tensor.shape[2:]
    full = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(sizes, strides, kernel, holes, strict=True)
    ]
    low, high = _transposed_pads(c, sizes, full, strides, extra)
    out = b.op(
        "conv_transpose", channels_last(b, value, spatial), _transposed_weight(b, weight, groups),
        c.maybe(bias, role="bias"), stride=tuple(strides), dilation=tuple(holes), groups=groups,
        **_cropping(low, high, extra),
    )  # fmt: skip
    out = channels_first(b, out, spatial)
    if _is_even(low, high, extra):
        return out
    behind = [e - n for n, e in zip(high, extra, strict=True)]
    return pad(b, out, [0, 0, *(-n for n in low)], [0, 0, *behind])


def _cropping(low: list[Any], high: list[Any], extra: list[int]) -> dict[str, Any]:
    """Even cropping is the layer's own padding; else a layer crops nothing."""
    if _is_even(low, high, extra):
        return {"padding": tuple(low), "output_padding": tuple(extra)}
    return {"padding": (0,) * len(low), "output_padding": (0,) * len(low)}


def _is_even(low: list[Any], high: list[Any], extra: list[int]) -> bool:
    return low == high and all(n >= 0 for n in (*low, *extra))


def _transposed_pads(
    c: Call, sizes: Sequence[Dim], full: Sequence[Dim], strides: Sequence[int],
    extra: Sequence[int],
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    shape, auto = c.attr("output_shape"), c.attr("auto_pad", "NOTSET")
    count = len(sizes)
    if shape is None and auto not in ("SAME_UPPER", "SAME_LOWER"):
        given = [0] * (2 * count) if auto == "VALID" else _list(c, "pads", 2 * count, 0)
        return list(given[:count]), list(given[count:])
    wanted = (
        shape[-count:]
        if shape is not None
        else [n * s for n, s in zip(sizes, strides, strict=True)]
    )
    low, high = [], []
    for f, e, w in zip(full, extra, wanted, strict=True):
        total = _fixed([f + e - w], "the padding")[0]
        half = total // 2
        first, second = (half, total - half) if auto == "SAME_UPPER" else (total - half, half)
        low.append(first)
        high.append(second)
    return low, high


# ---- pooling


def _window(c: Call, x: Value) -> tuple[list[int], list[int], list[int], bool]:
    kernel = [int(k) for k in c.required("kernel_shape")]
    count = len(kernel)
    return (
        kernel, _list(c, "strides", count, 1), _list(c, "dilations", count, 1),
        bool(c.attr("ceil_mode", 0)),
    )  # fmt: skip


def _pool_input(
    c: Call, x: Value, kernel: list[int], strides: list[int], holes: list[int], ceil: bool,
    fill: Any,
) -> tuple[Value, tuple[int, ...], list[Dim], list[Dim]]:  # fmt: skip
    """The input padded for all windows; with ceil_mode the last ones may hang over the end."""
    sizes = x.tensor.shape[2:]
    low, high = pads_of(c, sizes, kernel, strides, holes)
    given = list(high)
    if ceil:
        high = [
            z + _overhang(n + a + z, k, s, d, a, n)
            for n, a, z, k, s, d in zip(sizes, low, high, kernel, strides, holes, strict=True)
        ]
    if ceil or any(not isinstance(a, int) or a != z for a, z in zip(low, high, strict=True)):
        return pad(c.b, x, [0, 0, *low], [0, 0, *high], fill), (0,) * len(kernel), low, given
    fixed = tuple(a for a in low if isinstance(a, int))
    if any(2 * a > k for a, k in zip(fixed, kernel, strict=True)):
        return pad(c.b, x, [0, 0, *low], [0, 0, *high], fill), (0,) * len(kernel), low, given
    return x, fixed, low, given


def _overhang(padded: Dim, k: int, s: int, d: int, low: Dim, size: Dim) -> Dim:
    """How far the last window reaches over the end; none starts in the padding behind."""
    reach = (k - 1) * d + 1
    windows = -floordiv(-(padded - reach), s) + 1
    spare = (windows - 1) * s - size - low
    if isinstance(spare, int) and spare >= 0:
        windows = windows - 1
    return maximum((windows - 1) * s + reach - padded, 0)


def _lowest(dtype: DType) -> Any:
    import numpy as np

    if dtype.is_float:
        return -float("inf")
    return int(np.iinfo(dtype.numpy).min)


def _max_pool(c: Call, x: Source) -> Any:
    b, value = c.b, c.value(x)
    kernel, strides, holes, ceil = _window(c, value)
    spatial = len(kernel)
    if c.used(1):
        return _max_pool_places(c, value, kernel, strides, holes, ceil)
    dtype = value.tensor.dtype
    value, even, _, _ = _pool_input(c, value, kernel, strides, holes, ceil, _lowest(dtype))
    if not dtype.is_float and any(even):  # MLX pads with -inf
        value, even = pad(b, value, [0, 0, *even], [0, 0, *even], _lowest(dtype)), (0,) * spatial
    wide = value if dtype.is_float else b.op("cast", value, dtype=DType.f32)
    out = b.op(
        "max_pool", channels_last(b, wide, spatial), kernel=tuple(kernel), stride=tuple(strides),
        padding=even, dilation=tuple(holes), ceil_mode=False,
    )  # fmt: skip
    out = channels_first(b, out, spatial)
    return out if dtype.is_float else b.op("cast", out, dtype=dtype)


def _max_pool_places(
    c: Call, x: Value, kernel: list[int], strides: list[int], holes: list[int], ceil: bool
) -> list[Value]:
    """Values and places in the flattened tensor; `storage_order` 1 counts columns first."""
    b, spatial = c.b, len(kernel)
    sizes = _fixed(x.tensor.shape[2:], "the size")
    low, high = pads_of(c, sizes, kernel, strides, holes)
    if list(low) != list(high):
        raise TranspileError("MaxPool with places and uneven padding")
    out, places = b.op(
        "max_pool_with_indices", channels_last(b, x, spatial), kernel=tuple(kernel),
        stride=tuple(strides), padding=_fixed(low, "the padding"), dilation=tuple(holes),
        ceil_mode=ceil,
    )  # fmt: skip
    out, places = channels_first(b, out, spatial), channels_first(b, places, spatial)
    if c.attr("storage_order", 0) and spatial == 2:
        row = b.op("floor_divide", places, sizes[1])
        places = b.op("add", b.op("multiply", b.op("remainder", places, sizes[1]), sizes[0]), row)
    n, channels = x.tensor.shape[:2]
    image = b.op("arange", start=0, stop=n * channels, dtype=DType.i64)
    offset = reshaped(b, image, (n, channels, *[1] * spatial))
    return [out, b.op("add", places, b.op("multiply", offset, product(sizes)))]


def _average_pool(c: Call, x: Source) -> Value:
    value = c.value(x)
    kernel, strides, holes, ceil = _window(c, value)
    padded, even, low, high = _pool_input(c, value, kernel, strides, holes, ceil, 0.0)
    plain = padded is value and all(d == 1 for d in holes)
    count = bool(c.attr("count_include_pad", 0))
    if plain and (count or not any(even)):
        return _mean_windows(c, value, kernel, strides, even, True)
    if plain:
        return _mean_windows(c, value, kernel, strides, even, False)
    return _counted_mean(c, value, kernel, strides, holes, ceil, count, low, high)


def _mean_windows(
    c: Call, x: Value, kernel: list[int], strides: list[int], even: tuple[int, ...], count: bool
) -> Value:
    spatial = len(kernel)
    out = c.b.op(
        "avg_pool", channels_last(c.b, x, spatial), kernel=tuple(kernel), stride=tuple(strides),
        padding=even, ceil_mode=False, count_include_pad=count or not any(even), divisor=0,
    )  # fmt: skip
    return channels_first(c.b, out, spatial)


def _counted_mean(
    c: Call, x: Value, kernel: list[int], strides: list[int], holes: list[int], ceil: bool,
    count: bool, low: list[Dim], high: list[Dim],
) -> Value:  # fmt: skip
    """Sums of windows over the number of elements in each: those that count as the input's."""
    b, rank = c.b, x.tensor.rank
    ones = b.op("full", shape=(1, 1, *x.tensor.shape[2:]), value=1.0, dtype=x.tensor.dtype)
    if count:
        ones = pad(b, ones, [0, 0, *low], [0, 0, *high], 1.0)
    sums = []
    for data, done in ((x, False), (ones, count)):
        behind = [0] * len(kernel)
        sizes = x.tensor.shape[2:]
        if ceil:
            behind = [
                _overhang(n + a + z, k, s, d, a, n)  # type: ignore[misc]
                for n, a, z, k, s, d in zip(sizes, low, high, kernel, strides, holes, strict=True)
            ]
        front = [0] * len(kernel) if done else low
        back = behind if done else [z + e for z, e in zip(high, behind, strict=True)]
        data = pad(b, data, [0, 0, *front], [0, 0, *back], 0.0)
        sums.append(sum_windows(b, data, kernel, strides, holes))
    assert sums[0].tensor.rank == rank
    return b.op("divide", *sums)


def sum_windows(
    b: Builder, x: Value, kernel: Sequence[int], strides: Sequence[int], holes: Sequence[int]
) -> Value:
    """Sums over the windows of the spatial axes, one axis after the other."""
    for i, (k, s, d) in enumerate(zip(kernel, strides, holes, strict=True)):
        at = 2 + i
        reach = (k - 1) * d + 1
        near = b.op("windows", x, axis=at, size=reach, step=s)
        if d > 1:
            near = b.op("slice", near, axis=near.tensor.rank - 1, start=0, stop=None, step=d)
        x = b.op("sum", near, axes=(near.tensor.rank - 1,), keepdims=False)
    return x


def _lp_pool(c: Call, x: Source) -> Value:
    b, value, p = c.b, c.value(x), c.attr("p", 2)
    kernel, strides, holes, ceil = _window(c, value)
    power = b.op("power", b.op("abs", value), float(p))
    low, high = pads_of(c, value.tensor.shape[2:], kernel, strides, holes)
    if ceil:
        high = [
            z + _overhang(n + a + z, k, s, d, a, n)
            for n, a, z, k, s, d in zip(
                value.tensor.shape[2:], low, high, kernel, strides, holes, strict=True
            )
        ]
    padded = pad(b, power, [0, 0, *low], [0, 0, *high], 0.0)
    return b.op("power", sum_windows(b, padded, kernel, strides, holes), 1.0 / p)


def _global_pool(op: str) -> Any:
    def row(c: Call, x: Source) -> Value:
        value = c.value(x)
        axes = tuple(range(2, value.tensor.rank))
        return c.b.op(op, value, axes=axes, keepdims=True)

    return row


def _global_lp(c: Call, x: Source) -> Value:
    b, value, p = c.b, c.value(x), float(c.attr("p", 2))
    axes = tuple(range(2, value.tensor.rank))
    total = b.op("sum", b.op("power", b.op("abs", value), p), axes=axes, keepdims=True)
    return b.op("power", total, 1.0 / p)


def _max_unpool(c: Call, x: Source, places: Source, shape: Source = None) -> Value:
    b, value, index = c.b, c.value(x), c.value(places)
    n, channels, *sizes = value.tensor.shape
    kernel = c.required("kernel_shape")
    strides, pads = _list(c, "strides", len(kernel), 1), _list(c, "pads", 2 * len(kernel), 0)
    own = [
        (d - 1) * s + k - pads[i] - pads[i + len(kernel)]
        for i, (d, s, k) in enumerate(zip(sizes, strides, kernel, strict=True))
    ]
    inner = (n, channels, *own)
    zeros = b.op("full", shape=(product(inner),), value=0.0, dtype=value.tensor.dtype)
    flat = [reshaped(b, v, (product(value.tensor.shape),)) for v in (value, index)]
    out = reshaped(b, b.op("scatter", zeros, flat[1], flat[0], axis=0), inner)
    if shape is None:
        return out
    wanted = c.dims(shape, "the output shape")  # places count in the inner shape
    behind = [w - n for w, n in zip(wanted, inner, strict=True)]
    return pad(b, out, [0] * len(behind), behind)


def _col2im(c: Call, x: Source, image: Source, block: Source) -> Value:
    """Blocks summed into an image; any number of spatial axes by scatter."""
    value = c.value(x)
    sizes, kernel = c.ints(image, "the image's shape"), c.ints(block, "the block's shape")
    count = len(sizes)
    strides, holes = _list(c, "strides", count, 1), _list(c, "dilations", count, 1)
    pads = _list(c, "pads", 2 * count, 0)
    if count == 2 and pads[:2] == pads[2:]:
        return _col2im_2d(c, value, sizes, kernel, strides, holes, pads)
    return _col2im_any(c, value, sizes, kernel, strides, holes, pads)


def _col2im_2d(
    c: Call, x: Value, sizes: list[int], kernel: list[int], strides: list[int], holes: list[int],
    pads: list[int],
) -> Value:  # fmt: skip
    return c.b.op(
        "col2im", x, size=tuple(sizes), kernel=tuple(kernel), dilation=tuple(holes),
        padding=tuple(pads[:2]), stride=tuple(strides),
    )  # fmt: skip


def _col2im_any(
    c: Call, x: Value, sizes: list[int], kernel: list[int], strides: list[int], holes: list[int],
    pads: list[int],
) -> Value:  # fmt: skip
    import numpy as np

    b, count = c.b, len(sizes)
    full = [n + pads[i] + pads[i + count] for i, n in enumerate(sizes)]
    windows = [
        (f - (k - 1) * d - 1) // s + 1
        for f, k, d, s in zip(full, kernel, holes, strides, strict=True)
    ]
    taps = np.indices(kernel).reshape(count, -1, 1)
    places = np.indices(windows).reshape(count, 1, -1)
    at = [taps[i] * holes[i] + places[i] * strides[i] for i in range(count)]
    flat = np.ravel_multi_index(at, full).reshape(-1)
    n, columns, _ = x.tensor.shape
    channels = floordiv(columns, int(np.prod(kernel)))
    values = reshaped(b, x, (n, channels, flat.size))
    index = c.constant(flat.astype(np.int32), DType.i32, "places")
    index = b.op("broadcast_to", index, shape=(n, channels, flat.size))
    zeros = b.op("full", shape=(n, channels, int(np.prod(full))), value=0.0, dtype=x.tensor.dtype)
    out = b.op("scatter_reduce", zeros, index, values, axis=2, reduce="sum")
    out = reshaped(b, out, (n, channels, *full))
    return pad(b, out, [0, 0, *(-p for p in pads[:count])], [0, 0, *(-p for p in pads[count:])])


def _deform_conv(
    c: Call, x: Source, w: Source, offset: Source, bias: Source = None, mask: Source = None
) -> Value:
    """Each tap of the kernel reads the image at a place of its own."""
    b, value, weight, moved = c.b, c.value(x), c.value(w, role="weight"), c.value(offset)
    if value.tensor.rank != 4:
        raise TranspileError("DeformConv over other than two axes")
    n, channels, height, width = value.tensor.shape
    outputs, _, kh, kw = _fixed(weight.tensor.shape, "the kernel size")
    parts, groups, taps = int(c.attr("offset_group", 1)), int(c.attr("group", 1)), kh * kw
    rows, columns = moved.tensor.shape[2:]
    grid = _deformed_places(c, moved, (kh, kw), (rows, columns), (height, width), parts)
    image = reshaped(b, value, (n * parts, channels // parts, height, width))
    read = b.op("grid_sample", channels_last(b, image, 2), grid, align_corners=True)
    read = reshaped(b, read, (n, parts, taps, rows, columns, channels // parts))
    if mask is not None:
        factor = reshaped(b, c.value(mask), (n, parts, taps, rows, columns, 1))
        read = b.op("multiply", read, factor)
    read = permuted(b, read, [0, 3, 4, 1, 5, 2])
    size = (channels // groups) * taps
    read = reshaped(b, read, (n, rows, columns, groups, size))
    kernel = reshaped(b, weight, (groups, outputs // groups, size))
    out = b.op("einsum", read, kernel, subscripts="nhwgk,gok->nhwgo")
    out = reshaped(b, out, (n, rows, columns, outputs))
    out = out if bias is None else b.op("add", out, c.value(bias, role="bias"))
    return channels_first(b, out, 2)


def _deformed_places(
    c: Call, offset: Value, kernel: tuple[int, int], out: tuple[Dim, Dim],
    image: tuple[Dim, Dim], parts: int,
) -> Value:  # fmt: skip
    """Places in [-1, 1], x before y: [N * parts, taps * rows, columns, 2]."""
    b, taps = c.b, kernel[0] * kernel[1]
    n = offset.tensor.shape[0]
    strides, holes = _list(c, "strides", 2, 1), _list(c, "dilations", 2, 1)
    pads = _list(c, "pads", 4, 0)
    moved = reshaped(b, offset, (n * parts, *kernel, 2, *out))
    places = []
    for i in range(2):
        own = b.op("select", moved, axis=3, index=i)
        tap = b.op("arange", start=0, stop=kernel[i], dtype=DType.f32)
        tap = b.op(
            "multiply",
            reshaped(b, tap, tuple(kernel[i] if k == i else 1 for k in range(4))),
            float(holes[i]),
        )
        at = b.op("arange", start=0, stop=out[i], dtype=DType.f32)
        at = b.op(
            "multiply",
            reshaped(b, at, tuple(out[i] if k == i + 2 else 1 for k in range(4))),
            float(strides[i]),
        )
        place = b.op("add", own, b.op("add", b.op("subtract", at, float(pads[i])), tap))
        span = maximum(image[i] - 1, 1)
        place = b.op("subtract", b.op("divide", b.op("multiply", place, 2.0), span), 1.0)
        places.append(reshaped(b, place, (n * parts, taps * out[0], out[1])))
    return b.op("stack", places[1], places[0], axis=3)


def _roi_align(c: Call, x: Source, rois: Source, batch: Source) -> Value:
    """Bins of each region, each the mean or the largest of samples between pixels."""
    b, value, boxes = c.b, c.value(x), c.value(rois)
    samples = int(c.attr("sampling_ratio", 0))
    if samples < 1:
        raise TranspileError(
            "RoiAlign whose samples depend on the regions", hint="set sampling_ratio"
        )
    bins = int(c.attr("output_height", 1)), int(c.attr("output_width", 1))
    images = b.op("take", value, c.value(batch), axis=0)
    rows = _roi_weights(c, boxes, 1, bins[0], samples, value.tensor.shape[2])
    columns = _roi_weights(c, boxes, 0, bins[1], samples, value.tensor.shape[3])
    count, channels = boxes.tensor.shape[0], value.tensor.shape[1]
    shape = (count, channels, bins[0], samples, bins[1], samples)

    def read(row: Value, column: Value) -> Value:
        left = b.op("matmul", b.op("expand_dims", row, axes=(1,)), images)
        right = permuted(b, b.op("expand_dims", column, axes=(1,)), [0, 1, 3, 2])
        return reshaped(b, b.op("matmul", left, right), shape)

    if c.attr("mode", "avg") == "avg":
        whole = read(b.op("add", *rows), b.op("add", *columns))
        return b.op("mean", whole, axes=(3, 5), keepdims=False)
    corners = [read(r, k) for r in rows for k in columns]
    largest = corners[0]
    for corner in corners[1:]:
        largest = b.op("maximum", largest, corner)
    return b.op("max", largest, axes=(3, 5), keepdims=False)


def _roi_weights(
    c: Call, boxes: Value, first: int, bins: int, samples: int, size: Dim
) -> tuple[Value, Value]:
    """Matrices [regions, bins * samples, size] with the weight of the pixel before each sample,
    and of the one after it."""
    b = c.b
    default = "half_pixel" if c.opset >= 16 else "output_half_pixel"
    half = c.attr("coordinate_transformation_mode", default) == "half_pixel"
    scale, count = float(c.attr("spatial_scale", 1.0)), boxes.tensor.shape[0]
    edges = []
    for at in (first, first + 2):
        edge = b.op("multiply", b.op("select", boxes, axis=1, index=at), scale)
        edges.append(b.op("subtract", edge, 0.5) if half else edge)
    extent = b.op("subtract", edges[1], edges[0])
    extent = extent if half else b.op("maximum", extent, 1.0)
    steps = b.op("arange", start=0, stop=bins * samples, dtype=DType.f32)
    steps = b.op("divide", b.op("add", steps, 0.5), float(bins * samples))
    start, extent = (reshaped(b, v, (count, 1)) for v in (edges[0], extent))
    place = b.op("add", start, b.op("multiply", extent, steps))
    inside = b.op(
        "bitwise_and", b.op("greater_equal", place, -1.0), b.op("less_equal", place, size)
    )
    place = b.op("clip", place, 0.0, size - 1)
    low = b.op("floor", place)
    after = b.op("subtract", place, low)
    pixels = b.op("arange", start=0, stop=size, dtype=DType.f32)
    out = []
    for pixel, weight in ((low, b.op("subtract", 1.0, after)), (b.op("add", low, 1.0), after)):
        weight = b.op("expand_dims", b.op("where", inside, weight, 0.0), axes=(2,))
        here = b.op("equal", b.op("expand_dims", pixel, axes=(2,)), pixels)
        out.append(b.op("where", here, weight, 0.0))
    return out[0], out[1]


ROWS: dict[str, Any] = {
    "DeformConv": _deform_conv,
    "RoiAlign": _roi_align,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LpPool": _lp_pool,
    "GlobalAveragePool": _global_pool("mean"),
    "GlobalMaxPool": _global_pool("max"),
    "GlobalLpPool": _global_lp,
    "MaxUnpool": _max_unpool,
    "Col2Im": _col2im,
}
