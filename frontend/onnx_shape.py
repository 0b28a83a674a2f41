"""ONNX rows: shapes, parts, joining, creation. Sizes become dims, not nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import TranspileError
from ..ir import Builder, DType, Unequal, Value
from ..ir.dims import Expr, bounds, divide_exact, floordiv, maximum, minimum, product
from ..ir.op import axis_of
from .aten_common import expand_dims, permuted, reshaped, squeeze
from .data_sizes import place, span
from .onnx_math import to_dtype
from .onnx_values import Call, Host, Source, dims_host, host
from .ranges import check_place
from .solving import known_sign

Dim = int | Expr


def axis(x: Value, at: Any) -> int:
    """The axis counted from the front."""
    return axis_of(int(at), max(x.tensor.rank, 1))


def axes_of(c: Call, x: Value, given: Source, since: int) -> list[int] | None:
    """`axes`: an input from opset `since` on, an attribute before."""
    raw = c.attr("axes") if c.opset < since or given is None else c.ints(given, "axes")
    if raw is None:
        return None
    return [axis_of(int(a), max(x.tensor.rank, 1)) for a in raw]


def _shape(c: Call, x: Source) -> Host:
    assert x is not None
    shape = x.shape if isinstance(x, Host) else x.tensor.shape
    return dims_host([known_sign(d) for d in shape[slice(c.attr("start", 0), c.attr("end"))]])


def _size(c: Call, x: Source) -> Host:
    assert x is not None
    shape = x.shape if isinstance(x, Host) else x.tensor.shape
    array = np.empty((), object)
    array[()] = product(shape)
    return host(array, DType.i64)


def _reshape(c: Call, x: Source, shape: Source = None) -> Value:
    value = c.value(x)
    zeros = bool(c.attr("allowzero", 0))
    wanted = list(c.attr("shape")) if c.opset < 5 else c.elements(shape, "the shape")
    if any(isinstance(d, Value) for d in wanted):
        wanted = _found_shape(c, value, wanted, zeros)
    return reshape_to(c.b, value, wanted, zeros)


def _found_shape(c: Call, x: Value, wanted: list[Any], zeros: bool) -> list[Any]:
    """A shape that is data in part: what 0 and -1 stand for is put in before it is read."""
    b, old = c.b, x.tensor.shape
    sizes = list(wanted)
    for i, d in enumerate(wanted):
        if isinstance(d, Value):
            sizes[i] = wide = to_dtype(b, d, DType.i64)
            if not zeros and i < len(old):
                sizes[i] = b.op("where", b.op("equal", wide, 0), old[i], wide)
    if -1 in [d for d in wanted if isinstance(d, int)]:
        return [c.b.size(d) if isinstance(d, Value) else d for d in sizes]
    known: Any = 1
    for d in sizes:
        known = b.op("multiply", known, d) if _any_value(known, d) else known * d
    rest = b.op("floor_divide", product(old), b.op("negative", known))
    filled = [
        b.op("where", b.op("less", d, 0), rest, d) if isinstance(d, Value) else d for d in sizes
    ]
    return [c.b.size(d) if isinstance(d, Value) else d for d in filled]


def reshape_to(b: Builder, x: Value, wanted: Sequence[Any], allowzero: bool = False) -> Value:
    """0 keeps a dim (unless zeros are allowed), -1 is what is left."""
    old = x.tensor.shape
    shape = [
        old[i] if isinstance(d, int) and d == 0 and not allowzero else d
        for i, d in enumerate(wanted)
    ]
    if -1 in [d for d in shape if isinstance(d, int)]:
        free = next(i for i, d in enumerate(shape) if isinstance(d, int) and d == -1)
        known = product(d for i, d in enumerate(shape) if i != free)
        total = product(old)
        exact = divide_exact(total, known)
        if exact is None:
            _as_exported(old, shape, free)
        shape[free] = floordiv(total, known) if exact is None and known != 0 else exact or 0
    if any(isinstance(d, int) and d == 0 for d in shape):
        return b.op("full", shape=tuple(shape), value=0, dtype=x.tensor.dtype)
    return reshaped(b, x, shape)


def _as_exported(old: Sequence[Any], shape: Sequence[Any], free: int) -> None:
    """A free dim that the file reshapes to a number: it was exported for that size alone.

    The reshape keeps the shape where one dim has that size, and all others are equal already.
    """
    if len(old) > len(shape):
        old = [d for d in old if d != 1]
    if len(old) != len(shape):
        return
    other = [i for i, (a, d) in enumerate(zip(old, shape)) if i != free and a != d]
    if len(other) == 1 and isinstance(old[other[0]], Expr) and isinstance(shape[other[0]], int):
        raise Unequal(old[other[0]], shape[other[0]])


def _flatten(c: Call, x: Source) -> Value:
    value = c.value(x)
    at = c.attr("axis", 1)
    at = at + value.tensor.rank if at < 0 else at
    shape = value.tensor.shape
    return reshaped(c.b, value, (product(shape[:at]), product(shape[at:])))


def _squeeze(c: Call, x: Source, axes: Source = None) -> Value:
    value = c.value(x)
    listed = axes_of(c, value, axes, 13)
    if listed is None:
        for size in value.tensor.shape:
            if size != 1:
                check_place(1, size)  # a free axis stays: it has another size than 1
        listed = [i for i, d in enumerate(value.tensor.shape) if d == 1]
    return squeeze(c.b, value, *sorted(listed))


def _unsqueeze(c: Call, x: Source, axes: Source = None) -> Value:
    value = c.value(x)
    raw = c.attr("axes") if c.opset < 13 else c.ints(axes, "axes")
    rank = value.tensor.rank + len(raw)
    return expand_dims(c.b, value, *sorted(axis_of(int(a), rank) for a in raw))


def _transpose(c: Call, x: Source) -> Value:
    value = c.value(x)
    return permuted(c.b, value, c.attr("perm") or list(range(value.tensor.rank))[::-1])


def _expand(c: Call, x: Source, shape: Source) -> Value:
    """Sizes broadcast both ways."""
    value, wanted = c.value(x), c.dims(shape, "the shape")
    return broadcast_both(c.b, value, wanted)


def broadcast_both(b: Builder, x: Value, wanted: Sequence[Dim]) -> Value:
    rank = max(x.tensor.rank, len(wanted))
    old: list[Dim] = [*[1] * (rank - x.tensor.rank), *x.tensor.shape]
    new: list[Dim] = [*[1] * (rank - len(wanted)), *wanted]
    shape = tuple(a if n == 1 else n for a, n in zip(old, new, strict=True))
    return x if shape == x.tensor.shape else b.op("broadcast_to", x, shape=shape)


def _tile(c: Call, x: Source, repeats: Source) -> Value:
    value, counts = c.value(x), c.dims(repeats, "repeats")
    return value if all(r == 1 for r in counts) else c.b.op("tile", value, repeats=tuple(counts))


def _concat(c: Call, *xs: Source) -> Source:
    values = [c.value(x) for x in xs]
    if len(values) == 1:
        return values[0]
    return c.b.op("concatenate", *values, axis=axis(values[0], c.attr("axis", 1)))


def _split(c: Call, x: Source, sizes: Source = None) -> Any:
    value = c.value(x)
    at = axis(value, c.attr("axis", 0))
    given = c.attr("split") if c.opset < 13 else None
    parts = c.dims(sizes, "the sizes") if sizes is not None else given
    if parts is None:
        parts = _even(value.tensor.shape[at], c.attr("num_outputs", len(c.outputs)))
    if len(parts) == 1:
        return [value]
    return c.b.op("split", value, sizes=tuple(parts), axis=at)


def _even(size: Dim, count: int) -> list[Dim]:
    """Equal parts, the last one smaller where they do not divide."""
    part = -floordiv(-size, count)
    return [part] * (count - 1) + [size - part * (count - 1)]


# ---- slices


def _slice(c: Call, x: Source, *rest: Source) -> Value:
    value = c.value(x)
    if c.opset < 10:
        starts, ends = c.required("starts"), c.required("ends")
        axes, steps = c.attr("axes"), None
    else:
        given = [None if r is None else c.elements(r, "a bound of the slice") for r in rest]
        starts, ends, axes, steps = [*given, None, None][:4]
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, at, step in zip(starts, ends, axes, steps, strict=True):
        if isinstance(at, Value) or isinstance(step, Value):
            raise TranspileError(
                "the axes or steps of a slice are data", hint="compute its starts and ends only"
            )
        along = value.tensor.shape[axis(value, at)]
        start, end = (_found_place(c, e, along, int(step)) for e in (start, end))
        value = slice_axis(c.b, value, axis(value, at), start, end, int(step))
    return value


def _found_place(c: Call, bound: Any, size: Dim, step: int) -> Any:
    """A bound that is data is counted from the front and within the axis before it is read."""
    if not isinstance(bound, Value):
        return bound
    if step < 0:
        raise TranspileError("a slice backwards from data", hint="a step above 0 works")
    return place(c.b, bound, size)


def slice_axis(b: Builder, x: Value, at: int, start: Dim, end: Dim, step: int) -> Value:
    """`x[start:end:step]` along an axis with ONNX's clamping; a negative step reads backwards."""
    size = x.tensor.shape[at]
    if step < 0:
        return _backwards(b, x, at, start, end, step)
    start, end = _place(start, size), _place(end, size)
    stop = None if end == size else end
    if start == 0 and stop is None and step == 1:
        return x
    return b.op("slice", x, axis=at, start=start, stop=stop, step=step)


