"""ATen rows: views, joins, splits, padding by constants; nothing is computed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from ..ir.dims import Expr, bounds, divide_exact, floordiv, minimum, product
from .aten_common import (
    Dims,
    Row,
    axes,
    axis,
    expand_dims,
    need,
    permuted,
    reshaped,
    sliced,
    squeeze,
    static,
    swapped,
    tensor,
)
from .promotion import cast, is_host, result_type
from .ranges import counted
from .solving import known_sign
from .strides import as_strided

END = 2**62  # torch writes the end of an open slice as the largest int64


def _view(b: Builder, self: Value, size: Any) -> Value:
    if isinstance(size, DType):
        need(
            size is self.tensor.dtype, f"a view of {self.tensor.dtype} as {size} reinterprets bits"
        )
        return self
    return _reshape(b, self, size)


def _reshape(b: Builder, self: Any, shape: Dims) -> Value:
    self = tensor(b, self)
    free = next((i for i, d in enumerate(shape) if d == -1), None)
    if free is None:
        return reshaped(b, self, shape)
    rest = product(d for i, d in enumerate(shape) if i != free)
    total = product(self.tensor.shape)
    exact = divide_exact(total, rest)
    size = floordiv(total, rest) if exact is None else exact
    return reshaped(b, self, [size if i == free else d for i, d in enumerate(shape)], free)


def _view_as(b: Builder, self: Value, other: Value) -> Value:
    return reshaped(b, self, other.tensor.shape)


def flatten(b: Builder, self: Any, start_dim: int = 0, end_dim: int = -1) -> Value:
    self = tensor(b, self)
    shape = self.tensor.shape
    if not shape:
        return b.op("reshape", self, shape=(1,))
    first, end = axis(self, start_dim), axis(self, end_dim) + 1
    return reshaped(b, self, (*shape[:first], product(shape[first:end]), *shape[end:]), first)


def _unflatten(b: Builder, self: Value, dim: int, sizes: Dims) -> Value:
    at, shape = axis(self, dim), self.tensor.shape
    free = next((i for i, d in enumerate(sizes) if d == -1), None)
    if free is not None:
        rest = product(d for d in sizes if d != -1)
        sizes = [floordiv(shape[at], rest) if d == -1 else d for d in sizes]
    return reshaped(
        b, self, (*shape[:at], *sizes, *shape[at + 1 :]), None if free is None else at + free
    )


def _transpose(b: Builder, self: Value, dim0: int, dim1: int) -> Value:
    return swapped(b, self, axis(self, dim0), axis(self, dim1)) if self.tensor.rank else self


def _t(b: Builder, self: Value) -> Value:
    return swapped(b, self, 0, 1) if self.tensor.rank == 2 else self


def _numpy_t(b: Builder, self: Value) -> Value:
    return permuted(b, self, list(reversed(range(self.tensor.rank))))


def _permute(b: Builder, self: Value, dims: Sequence[int]) -> Value:
    return permuted(b, self, [axis(self, d) for d in dims])


def _movedim(b: Builder, self: Value, source: Any, destination: Any) -> Value:
    sources = [axis(self, d) for d in ([source] if isinstance(source, int) else source)]
    places = [
        axis(self, d) for d in ([destination] if isinstance(destination, int) else destination)
    ]
    order = [a for a in range(self.tensor.rank) if a not in sources]
    for place, source_axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, source_axis)
    return permuted(b, self, order)


def _unsqueeze(b: Builder, self: Any, dim: int) -> Value:
    self = tensor(b, self)
    return expand_dims(b, self, dim % (self.tensor.rank + 1))


def _squeeze(b: Builder, self: Any, dim: int | Sequence[int] | None = None) -> Any:
    """Drops axes of size 1; other axes stay. A symbolic size counts as not 1."""
    if is_host(self):
        return self
    return squeeze(b, self, *(a for a in axes(self, dim) if self.tensor.shape[a] == 1))


def expand(b: Builder, self: Any, size: Dims, *, implicit: bool = False) -> Value:
    self = tensor(b, self)
    shape, lead = self.tensor.shape, len(size) - self.tensor.rank
    full = tuple(shape[i - lead] if d == -1 else d for i, d in enumerate(size))
    return self if full == shape else b.op("broadcast_to", self, shape=full)


def _expand_as(b: Builder, self: Value, other: Value) -> Value:
    return expand(b, self, other.tensor.shape)


def broadcast_tensors(b: Builder, tensors: Sequence[Value]) -> tuple[Value, ...]:
    from ..ir.op import broadcast

    shape = broadcast(*(t.tensor.shape for t in tensors))
    return tuple(expand(b, t, shape) for t in tensors)


def _repeat(b: Builder, self: Value, repeats: Dims) -> Value:
    self = expand_dims(b, self, *range(len(repeats) - self.tensor.rank))
    return self if all(r == 1 for r in repeats) else b.op("tile", self, repeats=tuple(repeats))


def _tile(b: Builder, self: Value, dims: Dims) -> Value:
    return _repeat(b, self, [*[1] * (self.tensor.rank - len(dims)), *dims])


# ---- parts


def _slice(
    b: Builder, self: Value, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Value:
    at = axis(self, dim)
    size = self.tensor.shape[at]
    start = 0 if start is None else start
    length = counted(b, start, end, size) if step == 1 else None
    if length is not None:
        return _counted_slice(b, self, at, start, length)
    if end is None or _reaches(end, size):
        end = None
    if start == 0 and end is None and step == 1:
        return self
    return b.op("slice", self, axis=at, start=start, stop=end, step=step)


def _counted_slice(b: Builder, x: Value, at: int, start: Expr, length: int) -> Value:
    """A part of fixed length whose place a loop counts."""
    if length == 1:
        return expand_dims(b, b.op("select", x, axis=at, index=start), at)
    places = b.op("add", b.op("arange", stop=length, dtype=DType.i64), start)
    taken: Value = b.op("take", x, places, axis=at)
    return taken


def _reaches(end: int | Expr, size: int | Expr) -> bool:
    """Whether the end is at or past the axis's end for all sizes."""
    if isinstance(end, int) and end < 0:
        return False
    return (isinstance(end, int) and end >= END) or minimum(end, size) == size


