"""Scale and shift of a norm become part of the linear layers that read it (-O2)."""

from __future__ import annotations

from ..ir import Graph, Node, Param
from ..ir.recipe import Dequantize, Multiply, recipes_in
from .dce import dce
from .make_params import Uses, bias_name, made, put, recipe_of, shifted, used_once
from .record import Log, applies, entry


def fold_norm_linear(graph: Graph, log: Log | None = None) -> bool:
    """linear(x * scale + shift) is a linear layer of x with other weights.

    Only where linear layers with weights of their own are all that reads the norm.
    """
    log = log if log is not None else []
    uses = graph.uses()
    changed = False
    for norm in [n for n in graph.nodes if n.op in ("rms_norm", "layer_norm")]:
        if all(o is None for o in norm.operands[1:]):
            continue
        reason = _refusal(graph, norm, uses)
        log.append(entry("fold_norm_linear", norm, reason))
        if reason is None and applies("fold_norm_linear", norm):
            _fold(graph, norm, [node for node, _ in uses[norm.out]])
            changed = True
    if changed:
        dce(graph)
    return changed


def _refusal(graph: Graph, norm: Node, uses: Uses) -> str | None:
    readers = uses.get(norm.out, [])
    if norm.out in graph.outputs or not readers:
        return "its result is an output"
    other = next((n for n, place in readers if n.op != "linear" or place != 0), None)
    if other is not None:
        return f"its result is read by {other.op}"
    affine = [o for o in norm.operands[1:] if o is not None]
    weights = [o for n, _ in readers for o in n.operands[1:3] if o is not None]
    if not all(isinstance(o, Param) for o in (*affine, *weights)):
        return "weights are computed by the model"
    if not all(used_once(o, uses, graph.outputs) for o in (*affine, *weights)):
        return "a weight is used elsewhere"
    if any(isinstance(w, Param) and _is_packed(w) for w in weights):
        return "a weight is packed, and would not be any more"
    if len(norm.operands) > 2 and norm.operands[2] is not None:
        for node, _ in readers:
            if bias_name(node.operands[1], node.operands[2], graph.params) is None:
                return "a linear layer has no place for a bias"
    return None


def _is_packed(weight: Param) -> bool:
    return any(isinstance(recipe, Dequantize) for recipe in recipes_in(weight.recipe))


def _fold(graph: Graph, norm: Node, readers: list[Node]) -> None:
    scale, shift = (*norm.operands[1:], None)[:2]
    for node in readers:
        weight, bias = node.operands[1:3]
        assert isinstance(weight, Param)
        recipe = recipe_of(weight)
        shape = [int(str(d)) for d in weight.tensor.shape]
        if isinstance(shift, Param):
            old = recipe_of(bias) if isinstance(bias, Param) else None
            moved = shifted(recipe, recipe_of(shift), old)
            name = bias_name(weight, bias, graph.params)
            assert name is not None  # the guard saw it
            new = made(name, weight.tensor, shape[:1], moved)
            put(graph, [new], weight.name)
            node.operands[2] = new
        if isinstance(scale, Param):
            new = made(weight.name, weight.tensor, shape, Multiply(recipe, recipe_of(scale)))
            graph.params[new.name] = new
            node.operands[1] = new
        node.by = (*node.by, "fold_norm_linear")
    norm.operands[1:] = [None] * len(norm.operands[1:])
    norm.by = (*norm.by, "fold_norm_linear")