def _place(index: Dim, size: Dim) -> Dim:
    """A bound counted from the front and within the axis; an int that may be negative stays."""
    if isinstance(index, int):
        if isinstance(size, int):
            return min(max(index + size if index < 0 else index, 0), size)
        return size if index >= 2**31 - 1 else 0 if index <= -(2**31) else index
    _, high = bounds(index)
    if high is not None and high < 0:
        return maximum(index + size, 0)
    low, _ = bounds(known_sign(index))
    if low is not None and low >= 0:
        return minimum(index, size)
    raise TranspileError(
        f"a slice up to {index}: whether it is negative depends on the sizes of the inputs",
        hint="fix the dim with --input",
    )


def _backwards(b: Builder, x: Value, at: int, start: Dim, end: Dim, step: int) -> Value:
    """The axis is turned round; a place p becomes size - 1 - p."""
    size = x.tensor.shape[at]
    turned = b.op("flip", x, axes=(at,))

    def place(index: Dim) -> Dim:
        if not isinstance(index, int):
            return minimum(index, size - 1)
        if index <= -(2**31) + 1:
            return -1
        if index >= 2**31 - 1:
            return size - 1
        if isinstance(size, int):
            return max(min(index + size if index < 0 else index, size - 1), -1)
        return index + size if index < 0 else minimum(index, size - 1)

    first, last = size - 1 - place(start), size - 1 - place(end)
    if first == 0 and last == size and step == -1:
        return turned
    return b.op(
        "slice", turned, axis=at, start=first, stop=None if last == size else last, step=-step
    )


