"""Composed normalisation by mean and variance becomes one op.

`layer_norm` over the last axis or another one (Ba et al., 2016), `instance_norm` over the spatial
axes (Ulyanov et al., 2016), `group_norm` over groups of channels (Wu and He, 2018); then their
scale and shift, and the casts to float32 that the ops make needless.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.dims import product
from .layout import Axes, inverse
from .raise_rms_norm import reduced_axes
from .rebuild import Rebuild
from .record import Log
from .rewrite import Bind, Is, Match, Number, Pattern, Perhaps, Rewrite, rewrite

_X = Bind("x")


def _mean(of: Pattern, name: str) -> Is:
    return Is("mean", (of,), name=name)


def _centered(tag: str) -> Is:
    return Is("subtract", (_X, _mean(_X, f"mean{tag}")))


# The variance, however it is spelled; the centered values may be computed twice.
_VARIANCES: tuple[Is, ...] = (
    *(
        _mean(square, "variance")
        for square in (
            Is("square", (_centered("_too"),)),
            Is("power", (_centered("_too"), Number("two"))),
            Is("multiply", (_centered("_too"), _centered("_three"))),
        )
    ),
    Is("var", (_X,), name="variance"),
    Is("subtract", (_mean(Is("square|multiply", (_X,), name="squared"), "variance"),
                    Is("square|multiply", (_mean(_X, "mean_too"),), name="mean_squared"))),
)  # fmt: skip


def _standard(variance: Is) -> list[Is]:
    """(x - mean) / sqrt(variance + eps), however it is spelled."""
    spread = Is("add", (variance, Number("eps")))
    root = Is("sqrt", (spread,))
    centered = _centered("")
    return [
        Is("multiply", (centered, Is("rsqrt", (spread,)))),
        Is("multiply", (centered, Is("power", (spread, Number("minus_half"))))),
        Is("multiply", (centered, Is("reciprocal", (root,)))),
        Is("multiply", (centered, Is("divide", (Number("one"), root)))),
        Is("divide", (centered, root)),
        Is("divide", (centered, Is("power", (spread, Number("half"))))),
    ]


_EXPECTED = {"two": 2, "one": 1, "minus_half": -0.5, "half": 0.5}
_REDUCTIONS = ("mean", "mean_too", "mean_three", "variance")


def _guard(match: Match) -> str | None:
    x = match["x"]
    if not isinstance(x, Value) or not x.tensor.dtype.is_float:
        return "its operand is no floating point tensor"
    for name, number in _EXPECTED.items():
        if match.get(name) not in (None, number):
            return f"{match[name]} stands where {number} should"
    for name in ("squared", "mean_squared"):
        node = match.get(name)
        if node is not None and len({id(o) for o in node.operands}) > 1:
            return "a product stands where a square should"
    reductions = [match[n] for n in _REDUCTIONS if match.get(n) is not None]
    if any(not node["keepdims"] for node in reductions):
        return "mean or variance drop their axes"
    if len({reduced_axes(node) for node in reductions}) > 1:
        return "mean and variance are over different axes"
    if match["variance"].attrs.get("ddof"):
        return "the variance is the unbiased one"
    if match["eps"] < 0:
        return "eps is negative"
    if _kind(reduced_axes(match["variance"]), x.tensor.rank) is None:
        return "the axes are neither one axis nor all behind the channels"
    return None


def _kind(axes: Axes, rank: int) -> str | None:
    if len(axes) == 1 and axes != (0,):
        return "layer_norm"
    return "instance_norm" if rank > 3 and axes == tuple(range(2, rank)) else None


def _build(out: Rebuild, match: Match, like: Node) -> Any:
    x, eps = match["x"], float(match["eps"])
    axes, rank = reduced_axes(match["variance"]), match["x"].tensor.rank
    op = _kind(axes, rank)
    last = axes[0] if op == "layer_norm" else 1
    assert op is not None  # the guard saw it
    order = (*(a for a in range(rank) if a != last), last)
    turned = _turn(out, x, order, like)
    return _turn(out, out.emit(op, turned, None, None, like=like, eps=eps), inverse(order), like)


def _turn(out: Rebuild, x: Value, order: Axes, like: Node) -> Any:
    if order == tuple(range(len(order))):
        return x
    return out.emit("transpose", x, like=like, hint="", axes=order)


# ---- instance norm over one axis

_TURNED = Is("transpose", (_X,), name="first")
_INSTANCES = Is("instance_norm", (_TURNED, Bind("w"), Bind("b")), name="norm")
_ROWWISE = Is("transpose", (_INSTANCES,))


def _guard_rowwise(match: Match) -> str | None:
    if match["w"] is not None or match["b"] is not None:
        return "the norm has weights for its channels"
    turned = match.root["axes"] == match["first"]["axes"] == (0, 2, 1)
    return None if turned else "it is not over the last axis"


def _build_rowwise(out: Rebuild, match: Match, like: Node) -> Any:
    return out.emit("layer_norm", match["x"], None, None, like=like, eps=match["norm"]["eps"])


# ---- groups of channels

_GROUPED = Is(
    "reshape",
    (Is("layer_norm", (Is("reshape", (_X,), name="grouped"), Bind("w"), Bind("b")), name="norm"),),
)


def _guard_groups(match: Match) -> str | None:
    x, grouped = match["x"].tensor, match["grouped"].out.tensor
    if match["w"] is not None or match["b"] is not None:
        return "the norm of the groups has weights"
    if match.root.out.tensor.shape != x.shape or x.rank < 3:
        return "the result has another shape than the operand"
    if grouped.rank != 3 or grouped.shape[0] != x.shape[0]:
        return "it does not part the channels into groups"
    channels, groups = x.shape[1], grouped.shape[1]
    if not isinstance(channels, int) or not isinstance(groups, int) or channels % groups:
        return "the channels are no multiple of the groups"
    size = product((channels // groups, *x.shape[2:]))
    return None if grouped.shape[2] == size else "a group is not made of whole channels"


def _build_groups(out: Rebuild, match: Match, like: Node) -> Any:
    x = match["x"]
    order = (0, *range(2, x.tensor.rank), 1)
    turned = _turn(out, x, order, like)
    groups = match["grouped"].out.tensor.shape[1]
    norm = out.emit(
        "group_norm", turned, None, None, like=like, groups=groups, eps=match["norm"]["eps"]
    )
    return _turn(out, norm, inverse(order), like)


# ---- scale and shift

_NORMS = "layer_norm|group_norm|instance_norm"
_VECTOR = Perhaps("expand_dims|reshape", Bind("vector"), name="grown")
_BELOW = Perhaps("transpose", Is(_NORMS, (), name="norm"), name="turned")


def _guard_affine(place: int) -> Any:
    def guard(match: Match) -> str | None:
        norm = match["norm"]
        if norm.operands[place] is not None or (place == 1 and norm.operands[2] is not None):
            return "the norm has such a weight already"
        return _no_vector(match)

    return guard


def _no_vector(match: Match) -> str | None:
    """The other operand must hold one number for each place of the norm's last axis."""
    norm, turned, vector = match["norm"].out.tensor, match.get("turned"), match["vector"]
    rank = norm.rank
    axis = turned["axes"].index(rank - 1) if turned is not None else rank - 1
    size = norm.shape[-1]
    if not isinstance(vector, Value) or size == 1:
        return "the other operand is no vector"
    outer = match["grown"].out if match.get("grown") is not None else vector
    shape = (*(1 for _ in range(rank - outer.tensor.rank)), *outer.tensor.shape)
    if outer.tensor.rank > rank or shape != tuple(size if a == axis else 1 for a in range(rank)):
        return "the other operand is no vector over the normalised channels"
    if vector.tensor.rank != 1 and not isinstance(vector, Param):
        return "the other operand is no vector"
    return None


