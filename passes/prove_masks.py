"""Attention masks by what they say, whatever code made them.

A mask that hides nothing goes; a causal one becomes the `causal` attribute; any other is written
anew in as few ops as what it says needs (`keys <= queries`, a window, the data of a padding mask),
where that is shorter than the code that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ir import DType, Graph, Node, Value
from ..ir.dims import provably_le
from ..ir.graph import Param
from ..ir.recipe import Constant
from ..ir.types import Tensor
from .cleanup import drop_broadcasts
from .index_analysis import Analysis
from .index_code import Code, Emit, NoShortForm
from .index_masks import classify, scores, visible_keys
from .index_rules import RULES
from .index_terms import (
    FORMULAS,
    Choice,
    Dim,
    Formula,
    negate,
    reads_of,
)
from .rebuild import Rebuild, make_node, walk
from .record import Log, entry

# ---- attention


def prove_masks(graph: Graph, log: Log | None = None) -> bool:
    """Drop masks that show every key, name causal ones, shorten the others."""
    log = log if log is not None else []
    analysis = Analysis()

    def step(out: Rebuild, node: Node) -> Any:
        masked = node.op == "attention" and isinstance(node.operands[3], Value)
        if not masked or node["causal"] != "none":
            return None
        shape = scores(node)
        visible = visible_keys(analysis, node)
        out.rule = "full_mask" if visible is True else "causal_mask"
        reason = None if visible is True else _not_causal(visible, shape)
        log.append(entry(out.rule, node, reason))
        return None if reason else _unmasked(out, node, visible is not True)

    changed = walk(graph, step)
    return shorten_masks(graph, analysis) or changed


def _unmasked(out: Rebuild, node: Node, causal: bool) -> Value:
    attrs = {**node.attrs, "empty_rows": False, "causal": "lower_right" if causal else "none"}
    value: Value = out.emit("attention", *node.operands[:3], None, like=node, **attrs)
    assert value.node is not None
    value.node.by = (*node.by, out.rule)
    return value


def _not_causal(visible: Formula | None, shape: tuple[Dim, ...]) -> str | None:
    """The reason why the mask is not that of `causal`."""
    if visible is None:
        return "the mask is a bias, not a choice of keys"
    proof = classify(visible, shape)
    if proof.data:
        return f"the mask depends on data{'' if proof.kind == 'all' else f' ({proof.kind})'}"
    if proof.kind == "window":
        return f"the mask is a window of {proof.width} keys"
    if proof.kind == "block":
        return f"the mask is blocks of {proof.width} keys"
    if proof.kind == "upper_left":
        return f"the mask is aligned to the upper left: {shape[-2]} queries, {shape[-1]} keys"
    if proof.kind != "causal":
        return "the mask is of another kind"
    if not provably_le(shape[-2], shape[-1]):
        return f"{shape[-2]} queries may be more than {shape[-1]} keys: some would see none"
    return None


# ---- shorter code

# The ops and operands by which scores are masked.
_MASKING = {("where", 0), ("add", 0), ("add", 1), ("subtract", 1), ("multiply", 0), ("multiply", 1)}


@dataclass(frozen=True)
class Short:
    """What a mask is written anew from: a formula, or a choice of two numbers by it."""

    formula: Formula
    yes: float | None = None
    no: float | None = None


def shorten_masks(graph: Graph, analysis: Analysis) -> bool:
    """Write masks anew where that takes fewer nodes than the code that computes them."""
    shorts = {}
    for root in _roots(graph, analysis):
        short = _short(analysis.term(root))
        if (
            short is not None
            and _at_hand(short, root)
            and _cost(short, root) < len(_cone(root, short))
        ):
            shorts[root] = short

    def step(out: Rebuild, node: Node) -> Any:
        short = shorts.get(node.out)
        out.rule = "short_mask"
        return _write(short, node, out) if short is not None else None

    changed = walk(graph, step) if shorts else False
    return (changed and drop_broadcasts(graph)) or changed


def _at_hand(short: Short, root: Value) -> bool:
    """Whether the data is computed outside the module that computes the mask, or by itself."""
    assert root.node is not None
    within = root.node.scope.chain()
    reads = [r.value.node for r in reads_of(short.formula)]
    return all(node is None or node.scope in within for node in reads)


def _roots(graph: Graph, analysis: Analysis) -> list[Value]:
    """Masks where they are used: what reads them is no mask itself."""
    uses, outputs = graph.uses(), set(graph.outputs) | _float_data(graph)
    masks = [
        n.out for n in graph.nodes if _may_be_mask(n, outputs) and _short(analysis.term(n.out))
    ]
    known = set(masks)
    return [m for m in masks if any(_reads_mask(u, at, known) for u, at in uses.get(m, ()))]


def _reads_mask(node: Node, place: int, masks: set[Value]) -> bool:
    """Whether the node masks something with the operand, and gives no mask itself."""
    if node.out in masks:
        return False
    if node.op == "attention":
        return place == 3
    return node.out.tensor.dtype.is_float and (node.op, place) in _MASKING


def _float_data(graph: Graph) -> set[Value]:
    """Activations and what is compared with them: masks are not looked for there."""
    data = {v for v in graph.inputs if _is_float(v)}
    data.update(p for p in graph.params.values() if _is_float(p) and not _in_code(p))
    for node in graph.nodes:
        made = node.op not in RULES and any(map(_is_float, node.results))
        if made or any(v in data and _is_float(v) for v in node.values):
            data.update(node.results)
    return data


def _is_float(value: Value) -> bool:
    return isinstance(value.type, Tensor) and value.type.dtype.is_float


def _in_code(param: Param) -> bool:
    return isinstance(param.recipe, Constant)


def _may_be_mask(node: Node, outputs: set[Value]) -> bool:
    if len(node.results) != 1 or not isinstance(node.out.type, Tensor) or node.out in outputs:
        return False
    kind = node.out.tensor
    if kind.dtype is DType.f64:
        return False
    return kind.rank >= 2 and (kind.dtype is DType.bool or kind.dtype.is_float)


def _short(term: Any) -> Short | None:
    """What there is to write; None for plain data and for what holds other numbers."""
    if isinstance(term, FORMULAS):
        return Short(term)
    if isinstance(term, Choice) and isinstance(term.yes, float) and isinstance(term.no, float):
        return _favouring_zero(term)
    return None


def _favouring_zero(term: Choice) -> Short:
    """`where(visible, 0, low)` rather than `where(hidden, low, 0)`."""
    yes: Any = term.yes
    no: Any = term.no
    if no == 0 and yes != 0:
        return Short(negate(term.condition), no, yes)
    return Short(term.condition, yes, no)


def _cone(root: Value, short: Short) -> set[Node]:
    """The nodes that compute the value from the data that the formula reads."""
    data = {r.value for r in reads_of(short.formula)}
    found: set[Node] = set()
    todo = [root]
    while todo:
        value = todo.pop()
        if value.node is not None and value.node not in found and value not in data:
            found.add(value.node)
            todo += value.node.values
    return found


def _cost(short: Short, root: Value) -> float:
    """How many nodes the new code has; infinite where there is none."""
    nodes: list[Node] = []

    def emit(op: str, *operands: Any, hint: str = "", **attrs: Any) -> Value:
        nodes.append(make_node(op, operands, attrs, root.node))  # type: ignore[arg-type]
        return nodes[-1].out

    try:
        _code(short, root, emit, lambda value: value)
    except NoShortForm:
        return float("inf")
    return len(nodes)


def _code(short: Short, root: Value, emit: Emit, current: Callable[[Value], Value]) -> Value:
    shape = root.tensor.shape
    value = Code(emit, shape, _index_type(root), current).formula(short.formula)
    if short.yes is None:
        return value
    value = emit("where", value, _shortest(short.yes), _shortest(short.no))
    return (
        value
        if value.tensor.dtype is root.tensor.dtype
        else emit("cast", value, dtype=root.tensor.dtype)
    )


def _shortest(number: float | None) -> float:
    """The number with the fewest digits that is the same in float32: -1e+30."""
    return float(str(np.float32(number)))


def _index_type(root: Value) -> DType:
    """That of the positions that the code there counts with."""
    cone = _cone(root, Short(True))
    wide = any(n.op == "arange" and n["dtype"] is DType.i64 for n in cone)
    return DType.i64 if wide else DType.i32


def _write(short: Short, node: Node, out: Rebuild) -> Value:
    def emit(op: str, *operands: Any, hint: str = "", **attrs: Any) -> Value:
        value: Value = out.emit(op, *operands, like=node, hint=hint, **attrs)
        return value

    def current(value: Value) -> Value:
        found = out.current(value)
        assert isinstance(found, Value)
        return found

    first = len(out.nodes)
    value = _code(short, node.out, emit, current)
    for new in out.nodes[first:]:
        new.by = (*new.by, "short_mask")
    if value.node in out.nodes[first:]:
        value.hint = node.out.hint
    if value.type != node.out.type:
        value = emit("broadcast_to", value, shape=node.out.tensor.shape)
        value.hint = node.out.hint
    return value