def select(b: Builder, self: Value, dim: int, index: Any) -> Value:
    at = axis(self, dim)
    if isinstance(index, Value):
        return b.op("take", self, index, axis=at)
    return b.op("select", self, axis=at, index=index)


def _narrow(b: Builder, self: Value, dim: int, start: Any, length: Any) -> Value:
    if isinstance(start, int) and start < 0:
        start = start + self.tensor.shape[axis(self, dim)]
    return _slice(b, self, dim, start, start + length)


def _split_sizes(b: Builder, self: Value, split_sizes: Dims, dim: int = 0) -> tuple[Value, ...]:
    at = axis(self, dim)
    if len(split_sizes) == 1:
        return (self,)
    return b.op("split", self, sizes=tuple(split_sizes), axis=at)


def _split(b: Builder, self: Value, split_size: Any, dim: int = 0) -> tuple[Value, ...]:
    if isinstance(split_size, list | tuple):
        return _split_sizes(b, self, split_size, dim)
    size = self.tensor.shape[axis(self, dim)]
    count = static(floordiv(size + split_size - 1, split_size), "the number of parts of a split")
    return _split_sizes(
        b, self, [*[split_size] * (count - 1), size - split_size * (count - 1)], dim
    )


def _chunk(b: Builder, self: Value, chunks: int, dim: int = 0) -> tuple[Value, ...]:
    """At most `chunks` parts of one size, the last one smaller.

    The number of parts of a symbolic axis is `chunks`: at sizes where torch gives fewer, the
    source's own code, which has `chunks` results, fails too.
    """
    size = self.tensor.shape[axis(self, dim)]
    part = floordiv(size + chunks - 1, chunks)
    if isinstance(size, int):
        return _split(b, self, part, dim)
    return _split_sizes(b, self, [*[part] * (chunks - 1), size - part * (chunks - 1)], dim)