# ---- padding


_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def _pad(
    c: Call, x: Source, pads: Source = None, value: Source = None, axes: Source = None
) -> Value:
    out = c.value(x)
    if c.opset < 11:
        amounts: list[Any] = list(c.attr("pads") or c.attr("paddings"))
        fill: Any = float(c.attr("value", 0.0))
    else:
        amounts = c.dims(pads, "the padding")
        fill = 0 if value is None else c.operand(value, 1)
    rank = out.tensor.rank
    listed = list(range(rank)) if axes is None else [axis(out, a) for a in c.ints(axes, "axes")]
    low: list[Any] = [0] * rank
    high: list[Any] = [0] * rank
    for i, at in enumerate(listed):
        low[at], high[at] = amounts[i], amounts[i + len(listed)]
    return pad(c.b, out, low, high, fill, _MODES[c.attr("mode", "constant")])


def pad(
    b: Builder, x: Value, low: Sequence[Any], high: Sequence[Any], fill: Any = 0,
    mode: str = "constant",
) -> Value:  # fmt: skip
    """Padding on both ends of each axis; a negative amount cuts."""
    for at, (a, z) in enumerate(zip(low, high, strict=True)):
        start = -a if isinstance(a, int) and a < 0 else 0
        cut = -z if isinstance(z, int) and z < 0 else 0
        if start or cut:
            x = b.op("slice", x, axis=at, start=start, stop=x.tensor.shape[at] - cut)
    low, high = (
        [0 if isinstance(v, int) and v < 0 else known_sign(v) for v in part] for part in (low, high)
    )
    if all(isinstance(v, int) and v == 0 for v in (*low, *high)):
        return x
    if isinstance(fill, Value):
        return _pad_with(b, x, low, high, fill)
    if x.tensor.dtype is DType.bool and mode == "constant":
        fill = bool(fill)
    return b.op("pad", x, low=tuple(low), high=tuple(high), value=fill, mode=mode)


def _pad_with(b: Builder, x: Value, low: Sequence[Any], high: Sequence[Any], fill: Value) -> Value:
    """A fill that is known at run time only."""
    inside = b.op("full", shape=x.tensor.shape, value=True, dtype=DType.bool)
    mask = b.op("pad", inside, low=tuple(low), high=tuple(high), value=False)
    padded = b.op("pad", x, low=tuple(low), high=tuple(high), value=0)
    return b.op("where", mask, padded, reshaped(b, fill, ()))


