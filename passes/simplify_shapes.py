"""Shape code as people write it: one view for a chain of views, one slice for a chain of slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Graph, Node, Value
from ..ir.dims import Atom, Expr, Sym, data_decides, divide_exact
from ..ir.ops_shape import slice_range
from .cleanup import Rule, first_rule
from .layout import moves_only_ones
from .rebuild import Rebuild, producer, walk

Dim = int | Expr
_VIEWS = ("reshape", "expand_dims", "squeeze")


def view(
    out: Rebuild, x: Value, shape: Sequence[Dim], like: Node, free: int | None = None
) -> Value:
    """`x` in that shape, by the plainest op: none, new axes, dropped axes, or a reshape."""
    shape, before = tuple(shape), x.tensor.shape
    if shape == before:
        return x
    new: Value
    if axes := inserted_axes(before, shape):
        new = out.emit("expand_dims", x, like=like, axes=axes)
    elif axes := inserted_axes(shape, before):
        new = out.emit("squeeze", x, like=like, axes=axes)
    else:
        new = out.emit("reshape", x, like=like, shape=shape, free=free)
    return new


def inserted_axes(short: Sequence[Dim], long: Sequence[Dim]) -> tuple[int, ...] | None:
    """The places where `long` has a 1 more than `short`, if that is the only difference."""
    axes, i = [], 0
    for place, dim in enumerate(long):
        if i < len(short) and short[i] == dim:
            i += 1
        elif dim == 1:
            axes.append(place)
        else:
            return None
    return tuple(axes) if i == len(short) else None


def _views(out: Rebuild, node: Node) -> Any:
    """A view of a view is one view."""
    x = node.operands[0]
    while inner := producer(x, *_VIEWS, "transpose", scope=node.scope):
        if inner.op == "transpose" and not _drops_what_moves(inner, node):
            break
        x = inner.operands[0]
    if not isinstance(x, Value):
        return None
    free = node["free"] if node.op == "reshape" else None
    if x is node.operands[0] and (node.op != "reshape" or not _only_ones(x, node)):
        return None
    return view(out, x, node.out.tensor.shape, node, free)


def _view_first(out: Rebuild, node: Node) -> Any:
    """New axes that a view moves or drops again, with a split or scalars' arithmetic in between,
    come after those.
    """
    chain: list[tuple[Node, int]] = []
    x, shape = node.values[0], node.out.tensor.shape
    while inner := _lightly_changed(out, x, node):
        chain.append((inner, inner.results.index(x)))
        x = inner.values[0]
    grown = producer(x, "expand_dims", scope=node.scope)
    if not chain or not grown or _longer(shape) != _longer(node.type(0).shape):
        return None
    if any(inner.op == "split" and inner["axis"] in grown["axes"] for inner, _ in chain):
        return None
    base = grown.values[0]
    for inner, place in reversed(chain):
        attrs = dict(inner.attrs)
        if inner.op == "split":
            attrs["axis"] -= sum(a < attrs["axis"] for a in grown["axes"])
        operands = [base if isinstance(o, Value) else o for o in inner.operands]
        made = out.emit(inner.op, *operands, like=inner, **attrs)
        base = made[place] if isinstance(made, tuple) else made
    return view(out, base, shape, node)


def _lightly_changed(out: Rebuild, x: Value, reader: Node) -> Node | None:
    """The split, or the arithmetic with scalars, that only the reader gets this value from."""
    node = x.node
    if node is None or node.scope is not reader.scope or not out.used_once(x):
        return None
    return node if node.op == "split" or (node.row.elementwise and len(node.values) == 1) else None


def _longer(shape: Sequence[Dim]) -> list[Dim]:
    return [d for d in shape if d != 1]


def _drops_what_moves(inner: Node, node: Node) -> bool:
    """Whether the transpose moves axes of size 1 only, and the view drops axes."""
    drops = node.out.tensor.rank < node.type(0).rank
    return drops and moves_only_ones(inner.type(0).shape, inner["axes"])


def _only_ones(x: Value, node: Node) -> bool:
    before, after = x.tensor.shape, node.out.tensor.shape
    return inserted_axes(before, after) is not None or inserted_axes(after, before) is not None


def _squeeze_slice(out: Rebuild, node: Node) -> Any:
    """A slice of length 1 whose axis is dropped is an index."""
    inner = producer(node.operands[0], "slice", scope=node.scope)
    if inner is None or node["axes"] != (inner["axis"],):
        return None
    return out.emit(
        "select", inner.operands[0], like=node, axis=inner["axis"], index=inner["start"]
    )


def _squeeze_reduction(out: Rebuild, node: Node) -> Any:
    """A reduction that keeps its axes only for them to be dropped."""
    x = node.operands[0]
    inner = producer(x, scope=node.scope)
    if (
        inner is None
        or not inner.attrs.get("keepdims")
        or not isinstance(x, Value)
        or not out.used_once(x)
    ):
        return None
    reduced = inner.attrs.get("axes", (inner.attrs.get("axis"),))
    if node["axes"] != reduced or len(inner.results) > 1:
        return None
    return out.emit(inner.op, *inner.operands, like=node, **{**inner.attrs, "keepdims": False})


def _linear_views(out: Rebuild, node: Node) -> Any:
    """A layer over the last axis needs no flat batch: the view after it goes."""
    layer = producer(node.operands[0], "linear", scope=node.scope)
    flat = producer(layer.operands[0], *_VIEWS, scope=node.scope) if layer else None
    if layer is None or flat is None or not out.used_once(layer.out):
        return None
    *batch, width = node.out.tensor.shape
    if not batch or width != layer.out.tensor.shape[-1]:
        return None
    x, shape = flat.values[0], (*batch, flat.out.tensor.shape[-1])
    return out.emit("linear", view(out, x, shape, flat), *layer.operands[1:], like=node)


def _merged_heads(out: Rebuild, node: Node) -> Any:
    """reshape(L, B * H, D), transpose, reshape(B, H, L, D) is one reshape and one transpose."""
    turn = producer(node.operands[0], "transpose", scope=node.scope)
    first = producer(turn.operands[0], "reshape", scope=node.scope) if turn else None
    if turn is None or first is None or not (out.used_once(turn.out) and out.used_once(first.out)):
        return None
    parts = refine(first.type(0).shape, first.out.tensor.shape)
    if parts is None:
        return None
    atoms = [d for part in parts for d in part]
    places = iter(range(len(atoms)))
    numbered = [[next(places) for _ in part] for part in parts]
    order = tuple(i for axis in turn["axes"] for i in numbered[axis])
    if tuple(atoms[i] for i in order) != node.out.tensor.shape:
        return None
    split = view(out, first.values[0], atoms, first)
    return out.emit("transpose", split, like=node, axes=order)


def _leading_views(out: Rebuild, node: Node) -> Any:
    """A transpose of the last axes, of leading axes that are merged around it alone.

    reshape(transpose(reshape(x, (B * H, L, D)), (0, 2, 1)), (B, H, D, L)) turns the last two axes
    of x, reshaped to (B, H, L, D).
    """
    turn = producer(node.operands[0], "transpose", scope=node.scope)
    first = producer(turn.operands[0], "reshape", scope=node.scope) if turn else None
    if turn is None or first is None:
        return None
    axes, merged, shape = turn["axes"], first.out.tensor.shape, node.out.tensor.shape
    lead = next((i for i, a in enumerate(axes) if a != i), len(axes))
    last = len(axes) - lead
    before = first.type(0).shape
    if not last or len(shape) <= last or len(before) <= last or before[-last:] != merged[lead:]:
        return None
    if shape[-last:] != turn.out.tensor.shape[lead:]:
        return None
    count = len(shape) - last
    x = view(out, first.values[0], (*shape[:count], *merged[lead:]), first)
    order = (*range(count), *(a - lead + count for a in axes[lead:]))
    return out.emit("transpose", x, like=node, axes=order)


def refine(before: Sequence[Dim], after: Sequence[Dim]) -> list[list[Dim]] | None:
    """Each dim of `after` in parts, so that dims of `before` are products of whole parts too."""
    parts: list[list[Dim]] = []
    left, right = list(before), list(after)
    part: list[Dim] = []
    while left and right:
        step = left[0] if divide_exact(right[0], left[0]) is not None else right[0]
        rest = divide_exact(left[0], step), divide_exact(right[0], step)
        if rest[0] is None or rest[1] is None:
            return None
        part.append(step)
        left[:1] = [] if rest[0] == 1 else [rest[0]]
        right[:1] = [] if rest[1] == 1 else [rest[1]]
        if rest[1] == 1:
            parts, part = [*parts, part], []
    return parts if not left and not right else None


def _plain(*dims: Dim) -> bool:
    """No minimum, maximum or division in the dims: they read well."""
    return all(
        isinstance(d, int)
        or all(isinstance(a, Sym) for monomial, _ in d.terms for a, _ in monomial)
        for d in dims
    )


def _slices(out: Rebuild, node: Node) -> Any:
    """A slice of a slice is one slice; a bound at the end of the axis is left out."""
    inner = producer(node.operands[0], "slice", scope=node.scope)
    size = node.type(0).shape[node["axis"]]
    if inner and inner["axis"] == node["axis"] and inner["step"] == node["step"] == 1:
        whole = inner.type(0).shape[inner["axis"]]
        first, _, _ = slice_range(whole, inner["start"], inner["stop"], 1)
        begin, end, _ = slice_range(size, node["start"], node["stop"], 1)
        start, stop = first + begin, first + end
        if _plain(start, stop):
            bound = None if stop == whole else stop
            return out.emit(
                "slice", inner.operands[0], like=node, axis=node["axis"], start=start, stop=bound
            )
    if node["stop"] is not None and node["stop"] == size:
        attrs = {**node.attrs, "stop": None}
        return out.emit("slice", node.operands[0], like=node, **attrs)
    return None


def _select_slice(out: Rebuild, node: Node) -> Any:
    """An index into a slice is an index; an index of a new axis is the array itself."""
    x, axis, index = node.operands[0], node["axis"], node["index"]
    new = producer(x, "expand_dims", scope=node.scope)
    if new and new["axes"] == (axis,):
        return new.operands[0]
    inner = producer(x, "slice", scope=node.scope)
    if inner is None or inner["axis"] != axis or inner["step"] != 1 or not isinstance(index, int):
        return None
    whole = inner.type(0).shape[axis]
    first, end, _ = slice_range(whole, inner["start"], inner["stop"], 1)
    if index < 0 and end == whole:
        place: Dim = index
    else:
        place = first + index if index >= 0 else end + index
    return (
        out.emit("select", inner.operands[0], like=node, axis=axis, index=place)
        if _plain(place)
        else None
    )


def _shifted_arange(out: Rebuild, node: Node) -> Any:
    """`arange(a, b) + k` is `arange(a + k, b + k)`."""
    for number, x in (node.operands, node.operands[::-1]):
        inner = producer(x, "arange", scope=node.scope)
        whole = isinstance(number, int | Expr) and not isinstance(number, bool)
        if not inner or not whole or not inner["dtype"].is_integer or not out.used_once(inner.out):
            continue
        start, stop = inner["start"] + number, inner["stop"] + number
        if not isinstance(start, float) and not isinstance(stop, float):
            return out.emit("arange", like=node, **{**inner.attrs, "start": start, "stop": stop})
    return None


def _part_of_arange(out: Rebuild, node: Node) -> Any:
    """`arange(a, b)[c:d]` is `arange(a + c, a + d)`, behind new axes as well."""
    x, axis = node.operands[0], node["axis"]
    new = producer(x, "expand_dims", scope=node.scope)
    counted = producer(new.operands[0] if new else x, "arange", scope=node.scope)
    size = node.type(0).shape[axis]
    if not counted or counted["step"] != 1 or node["step"] != 1 or size == 1:
        return None
    if not counted["dtype"].is_integer or isinstance(counted["start"], float):
        return None
    first, end, _ = slice_range(size, node["start"], node["stop"], 1)
    start, stop = counted["start"] + first, counted["start"] + end
    if not _plain(start, stop):
        return None
    part = out.emit("arange", like=node, start=start, stop=stop, step=1, dtype=counted["dtype"])
    return out.emit("expand_dims", part, like=node, axes=new["axes"]) if new else part


def _flat_concatenate(out: Rebuild, node: Node) -> Any:
    """A concatenation inside a concatenation along the same axis."""

    def parts(x: Any) -> list[Any]:
        inner = producer(x, "concatenate", scope=node.scope)
        return (
            list(inner.operands)
            if inner and inner["axis"] == node["axis"] and out.used_once(x)
            else [x]
        )

    flat = [p for x in node.operands for p in parts(x)]
    return (
        out.emit("concatenate", *flat, like=node, axis=node["axis"])
        if len(flat) > len(node.operands)
        else None
    )


RULES: dict[str, tuple[Rule, ...]] = {
    "reshape": (_linear_views, _merged_heads, _leading_views, _views, _view_first),
    "expand_dims": (_views,),
    "squeeze": (_squeeze_slice, _squeeze_reduction, _views, _view_first),
    "slice": (_slices, _part_of_arange),
    "select": (_select_slice,),
    "add": (_shifted_arange,),
    "concatenate": (_flat_concatenate,),
}


def simplify_shapes(graph: Graph) -> bool:
    """Merge chains of views and slices; views that only add or drop axes of size 1 say so."""
    return walk(graph, first_rule(RULES))


# ---- the axis that is written -1


def infer_axes(graph: Graph) -> bool:
    """Choose the axis of each reshape that is left to be inferred, so that the code reads well."""
    changed = False
    for node in graph.nodes:
        shape = node["shape"] if node.op == "reshape" else ()
        if node.op == "reshape" and node["free"] is None and not data_decides(*shape):
            node.attrs["free"] = _free_axis(node.out.tensor.shape)
            changed = changed or node["free"] is not None
    return changed


def _free_axis(shape: Sequence[Dim]) -> int | None:
    """The one composite dim; else the one constant, where all others are plain symbols."""
    composite = [i for i, d in enumerate(shape) if isinstance(d, Expr) and not is_symbol(d)]
    if composite:
        return composite[0] if len(composite) == 1 else None
    constant = [i for i, d in enumerate(shape) if isinstance(d, int)]
    return constant[0] if len(constant) == 1 else None


def is_symbol(dim: Dim) -> bool:
    """Whether the dim is one plain symbol."""
    if isinstance(dim, int) or len(dim.terms) != 1:
        return False
    monomial, coefficient = dim.terms[0]
    return (
        coefficient == 1
        and len(monomial) == 1
        and monomial[0][1] == 1
        and not isinstance(monomial[0][0], Atom)
    )
