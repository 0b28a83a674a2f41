"""The passes, in the order they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ir import Graph
from .attention_gain import attention_gain
from .block_updates import block_updates
from .border_transposes import border_transposes
from .cancel_orders import cancel_orders
from .cleanup import cleanup
from .cse import cse
from .dce import dce
from .drop_repeat_kv import drop_repeat_kv
from .fill_padding import fill_padding
from .find_modules import find_modules
from .fold_arithmetic import fold_arithmetic
from .fold_attention_scale import fold_attention_scale
from .fold_constants import fold_constants
from .fold_conv_batch_norm import fold_conv_batch_norm
from .fold_norm_linear import fold_norm_linear
from .fold_pad import fold_pad
from .fold_parameters import fold_parameters
from .hoist_weight_transposes import hoist_weight_transposes
from .known_buffers import known_buffers
from .lift_shared import lift_shared
from .match_masks import match_masks
from .merge_linears import merge_linears
from .narrow_integers import narrow_integers
from .own_weights import own_weights
from .place_layers import place_layers
from .prove_mask_rows import prove_mask_rows
from .prove_masks import prove_masks
from .raise_activations import raise_activations
from .raise_attention import raise_attention
from .raise_gelu import raise_gelu
from .raise_layer_norm import raise_layer_norm
from .raise_linear import raise_linear
from .raise_rms_norm import raise_rms_norm
from .raise_rope import raise_rope
from .raise_rounding import raise_rounding
from .share_masks import share_masks
from .simplify_indexing import simplify_indexing
from .simplify_shapes import infer_axes, simplify_shapes
from .sink_transposes import sink_transposes
from .split_selects import split_selects
from .split_slices import split_slices
from .stack_recurrent import stack_recurrent

_ROUNDS = 4


def final_cleanup(graph: Graph) -> bool:
    """Clean-up, constants, shapes, parameters, common and dead code, until nothing changes."""
    passes = (fold_constants, cleanup, simplify_shapes, cse, dce, fold_parameters)
    changed = False
    for _ in range(_ROUNDS):
        found = [f(graph) for f in passes]
        if not any(found):
            break
        changed = True
    return changed


def find_modules_first(graph: Graph) -> bool:
    """What `find_modules` does, on a clean graph, for passes that change weights by module."""
    return graph.flat and (final_cleanup(graph) | find_modules(graph))


@dataclass(frozen=True)
class Pass:
    """A pass: `function(graph) -> changed`, or `function(graph, log)` with `logs`."""

    name: str
    function: Callable[..., Any]
    level: int
    doc: str
    logs: bool = False


PASSES = [
    Pass("dce", dce, 0, "drop nodes and parameters that nothing needs"),
    Pass("known_buffers", known_buffers, 1, "buffers that count stand in the code"),
    Pass("fold_constants", fold_constants, 1, "uniform constants become scalars"),
    Pass("raise_linear", raise_linear, 1, "products with a parameter become linear", logs=True),
    Pass("cleanup", cleanup, 1, "drop casts, views and arithmetic that change nothing"),
    Pass("simplify_shapes", simplify_shapes, 1, "merge chains of views and slices"),
    Pass("lift_shared", lift_shared, 1, "what sibling modules share is computed around them"),
    Pass("own_weights", own_weights, 1, "what only a module's weights are in is computed in it"),
    Pass("cse", cse, 1, "compute equal nodes of a scope once"),
    Pass("cancel_orders", cancel_orders, 1, "rows are not sorted to be put back"),
    Pass("fill_padding", fill_padding, 1, "what is cut at the longest row and filled again stays"),
    Pass("simplify_indexing", simplify_indexing, 1, "indexing by counted positions is a view"),
    Pass("split_slices", split_slices, 1, "slices that tile an axis become a split"),
    Pass("stack_recurrent", stack_recurrent, 1, "recurrent layers in stacks, the batch first"),
    Pass("raise_rms_norm", raise_rms_norm, 1, "composed norms become rms_norm", logs=True),
    Pass("raise_rope", raise_rope, 1, "composed rotary embeddings become rope", logs=True),
    Pass("raise_layer_norm", raise_layer_norm, 1, "norms by mean and variance", logs=True),
    Pass("raise_gelu", raise_gelu, 1, "composed activations become gelu", logs=True),
    Pass("raise_rounding", raise_rounding, 1, "rounding of quantized models is one op", logs=True),
    Pass("raise_activations", raise_activations, 1, "formulas become activations", logs=True),
    Pass("attention_gain", attention_gain, 1, "gains of scores go to the queries"),
    Pass("raise_attention", raise_attention, 1, "composed attention is raised", logs=True),
    Pass("fold_attention_scale", fold_attention_scale, 1, "factors become the scale", logs=True),
    Pass("drop_repeat_kv", drop_repeat_kv, 1, "key heads are read once", logs=True),
    Pass("prove_mask_rows", prove_mask_rows, 1, "masks that leave every query a key need no guard"),
    Pass("prove_masks", prove_masks, 1, "masks by what they say: none, causal, short", logs=True),
    Pass("share_masks", share_masks, 1, "masks of all layers are made where the first one is"),
    Pass("sink_transposes", sink_transposes, 1, "channels last: transposes move down, cancel"),
    Pass("fold_pad", fold_pad, 1, "convolutions pad by themselves", logs=True),
    Pass("hoist_weight_transposes", hoist_weight_transposes, 1, "transposes move up to parameters"),
    Pass("fold_parameters", fold_parameters, 1, "layout of parameters moves to recipes"),
    Pass("border_transposes", border_transposes, 1, "transposes at a layer's border move out"),
    Pass("place_layers", place_layers, 1, "packed layers without names get them by their roles"),
    Pass("find_modules_first", find_modules_first, 2, "modules of a flat graph, for what follows"),
    Pass("fold_arithmetic", fold_arithmetic, 2, "arithmetic on weights is done once", logs=True),
    Pass("fold_conv_batch_norm", fold_conv_batch_norm, 2, "norms go into weights", logs=True),
    Pass("merge_linears", merge_linears, 2, "layers that read one value are one", logs=True),
    Pass("fold_norm_linear", fold_norm_linear, 2, "scales go into linear weights", logs=True),
    Pass("block_updates", block_updates, 1, "writes into parts of parts are writes into blocks"),
    Pass("match_masks", match_masks, 0, "additive masks follow the type of the queries"),
    Pass("narrow_integers", narrow_integers, 1, "index arithmetic in 32 bits"),
    Pass("final_cleanup", final_cleanup, 1, "clean-up passes until nothing changes"),
    Pass("split_selects", split_selects, 1, "all indices of an axis become a split"),
    Pass("infer_axes", infer_axes, 1, "choose the axis that a reshape infers"),
    Pass("find_modules", find_modules, 0, "repeated blocks of a flat graph become modules"),
]  # fmt: skip
