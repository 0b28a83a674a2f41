"""Batch norms right behind a convolution or linear layer become part of its weights (-O2)."""

from __future__ import annotations

from ..ir import Graph, Node, Param
from ..ir.graph import joined
from ..ir.recipe import Add, Multiply, Number, Recipe, Rsqrt, Subtract
from .dce import dce
from .make_params import Uses, bias_name, made, put, recipe_of, scaled_rows, used_once
from .rebuild import producer
from .record import Log, applies, entry

_LAYERS = ("conv", "conv_transpose", "linear")


def fold_conv_batch_norm(graph: Graph, log: Log | None = None) -> bool:
    """(W x + b - mean) / sqrt(var + eps) * scale + shift is one layer with other weights.

    Ioffe and Szegedy, 2015, section 3.1: in inference the norm is a fixed linear map.
    """
    log = log if log is not None else []
    uses = graph.uses()
    changed = False
    for norm in [n for n in graph.nodes if n.op == "batch_norm"]:
        layer = producer(norm.operands[0], *_LAYERS)
        reason = _refusal(graph, norm, layer, uses)
        log.append(entry("fold_conv_batch_norm", norm, reason))
        if reason is None and layer is not None and applies("fold_conv_batch_norm", norm):
            _fold(graph, norm, layer)
            changed = True
    if changed:
        dce(graph)
    return changed


def _refusal(graph: Graph, norm: Node, layer: Node | None, uses: Uses) -> str | None:
    if layer is None:
        return "what it normalises is no result of a layer"
    if norm.operands[3] is None or norm.operands[4] is None:
        return "its statistics are those of the batch"
    if len(uses[layer.out]) > 1 or layer.out in graph.outputs:
        return f"the result of {layer.op} is used elsewhere"
    read = [o for o in (*layer.operands[1:3], *norm.operands[1:]) if o is not None]
    if not all(isinstance(o, Param) for o in read):
        return "weights are computed by the model"
    if not all(used_once(o, uses, graph.outputs) for o in read):
        return "a weight is used elsewhere"
    if bias_name(layer.operands[1], layer.operands[2], graph.params) is None:
        return "the layer has no place for a bias"
    return None


def _fold(graph: Graph, norm: Node, layer: Node) -> None:
    weight, bias = layer.operands[1:3]
    assert isinstance(weight, Param)
    scale, shift = _affine(norm)
    rows = scaled_rows(recipe_of(weight), scale, weight.tensor.rank)
    old = recipe_of(bias) if isinstance(bias, Param) else None
    name = bias_name(weight, bias, graph.params)
    assert name is not None  # the guard saw it
    shape = weight.tensor.shape
    new = made(weight.name, weight.tensor, [int(str(d)) for d in shape], rows)
    moved = made(name, weight.tensor, [int(str(shape[0]))], _bias(old, scale, shift))
    graph.params[new.name] = new
    put(graph, [moved], new.name)
    layer.operands[1:3] = [new, moved]
    layer.by = (*layer.by, "fold_conv_batch_norm")
    layer.source = joined([layer.source, norm.source])
    layer.out.hint = norm.out.hint or layer.out.hint
    graph.replace({norm.out: layer.out})


def _affine(norm: Node) -> tuple[Recipe, Recipe]:
    """The norm as x * scale + shift, where shift still lacks what the layer's bias gives."""
    weight, bias, mean, var = (
        recipe_of(o) if isinstance(o, Param) else None for o in norm.operands[1:]
    )
    assert mean is not None and var is not None
    scale: Recipe = Rsqrt(Add(var, Number(norm["eps"])))
    scale = scale if weight is None else Multiply(weight, scale)
    shift: Recipe = Multiply(mean, scale)
    return scale, Subtract(bias if bias is not None else Number(0.0), shift)


def _bias(old: Recipe | None, scale: Recipe, shift: Recipe) -> Recipe:
    return shift if old is None else Add(shift, Multiply(old, scale))