def _build_affine(place: int) -> Any:
    def build(out: Rebuild, match: Match, like: Node) -> Any:
        norm, turned, vector = match["norm"], match.get("turned"), match["vector"]
        if vector.tensor.rank != 1:
            size = norm.out.tensor.shape[-1]
            vector = out.emit("reshape", vector, like=like, hint="", shape=(size,))
        operands = list(norm.operands)
        operands[place] = vector
        value = out.emit(norm.op, *operands, like=like, **norm.attrs)
        return _turn(out, value, turned["axes"], like) if turned is not None else value

    return build


# ---- casts


def _guard_cast(match: Match) -> str | None:
    narrow, norm = match["narrow"], match["norm"]
    dtype = narrow.tensor.dtype
    if match.root["dtype"] is not dtype or not dtype.is_float or norm.type(0).dtype.value != "f32":
        return "the casts around the norm do not undo each other"
    vectors = [o for o in norm.operands[1:] if isinstance(o, Value)]
    if any(_below_cast(v).tensor.dtype is not dtype for v in vectors):
        return "a weight is wider than the operand"
    return None


def _below_cast(value: Value) -> Value:
    node = value.node
    return node.values[0] if node is not None and node.op == "cast" else value


def _build_cast(out: Rebuild, match: Match, like: Node) -> Any:
    norm = match["norm"]
    vectors = [_below_cast(o) if isinstance(o, Value) else o for o in norm.operands[1:]]
    return out.emit(norm.op, match["narrow"], *vectors, like=like, **norm.attrs)


ROWS = [
    *(Rewrite("norm", p, _guard, _build) for v in _VARIANCES for p in _standard(v)),
    Rewrite("row_norm", _ROWWISE, _guard_rowwise, _build_rowwise),
    Rewrite("group_norm", _GROUPED, _guard_groups, _build_groups),
    Rewrite("norm_scale", Is("multiply", (_BELOW, _VECTOR)), _guard_affine(1), _build_affine(1)),
    Rewrite("norm_shift", Is("add", (_BELOW, _VECTOR)), _guard_affine(2), _build_affine(2)),
    Rewrite(
        "norm_cast",
        Is("cast", (Is("layer_norm", (Is("cast", (Bind("narrow"),)),), name="norm"),)),
        _guard_cast, _build_cast,
    ),
]  # fmt: skip


def raise_layer_norm(graph: Graph, log: Log | None = None) -> bool:
    """(x - mean) / sqrt(variance + eps) * weight + bias becomes layer, group or instance norm."""
    return rewrite(graph, ROWS, log)