def _tensor_split(b: Builder, self: Value, sections: Any, dim: int = 0) -> tuple[Value, ...]:
    size = self.tensor.shape[axis(self, dim)]
    if isinstance(sections, int):
        parts = [floordiv(size + sections - 1 - i, sections) for i in range(sections)]
        return _split_sizes(b, self, parts, dim)
    points = [0, *sections, size]
    return _split_sizes(b, self, [stop - start for start, stop in pairwise(points)], dim)


def _unbind(b: Builder, self: Value, dim: int = 0) -> tuple[Value, ...]:
    at = axis(self, dim)
    count = static(self.tensor.shape[at], "the number of parts of unbind")
    return tuple(b.op("select", self, axis=at, index=i) for i in range(count))


def _diagonal(b: Builder, self: Value, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Value:
    return b.op("diagonal", self, offset=offset, axis1=axis(self, dim1), axis2=axis(self, dim2))


def _unfold(b: Builder, self: Value, dimension: int, size: int, step: int) -> Value:
    """Windows of an axis: [..., windows, ..., size], the window's own axis last."""
    return b.op("windows", self, axis=axis(self, dimension), size=size, step=step)


# ---- joins


def _cat(b: Builder, tensors: Sequence[Any], dim: int = 0) -> Value:
    """Joined along an axis, at the common type; torch's empty 1-d placeholders fall away."""
    parts = [tensor(b, t) for t in tensors]
    kept = [t for t in parts if t.tensor.shape != (0,)] or parts[:1]
    dtype = result_type(*parts)
    at = axis(kept[0], dim)
    parts = [cast(b, t, dtype) for t in kept]
    return parts[0] if len(parts) == 1 else b.op("concatenate", *parts, axis=at)


def _stack(b: Builder, tensors: Sequence[Any], dim: int = 0) -> Value:
    dtype = result_type(*tensors)
    parts = [tensor(b, t, dtype) for t in tensors]
    return b.op("stack", *parts, axis=dim % (parts[0].tensor.rank + 1))


def _join_along(where: int, least: int) -> Row:
    """hstack, vstack and dstack: at least `least` axes, joined along axis `where`."""

    def row(b: Builder, tensors: Sequence[Value]) -> Value:
        parts = [t if t.tensor.rank >= least else _at_least(b, t, least) for t in tensors]
        return _cat(b, parts, min(where, parts[0].tensor.rank - 1))

    return row


def _at_least(b: Builder, x: Value, rank: int) -> Value:
    if rank == 1 or x.tensor.rank >= rank:
        return x if x.tensor.rank >= rank else expand_dims(b, x, 0)
    if x.tensor.rank == 0:
        x = expand_dims(b, x, 0)
    if x.tensor.rank == 1:
        x = expand_dims(b, x, 0)
    return x if rank == 2 or x.tensor.rank == 3 else expand_dims(b, x, 2)


def _meshgrid(b: Builder, tensors: Sequence[Value], indexing: str = "ij") -> tuple[Value, ...]:
    sizes = [product(t.tensor.shape) for t in tensors]
    order = list(range(len(tensors)))
    if indexing == "xy" and len(order) > 1:
        order[0], order[1] = 1, 0
    shape = [sizes[i] for i in order]
    out = []
    for i, t in enumerate(tensors):
        place = order.index(i)
        view = reshaped(b, t, [sizes[i] if j == place else 1 for j in range(len(shape))])
        out.append(expand(b, view, shape))
    return tuple(out)


# ---- padding, order


def _constant_pad(b: Builder, self: Value, pad: Dims, value: Any = 0) -> Value:
    """torch lists pads from the last axis on, low then high; negative pads crop."""
    rank = self.tensor.rank
    low: list[Any] = [0] * rank
    high: list[Any] = [0] * rank
    for i in range(len(pad) // 2):
        low[rank - 1 - i], high[rank - 1 - i] = pad[2 * i], pad[2 * i + 1]
    for at in range(rank):
        first, end = _crop(low[at]), _crop(high[at])
        if first or end:
            size = self.tensor.shape[at]
            self = sliced(b, self, at, first, size - end if end else None)
            low[at], high[at] = (0 if first else low[at]), (0 if end else high[at])
    if not any(low) and not any(high):
        return self
    number = cast(b, value or 0, self.tensor.dtype)
    return b.op("pad", self, low=tuple(low), high=tuple(high), value=number)


def _crop(pad: int | Expr) -> int | Expr:
    """How much a pad removes: a negative one, as a positive number."""
    if isinstance(pad, int):
        return max(-pad, 0)
    low, high = bounds(pad)
    if high is not None and high <= 0:
        return -pad
    low, _ = bounds(known_sign(pad))
    if low is None or low < 0:
        raise TranspileError(
            f"a padding of {pad} may be negative or not",
            hint="give bounds to the sizes, or capture the model with them fixed",
        )
    return 0


def _mode_pad(mode: str) -> Row:
    """Padding that reads the tensor itself: edge or reflect or wrap."""

    def row(b: Builder, self: Value, padding: Dims) -> Value:
        rank, count = self.tensor.rank, len(padding) // 2
        at = [rank - 1 - i for i in range(count)]
        low: list[Any] = [0] * rank
        high: list[Any] = [0] * rank
        for i, place in enumerate(at):
            low[place], high[place] = padding[2 * i], padding[2 * i + 1]
        if not any(low) and not any(high):
            return self
        return b.op("pad", self, low=tuple(low), high=tuple(high), mode=mode)

    return row


_MODES = {
    "replicate": _mode_pad("edge"),
    "reflect": _mode_pad("reflect"),
    "circular": _mode_pad("wrap"),
}


def pad_by_mode(
    b: Builder, self: Value, pad: Dims, mode: str = "constant", value: Any = None
) -> Value:
    if mode == "constant":
        return _constant_pad(b, self, pad, value)
    return _MODES[mode](b, self, pad)


def _flip(b: Builder, self: Value, dims: Any) -> Value:
    places = axes(self, dims) if dims != [] and dims != () else ()
    return b.op("flip", self, axes=places) if places else self


def _roll(b: Builder, self: Value, shifts: Any, dims: Any = ()) -> Value:
    shifts = [shifts] if isinstance(shifts, int | Expr) else list(shifts)
    dims = [dims] if isinstance(dims, int) else list(dims or ())
    if not dims:
        shape = self.tensor.shape
        return reshaped(b, _roll(b, flatten(b, self), shifts, [0]), shape)
    pairs = [(s, axis(self, d)) for s, d in zip(shifts, dims, strict=True) if s != 0]
    if not pairs:
        return self
    return b.op("roll", self, shifts=tuple(s for s, _ in pairs), axes=tuple(a for _, a in pairs))


def _rot90(b: Builder, self: Value, k: int = 1, dims: Sequence[int] = (0, 1)) -> Value:
    first, second = (axis(self, d) for d in dims)
    if k % 4 == 2:
        return _flip(b, self, [first, second])
    if k % 4 == 1:
        return swapped(b, _flip(b, self, [second]), first, second)
    return _flip(b, swapped(b, self, first, second), [second]) if k % 4 == 3 else self


def _pixel_shuffle(b: Builder, self: Value, upscale_factor: int) -> Value:
    """[*, C * r * r, H, W] to [*, C, H * r, W * r]."""
    *lead, channels, height, width = self.tensor.shape
    r, n = upscale_factor, len(lead)
    c = floordiv(channels, r * r)
    x = reshaped(b, self, (*lead, c, r, r, height, width))
    x = permuted(b, x, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return reshaped(b, x, (*lead, c, height * r, width * r))


def _pixel_unshuffle(b: Builder, self: Value, downscale_factor: int) -> Value:
    *lead, c, height, width = self.tensor.shape
    r, n = downscale_factor, len(lead)
    x = reshaped(b, self, (*lead, c, floordiv(height, r), r, floordiv(width, r), r))
    x = permuted(b, x, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return reshaped(b, x, (*lead, c * r * r, floordiv(height, r), floordiv(width, r)))


def _channel_shuffle(b: Builder, self: Value, groups: int) -> Value:
    n, c, *rest = self.tensor.shape
    x = reshaped(b, self, (n, groups, floordiv(c, groups), *rest))
    return reshaped(b, swapped(b, x, 1, 2), self.tensor.shape)


def _diff(
    b: Builder, self: Value, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None
) -> Value:
    parts = [p for p in (prepend, self, append) if p is not None]
    x = _cat(b, parts, dim) if len(parts) > 1 else self
    for _ in range(n):
        late, early = _slice(b, x, dim, 1), _slice(b, x, dim, 0, -1)
        op = "bitwise_xor" if x.tensor.dtype is DType.bool else "subtract"
        x = b.op(op, late, early)
    return x


_concat: Row = _cat

ROWS: dict[str, Row] = {
    "view": _view,
    "_unsafe_view": _view,
    "reshape": _reshape,
    "view_as": _view_as,
    "reshape_as": _view_as,
    "view_copy": _view,
    "_reshape_copy": _reshape,
    "_reshape_alias": lambda b, self, size, stride: _reshape(b, self, size),
    "flatten": flatten,
    "ravel": flatten,
    "unflatten": _unflatten,
    "transpose": _transpose,
    "transpose_copy": _transpose,
    "swapaxes": _transpose,
    "swapdims": _transpose,
    "t": _t,
    "t_copy": _t,
    "numpy_T": _numpy_t,
    "adjoint": lambda b, self: _transpose(b, self, -2, -1),
    "mT": lambda b, self: _transpose(b, self, -2, -1),
    "matrix_H": lambda b, self: _transpose(b, self, -2, -1),
    "permute": _permute,
    "permute_copy": _permute,
    "movedim": _movedim,
    "moveaxis": _movedim,
    "unsqueeze": _unsqueeze,
    "unsqueeze_copy": _unsqueeze,
    "squeeze": _squeeze,
    "squeeze_copy": _squeeze,
    "expand": expand,
    "expand_copy": expand,
    "expand_as": _expand_as,
    "broadcast_to": expand,
    "broadcast_tensors": broadcast_tensors,
    "repeat": _repeat,
    "tile": _tile,
    "slice": _slice,
    "slice_copy": _slice,
    "select": select,
    "select_copy": select,
    "narrow": _narrow,
    "narrow_copy": _narrow,
    "split": _split,
    "split_with_sizes": _split_sizes,
    "split_copy": _split,
    "split_with_sizes_copy": _split_sizes,
    "unsafe_split": _split,
    "unsafe_split_with_sizes": _split_sizes,
    "chunk": _chunk,
    "unsafe_chunk": _chunk,
    "tensor_split": _tensor_split,
    "unbind": _unbind,
    "unbind_copy": _unbind,
    "diagonal": _diagonal,
    "diagonal_copy": _diagonal,
    "unfold": _unfold,
    "unfold_copy": _unfold,
    "cat": _cat,
    "concat": _concat,
    "concatenate": _concat,
    "stack": _stack,
    "hstack": _join_along(1, 1),
    "vstack": _join_along(0, 2),
    "dstack": _join_along(2, 3),
    "atleast_1d": lambda b, self: _at_least(b, self, 1),
    "atleast_2d": lambda b, self: _at_least(b, self, 2),
    "atleast_3d": lambda b, self: _at_least(b, self, 3),
    "meshgrid": _meshgrid,
    "constant_pad_nd": _constant_pad,
    "pad": pad_by_mode,
    **{f"reflection_pad{n}d": _MODES["reflect"] for n in (1, 2, 3)},
    **{f"replication_pad{n}d": _MODES["replicate"] for n in (1, 2, 3)},
    "_pad_circular": _MODES["circular"],
    "flip": _flip,
    "fliplr": lambda b, self: _flip(b, self, [1]),
    "flipud": lambda b, self: _flip(b, self, [0]),
    "roll": _roll,
    "rot90": _rot90,
    "as_strided": as_strided,
    "pixel_shuffle": _pixel_shuffle,
    "pixel_unshuffle": _pixel_unshuffle,
    "channel_shuffle": _channel_shuffle,
    "native_channel_shuffle": _channel_shuffle,
    "diff": _diff,
}
