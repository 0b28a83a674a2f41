"""Rules of the index analysis: views, parts joined and written, reading by indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Node, Value
from ..ir.dims import Expr, floordiv, product, provably_le
from ..ir.ops_shape import slice_range
from .index_arithmetic import Rule
from .index_terms import Dim, at_least_zero, either, every, index, is_zero, never_negative, own

# ---- views


def _view(places: Callable[[Node, tuple[Dim, ...]], Any]) -> Rule:
    """`places(node, indices of the result)` gives the indices into the operand, or None."""

    def rule(analysis: Any, node: Node, _: int) -> Any:
        shape = node.out.tensor.shape
        at = places(node, own(shape))
        return None if at is None else analysis.read(node.values[0], tuple(at), shape)

    return rule


def _transposed(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    return [at[node["axes"].index(a)] for a in range(len(at))]


def _sliced(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    axis = node["axis"]
    start, _, _ = slice_range(node.type(0).shape[axis], node["start"], node["stop"], 1)
    return [start + i * node["step"] if a == axis else i for a, i in enumerate(at)]


def _selected(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    place = node["index"]
    if isinstance(place, int) and place < 0:
        place = place + node.type(0).shape[node["axis"]]
    return [*at[: node["axis"]], place, *at[node["axis"] :]]


def _flipped(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    shape = node.type(0).shape
    return [shape[a] - 1 - i if a in node["axes"] else i for a, i in enumerate(at)]


def _squeezed(node: Node, at: tuple[Dim, ...]) -> list[Dim]:
    left = iter(at)
    return [0 if a in node["axes"] else next(left) for a in range(node.type(0).rank)]


def _reshaped(node: Node, at: tuple[Dim, ...]) -> list[Dim] | None:
    """Row-major places, group by group of axes with one product of sizes."""
    before, after = list(node.type(0).shape), list(node.out.tensor.shape)
    out: list[Dim] = []
    i = j = 0
    while i < len(before) or j < len(after):
        first, from_ = i, j
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while product(before[first:i]) != product(after[from_:j]):
            if i < len(before) and (
                j == len(after) or not _larger(before[first:i], after[from_:j])
            ):
                i += 1
            elif j < len(after):
                j += 1
            else:
                return None
        flat: Dim = 0
        for size, place in zip(after[from_:j], at[from_:j]):
            flat = flat * size + place
        out += _parted(flat, before[first:i])
    return out


def _larger(a: list[Dim], b: list[Dim]) -> bool:
    return provably_le(product(b), product(a))


def _parted(flat: Dim, sizes: list[Dim]) -> list[Dim]:
    """The places along axes of these sizes of a flat place."""
    long = [i for i, s in enumerate(sizes) if s != 1]
    out: list[Dim] = [0] * len(sizes)
    for place in reversed(long[1:]):
        out[place] = flat % sizes[place]
        flat = floordiv(flat, sizes[place])
    if long:
        out[long[0]] = flat
    return out


def _tiled(node: Node, at: tuple[Dim, ...]) -> list[Dim] | None:
    shape = node.type(0).shape
    if len(shape) != len(at):
        return None
    return [i if r == 1 else i % d for i, d, r in zip(at, shape, node["repeats"], strict=True)]


# ---- joining and writing


def _split(analysis: Any, node: Node, result: int) -> Any:
    shape = node.results[result].tensor.shape
    offset: Dim = sum(node["sizes"][1:result], start=node["sizes"][0]) if result else 0
    at = tuple(i + offset if a == node["axis"] else i for a, i in enumerate(own(shape)))
    return analysis.read(node.values[0], at, shape)


def _concatenated(analysis: Any, node: Node, _: int) -> Any:
    """The last part, below its start the one before it, and so on."""
    shape, axis = node.out.tensor.shape, node["axis"]
    place = index(axis, shape[axis])
    starts: list[Dim] = [0]
    for part in node.values[:-1]:
        starts.append(starts[-1] + part.tensor.shape[axis])
    terms = [
        analysis.read(
            part, tuple(place - s if a == axis else i for a, i in enumerate(own(shape))), shape
        )
        for part, s in zip(node.values, starts)
    ]
    out = terms[-1]
    for term, end in zip(reversed(terms[:-1]), reversed(starts)):
        out = either(at_least_zero(end - 1 - place, shape), term, out)
    return out


def _stacked(analysis: Any, node: Node, _: int) -> Any:
    shape, axis = node.out.tensor.shape, node["axis"]
    at = own(shape)
    inner = at[:axis] + at[axis + 1 :]
    terms = [analysis.read(v, inner, shape) for v in node.values]
    out = terms[-1]
    for i, term in reversed(list(enumerate(terms[:-1]))):
        out = either(is_zero(at[axis] - i, shape), term, out)
    return out


def _padded(analysis: Any, node: Node, _: int) -> Any:
    if node["mode"] != "constant":
        return None
    shape, inside = node.out.tensor.shape, node.type(0).shape
    at = tuple(i - low for i, low in zip(own(shape), node["low"]))
    within = every(
        *(at_least_zero(i, shape) for i in at),
        *(at_least_zero(d - 1 - i, shape) for i, d in zip(at, inside)),
    )
    kind = {"b": bool, "f": float}.get(node.out.tensor.dtype.value[0], int)
    return either(within, analysis.read(node.values[0], at, shape), kind(node["value"]))


def _written(analysis: Any, node: Node, _: int) -> Any:
    """`x[start:stop] = src` along one axis."""
    if node["step"] != 1 or not isinstance(node.operands[1], Value):
        return None
    shape, axis = node.out.tensor.shape, node["axis"]
    start, end, _length = slice_range(shape[axis], node["start"], node["stop"], 1)
    place = index(axis, shape[axis])
    at = tuple(i - start if a == axis else i for a, i in enumerate(own(shape)))
    within = every(at_least_zero(place - start, shape), at_least_zero(end - 1 - place, shape))
    return either(
        within,
        analysis.read(node.operands[1], at, shape),
        analysis.read(node.values[0], own(shape), shape),
    )


def _triangle(upper: bool) -> Rule:
    def rule(analysis: Any, node: Node, _: int) -> Any:
        shape = node.out.tensor.shape
        row, column = (index(a, shape[a]) for a in (len(shape) - 2, len(shape) - 1))
        kept = column - row - node["offset"] if upper else row + node["offset"] - column
        zero = {"b": False, "f": 0.0}.get(node.out.tensor.dtype.value[0], 0)
        x = analysis.read(node.values[0], own(shape), shape)
        return either(at_least_zero(kept, shape), x, zero)

    return rule


# ---- reading by indices


def _place(term: Any, size: Dim, shape: tuple[Dim, ...]) -> Dim | None:
    """A place in an axis of that size; negative numbers count from the end."""
    if not isinstance(term, int | Expr):
        return None
    if never_negative(term, shape):
        return term
    return term + size if never_negative(-term - 1, shape) else None


def _indexed(analysis: Any, node: Node, _: int) -> Any:
    axes, shape = node["axes"], node.out.tensor.shape
    indices = node.values[1:]
    wide = max(v.tensor.rank for v in indices)
    adjacent = list(axes) == list(range(axes[0], axes[0] + len(axes)))
    first = axes[0] if adjacent else 0
    at = own(shape)
    rest = iter(at[:first] + at[first + wide :])
    places: list[Dim] = []
    for axis, size in enumerate(node.type(0).shape):
        if axis not in axes:
            places.append(next(rest))
            continue
        chosen = indices[axes.index(axis)]
        term = analysis.read(chosen, at[first + wide - chosen.tensor.rank : first + wide], shape)
        place = _place(term, size, shape)
        if place is None:
            return None
        places.append(place)
    return analysis.read(node.values[0], tuple(places), shape)


def _taken(axis: Callable[[Node], int], source: int, chosen: int) -> Rule:
    def rule(analysis: Any, node: Node, _: int) -> Any:
        x, indices, shape = node.values[source], node.values[chosen], node.out.tensor.shape
        first, rank = axis(node), indices.tensor.rank
        at = own(shape)
        term = analysis.read(indices, at[first : first + rank], shape)
        place = _place(term, x.tensor.shape[first], shape)
        if place is None:
            return None
        return analysis.read(x, (*at[:first], place, *at[first + rank :]), shape)

    return rule


def _gathered(analysis: Any, node: Node, _: int) -> Any:
    shape = node.out.tensor.shape
    at = list(own(shape))
    place = _place(
        analysis.read(node.values[1], tuple(at), shape), node.type(0).shape[node["axis"]], shape
    )
    if place is None:
        return None
    at[node["axis"]] = place
    return analysis.read(node.values[0], tuple(at), shape)


VIEWS: dict[str, Rule] = {
    "reshape": _view(_reshaped),
    "transpose": _view(_transposed),
    "expand_dims": _view(lambda n, at: [i for a, i in enumerate(at) if a not in n["axes"]]),
    "squeeze": _view(_squeezed),
    "broadcast_to": _view(lambda n, at: at[len(at) - n.type(0).rank :]),
    "slice": _view(_sliced),
    "select": _view(_selected),
    "flip": _view(_flipped),
    "tile": _view(_tiled),
    "split": _split,
    "concatenate": _concatenated,
    "stack": _stacked,
    "pad": _padded,
    "slice_update": _written,
    "tril": _triangle(False),
    "triu": _triangle(True),
    "index": _indexed,
    "take": _taken(lambda n: n["axis"], 0, 1),
    "embedding": _taken(lambda n: 0, 0, 1),
    "gather": _gathered,
}