def _center_crop_pad(c: Call, x: Source, shape: Source) -> Value:
    value, wanted = c.value(x), c.dims(shape, "the shape")
    given = c.attr("axes")
    listed = list(range(value.tensor.rank)) if given is None else [axis(value, a) for a in given]
    low: list[Any] = [0] * value.tensor.rank
    high = list(low)
    for at, target in zip(listed, wanted, strict=True):
        extra = target - value.tensor.shape[at]
        if not isinstance(extra, int):
            raise TranspileError("cropping and padding need fixed sizes", hint="fix the dim")
        if extra >= 0:
            low[at], high[at] = extra // 2, extra - extra // 2
        else:
            low[at], high[at] = -((-extra) // 2), extra + (-extra) // 2
    return pad(c.b, value, low, high)


# ---- space and depth


def _depth_to_space(c: Call, x: Source) -> Value:
    value, size = c.value(x), c.required("blocksize")
    n, channels, height, width = value.tensor.shape
    depth = floordiv(channels, size * size)
    if c.attr("mode", "DCR") == "DCR":
        out = reshaped(c.b, value, (n, size, size, depth, height, width))
        out = permuted(c.b, out, [0, 3, 4, 1, 5, 2])
    else:
        out = reshaped(c.b, value, (n, depth, size, size, height, width))
        out = permuted(c.b, out, [0, 1, 4, 2, 5, 3])
    return reshaped(c.b, out, (n, depth, height * size, width * size))


def _space_to_depth(c: Call, x: Source) -> Value:
    value, size = c.value(x), c.required("blocksize")
    n, channels, height, width = value.tensor.shape
    rows, columns = floordiv(height, size), floordiv(width, size)
    out = reshaped(c.b, value, (n, channels, rows, size, columns, size))
    crd = c.attr("mode", "DCR") == "CRD"
    out = permuted(c.b, out, [0, 1, 3, 5, 2, 4] if crd else [0, 3, 5, 1, 2, 4])
    return reshaped(c.b, out, (n, channels * size * size, rows, columns))


# ---- creation


def _constant(c: Call) -> Host:
    for name, dtype in (("value_float", DType.f32), ("value_floats", DType.f32),
                        ("value_int", DType.i64), ("value_ints", DType.i64)):  # fmt: skip
        if name in c.attrs:
            return host(np.asarray(c.attrs[name], dtype.numpy), dtype)
    value = c.attr("value")
    if not isinstance(value, Host):
        raise TranspileError("a constant that is no dense tensor of numbers")
    return value


def _constant_of_shape(c: Call, shape: Source) -> Value:
    value = c.attr("value")
    number, dtype = (0.0, DType.f32) if value is None else (value.number, value.dtype)
    return c.b.op("full", shape=tuple(c.dims(shape, "the shape")), value=number, dtype=dtype)


def _range(c: Call, start: Source, limit: Source, delta: Source) -> Value:
    if any(isinstance(v, Value) for v in (start, limit, delta)):
        return _found_range(c, start, limit, delta)
    numbers = [c.scalar(v, "a bound of the range") for v in (start, limit, delta)]
    dtype = start.dtype if isinstance(start, Host) else c.value(start).tensor.dtype
    return c.b.op("arange", start=numbers[0], stop=numbers[1], step=numbers[2], dtype=dtype)


def _found_range(c: Call, start: Source, limit: Source, delta: Source) -> Value:
    """Bounds that are data: the number of elements is computed, and read."""
    for x in (start, limit, delta):
        if isinstance(x, Value):
            c.found(x, "a bound")
    b, number = c.b, c.operand
    given = [
        x if isinstance(x, Host) else reshaped(b, c.value(x), ()) for x in (start, limit, delta)
    ]
    dtype = next(x.tensor.dtype for x in given if isinstance(x, Value))
    first, end, step = (number(x) for x in given)
    return span(b, first, end, step, dtype)


def _any_value(*items: Any) -> bool:
    return any(isinstance(x, Value) for x in items)


def _eye_like(c: Call, x: Source) -> Value:
    from .onnx_read import dtype_of

    value = c.value(x)
    kind = c.attr("dtype")
    dtype = value.tensor.dtype if kind is None else dtype_of(kind, "EyeLike")
    rows, columns = value.tensor.shape
    offset = c.attr("k", 0)
    if not offset:
        return c.b.op("eye", rows=rows, columns=columns, dtype=dtype)
    down = c.b.op("arange", start=0, stop=rows, dtype=DType.i32)
    along = c.b.op("arange", start=0, stop=columns, dtype=DType.i32)
    shifted = c.b.op("expand_dims", c.b.op("add", down, offset), axes=(1,))
    return c.b.op("cast", c.b.op("equal", shifted, along), dtype=dtype)


def _trilu(c: Call, x: Source, k: Source = None) -> Value:
    value = c.value(x)
    offset = 0 if k is None else c.dims(k, "the diagonal")[0]
    op = "triu" if c.attr("upper", 1) else "tril"
    if isinstance(offset, int):
        offset = max(min(offset, 2**30), -(2**30))
    if value.tensor.dtype is DType.bool:
        small = c.b.op(op, c.b.op("cast", value, dtype=DType.u8), offset=offset)
        return c.b.op("not_equal", small, 0)
    return c.b.op(op, value, offset=offset)


ROWS: dict[str, Any] = {
    "Shape": _shape,
    "Size": _size,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Expand": _expand,
    "Tile": _tile,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "CenterCropPad": _center_crop_pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "EyeLike": _eye_like,
    "Trilu": _trilu,
}
