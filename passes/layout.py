"""How each op computes on operands whose axes are permuted.

A `View` says that an old value is `transpose(base, axes)` of a value that exists. A rule takes a
node with such operands and gives views of its results, having emitted the op on the bases; None
where it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir import Node, Value
from ..ir.dims import Expr, divide_exact, product
from .rebuild import is_param

if TYPE_CHECKING:
    from .sink_transposes import Sinker

Axes = tuple[int, ...]
Dim = int | Expr


@dataclass(frozen=True)
class View:
    """The value is `transpose(base, axes)`."""

    base: Value
    axes: Axes


Rule = Callable[["Sinker", Node], "list[View] | None"]


def identity(rank: int) -> Axes:
    return tuple(range(rank))


def inverse(axes: Axes) -> Axes:
    return tuple(axes.index(i) for i in range(len(axes)))


def compose(first: Axes, second: Axes) -> Axes:
    """The axes of `transpose(transpose(x, first), second)`."""
    return tuple(first[a] for a in second)


def compress(axes: Sequence[int]) -> Axes:
    """The same order counted without the axes that are gone."""
    order = sorted(axes)
    return tuple(order.index(a) for a in axes)


def moves_only_ones(shape: Sequence[Dim], axes: Axes) -> bool:
    """Whether the permutation keeps the order of all axes longer than 1: then it is a reshape."""
    kept = [a for a in axes if shape[a] != 1]
    return kept == sorted(kept)


def repeated(x: Value, axes: Axes) -> tuple[Dim, ...] | None:
    """The shape before repetition of `transpose(x, axes)`, where x repeats a value along axes of
    size 1 and the others keep their order: then it can be repeated in that layout instead.
    """
    if x.node is None or x.node.op not in ("tile", "broadcast_to"):
        return None
    inner = x.node.values[0].tensor.shape
    shape = (*[1] * (len(axes) - len(inner)), *inner)
    return tuple(shape[a] for a in axes) if moves_only_ones(shape, axes) else None


def extend(axes: Axes, rank: int) -> Axes:
    """The permutation with axes added in front, as broadcasting adds them."""
    more = rank - len(axes)
    return (*range(more), *(a + more for a in axes))


# ---- rules


def elementwise(s: Sinker, node: Node) -> list[View] | None:
    rank = node.out.tensor.rank
    views = [s.view(o) if isinstance(o, Value) else None for o in node.operands]
    axes = _best(s, [(v, extend(v.axes, rank)) for v in views if v], rank)
    if axes == identity(rank):
        return None
    operands = [_laid_out(s, v, axes, node) if v else o for v, o in zip(views, node.operands)]
    out = s.emit(node.op, *operands, like=node, **node.attrs)
    return [View(out, axes)]


def _best(s: Sinker, views: list[tuple[View, Axes]], rank: int) -> Axes:
    """The layout that costs least; where layouts cost the same, an eager sinker moves on."""

    def cost(axes: Axes) -> float:
        return sum(_cost(view, own, axes) for view, own in views)

    moved = [own for _, own in views if own != identity(rank)]
    candidates = [*moved, identity(rank)] if s.eager else [identity(rank), *moved]
    return min(candidates, key=cost)


def _cost(view: View, own: Axes, wanted: Axes) -> float:
    """What it takes to have the view in another layout: 1 for a transpose."""
    shape = (*[1] * (len(own) - view.base.tensor.rank), *view.base.tensor.shape)
    order = compose(own, inverse(wanted))
    if own == wanted or order == identity(len(order)) or all(d == 1 for d in shape):
        return 0
    if is_param(view.base) or (len(shape) == len(view.axes) and repeated(view.base, order)):
        return 0.01
    return 0.25 if moves_only_ones(shape, order) else 1


def _laid_out(s: Sinker, view: View, axes: Axes, like: Node) -> Value:
    """A value that broadcasts like the view once the result is transposed by `axes`."""
    rank = len(axes)
    own = extend(view.axes, rank)
    if own == axes:
        return view.base
    order = compose(own, inverse(axes))
    shape: tuple[Dim, ...] = (*[1] * (rank - view.base.tensor.rank), *view.base.tensor.shape)
    if moves_only_ones(shape, order):
        return s.reshaped(view.base, _without_leading_ones([shape[a] for a in order]), like)
    return s.permuted(s.reshaped(view.base, shape, like), order, like)


def _without_leading_ones(shape: list[Dim]) -> tuple[Dim, ...]:
    while shape and shape[0] == 1:
        shape = shape[1:]
    return tuple(shape)


def same_axes(s: Sinker, node: Node) -> list[View] | None:
    """Ops along axes that keep the rank: softmax, cumsum, flip, split, slice."""
    view = s.view(node.operands[0])
    attrs = dict(node.attrs)
    for name in ("axis", "axes"):
        if attrs.get(name) is not None:
            attrs[name] = _through(view.axes, attrs[name])
    results = s.emit(node.op, view.base, *node.operands[1:], like=node, **attrs)
    return [View(r, view.axes) for r in (results if isinstance(results, tuple) else [results])]


def _through(axes: Axes, attr: int | Axes) -> int | Axes:
    return axes[attr] if isinstance(attr, int) else tuple(axes[a] for a in attr)


def _in_order(attr: int | Axes) -> int | Axes:
    return attr if isinstance(attr, int) else tuple(sorted(attr))


def reduction(s: Sinker, node: Node) -> list[View] | None:
    view = s.view(node.operands[0])
    name = "axes" if "axes" in node.attrs else "axis"
    reduced = node.attrs[name]
    if reduced is None:
        return None
    attrs = {**node.attrs, name: _in_order(_through(view.axes, reduced))}
    out = s.emit(node.op, view.base, *node.operands[1:], like=node, **attrs)
    if node.out.tensor.rank == node.type(0).rank:
        return [View(out, view.axes)]
    gone = {reduced} if isinstance(reduced, int) else set(reduced)
    return [View(out, compress([a for i, a in enumerate(view.axes) if i not in gone]))]


def select(s: Sinker, node: Node) -> list[View] | None:
    view = s.view(node.operands[0])
    out = s.emit("select", view.base, like=node, axis=view.axes[node["axis"]], index=node["index"])
    return [View(out, compress([a for i, a in enumerate(view.axes) if i != node["axis"]]))]


def squeeze(s: Sinker, node: Node) -> list[View] | None:
    view = s.view(node.operands[0])
    out = s.emit(
        "squeeze", view.base, like=node, axes=tuple(sorted(view.axes[a] for a in node["axes"]))
    )
    return [View(out, compress([a for i, a in enumerate(view.axes) if i not in node["axes"]]))]


def expand_dims(s: Sinker, node: Node) -> list[View] | None:
    view, new = s.view(node.operands[0]), node["axes"]
    old = [i for i in range(node.out.tensor.rank) if i not in new]
    axes = list(identity(node.out.tensor.rank))
    for i, a in zip(old, view.axes):
        axes[i] = old[a]
    return [View(s.emit("expand_dims", view.base, like=node, axes=new), tuple(axes))]


def joined(s: Sinker, node: Node) -> list[View] | None:
    """Concatenation of operands in one layout."""
    views = [s.view(o) for o in node.operands]
    rank = node.out.tensor.rank
    axes = _best(s, [(v, v.axes) for v in views], rank)
    if axes == identity(rank):
        return None
    operands = [s.permuted(v.base, compose(v.axes, inverse(axes)), node) for v in views]
    return [View(s.emit("concatenate", *operands, like=node, axis=axes[node["axis"]]), axes)]


def per_axis(*names: str) -> Rule:
    """Ops with an attribute that has an entry for every axis."""

    def rule(s: Sinker, node: Node) -> list[View] | None:
        view = s.view(node.operands[0])
        if node.type(0).rank != node.out.tensor.rank:
            return None
        attrs = {**node.attrs, **{n: compose(node.attrs[n], inverse(view.axes)) for n in names}}
        return [View(s.emit(node.op, view.base, like=node, **attrs), view.axes)]

    return rule


def reshape(s: Sinker, node: Node) -> list[View] | None:
    """A reshape that splits and merges axes which stay neighbours in the base."""
    view = s.view(node.operands[0])
    groups = axis_groups(node.type(0).shape, node.out.tensor.shape)
    if groups is None:
        return None
    attached = _attach(groups)
    placed = sorted(
        (_place(s, view, before, n == len(attached) - 1), n, before, after)
        for n, (before, after) in enumerate(attached)
    )
    order = tuple(view.axes[i] for _, _, before, _ in placed for i in before)
    base = view.base
    if order != identity(len(order)):
        if not s.eager and not moves_only_ones(base.tensor.shape, order):
            return None
        base = s.permuted(base, order, node)
    places = [j for _, _, _, after in placed for j in after]
    shape = node.out.tensor.shape
    free = node["free"]
    place = None if free is None else places.index(free)
    out = s.reshaped(base, tuple(shape[j] for j in places), node, place, node.out.hint)
    return [View(out, inverse(tuple(places)))]


def _place(s: Sinker, view: View, axes: list[int], last: bool) -> int:
    """Where a group of axes goes in the base: as they lie there, or the last ones last."""
    if s.last and last:
        return view.base.tensor.rank
    return min((view.axes[i] for i in axes), default=-1)


Group = tuple[list[int], list[int]]


def _attach(groups: list[Group]) -> list[Group]:
    """Groups of added or dropped axes join a neighbour, so that each group has axes before."""
    out: list[Group] = []
    waiting: list[int] = []
    for before, after in groups:
        if before:
            out.append((before, [*waiting, *after]))
            waiting = []
        elif out:
            out[-1][1].extend(after)
        else:
            waiting += after
    if waiting:
        out.append(([], waiting))
    return out


def axis_groups(before: Sequence[Dim], after: Sequence[Dim]) -> list[Group] | None:
    """The finest groups of axes that a reshape maps to each other; None if sizes do not tell."""
    groups: list[Group] = []
    i = j = 0
    while i < len(before) or j < len(after):
        if i < len(before) and before[i] == 1:
            groups.append(([i], []))
            i += 1
        elif j < len(after) and after[j] == 1:
            groups.append(([], [j]))
            j += 1
        elif i < len(before) and j < len(after):
            group = _group(before, after, i, j)
            if group is None:
                return None
            groups.append(group)
            i, j = i + len(group[0]), j + len(group[1])
        else:
            return None
    return groups


def _group(before: Sequence[Dim], after: Sequence[Dim], i: int, j: int) -> Group | None:
    ends = [i + 1, j + 1]
    while (a := product(before[i : ends[0]])) != (b := product(after[j : ends[1]])):
        if divide_exact(b, a) is not None and ends[0] < len(before):
            ends[0] += 1
        elif divide_exact(a, b) is not None and ends[1] < len(after):
            ends[1] += 1
        else:
            return None
    return list(range(i, ends[0])), list(range(j, ends[1]))


_SAME_AXES = "softmax log_softmax cumsum cumprod logcumsumexp flip roll sort split slice glu repeat"
_REDUCTIONS = "sum mean max min prod any all var std logsumexp norm argmax argmin"

RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME_AXES.split(), same_axes),
    **dict.fromkeys(_REDUCTIONS.split(), reduction),
    "select": select,
    "squeeze": squeeze,
    "expand_dims": expand_dims,
    "concatenate": joined,
    "pad": per_axis("low", "high"),
    "tile": per_axis("repeats"),
    "broadcast_to": per_axis("shape"),
    "reshape": reshape,
}


def over_last_axis(s: Sinker, node: Node) -> list[View] | None:
    """Layers over the last axis do not mind the order of the others."""
    view = s.view(node.operands[0])
    pending = any(o in s.views for o in node.operands[1:] if isinstance(o, Value))
    if pending or view.axes[-1] != len(view.axes) - 1:
        return None
    return [
        View(s.emit(node.op, view.base, *node.operands[1:], like=node, **node.attrs), view.axes)
    ]


LAYERS: dict[str, Rule] = dict.fromkeys(("linear", "layer_norm", "rms_norm"), over_last_axis)


def rule_of(node: Node, layers: bool = False) -> Rule | None:
    """The rule of the node's op, if its layout may change; with `layers`, of layers too."""
    if node.op in RULES:
        return RULES[node.op]
    if layers and node.op in LAYERS:
        return LAYERS[node.op]
    return elementwise if node.row.elementwise else None
