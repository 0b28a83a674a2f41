"""What -O2 does to weights: batch norms, scales and arithmetic go into recipes, sibling linears are stacked."""

import ml_dtypes
import numpy as np
import pytest
from pass_tools import applied, becomes, graph_of, refusals, unchanged

from mlx_transpile.ir.recipe import evaluate, reads
from mlx_transpile.passes.fold_norm_linear import fold_norm_linear
from mlx_transpile.passes.merge_linears import _name

CONV = """
def forward(x: f32[B, H, W, 3]):
    with module("conv", "Conv2d"):
        c: f32[B, H, W, 4] = conv(x, param("conv.weight", f32[4, 3, 3, 3]), None, stride=(1, 1), padding=(1, 1), dilation=(1, 1))
    with module("bn", "BatchNorm2d"):
        y: f32[B, H, W, 4] = batch_norm(c, param("bn.weight", f32[4]), param("bn.bias", f32[4]), param("bn.running_mean", f32[4], buffer=True), param("bn.running_var", f32[4], buffer=True), eps=9.0)
    return y
"""


def test_packed_weights_keep_their_norm():
    text = """
    def forward(x: f32[B, 8]):
        with module("norm", "RMSNorm"):
            n: f32[B, 8] = rms_norm(x, param("norm.weight", f32[8]))
        with module("fc", "Linear"):
            y: f32[B, 4] = linear(n, param("fc.weight", f32[4, 8], recipe=dequantize(read('q'), read('s'), number(8.0), 4, 0, (4, 1), 1, 0)), None)
        return y
    """
    reason = "a weight is packed, and would not be any more"
    assert refusals(text, "fold_norm_linear") == [reason]


def test_conv_and_batch_norm():
    found, _ = applied(CONV, "fold_conv_batch_norm")
    scale = "multiply(read('bn.weight'), rsqrt(add(read('bn.running_var'), number(9.0))))"
    assert f"multiply(read('conv.weight'), reshape({scale}, (-1, 1, 1, 1)))" in found
    assert f"subtract(read('bn.bias'), multiply(read('bn.running_mean'), {scale}))" in found
    assert "batch_norm(" not in found and "param('conv.bias', f32[4]" in found


def test_linear_with_a_bias_and_batch_norm_without_weights():
    text = """
    def forward(x: f32[B, 3]):
        with module("fc", "Linear"):
            c: f32[B, 4] = linear(x, param("fc.weight", f32[4, 3]), param("fc.bias", f32[4]))
        with module("bn", "BatchNorm1d"):
            y: f32[B, 4] = batch_norm(c, None, None, param("bn.running_mean", f32[4], buffer=True), param("bn.running_var", f32[4], buffer=True), eps=9.0)
        return y
    """
    found, _ = applied(text, "fold_conv_batch_norm")
    assert "linear(x, param('fc.weight'" in found and "batch_norm(" not in found


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("return y", "return y, c", "the result of conv is used elsewhere"),
        ("batch_norm(c, ", "batch_norm(x1, ", "what it normalises is no result of a layer"),
        (
            'param("bn.running_mean", f32[4], buffer=True), param("bn.running_var", f32[4], buffer=True)',
            "None, None",
            "its statistics are those of the batch",
        ),
        ("return y", 'return y, param("bn.weight", f32[4])', "a weight is used elsewhere"),
        (
            "return y",
            'z: f32[4] = negative(param("conv.bias", f32[4]))\n    return y, z',
            "the layer has no place for a bias",
        ),
    ],
)
def test_a_batch_norm_that_must_stay(old, new, reason):
    text = CONV.replace(old, new).replace(
        'with module("bn"',
        'x1: f32[B, H, W, 4] = relu(c)\n    with module("bn"',
    )
    if "x1, " not in new:
        text = CONV.replace(old, new)
    assert refusals(text, "fold_conv_batch_norm") == [reason]


NORM = """
def forward(x: f32[B, L, 8]):
    with module("norm", "LayerNorm"):
        n: f32[B, L, 8] = layer_norm(x, param("norm.weight", f32[8]), param("norm.bias", f32[8]))
    with module("up", "Linear"):
        u: f32[B, L, 4] = linear(n, param("up.weight", f32[4, 8]), None)
    with module("down", "Linear"):
        d: f32[B, L, 4] = linear(n, param("down.weight", f32[4, 8]), param("down.bias", f32[4]))
    return u, d
"""


def test_scale_and_shift_of_a_norm():
    found, _ = applied(NORM, "fold_norm_linear")
    assert "layer_norm(x, None, None" in found
    assert "recipe=multiply(read('up.weight'), read('norm.weight'))" in found
    assert "'up.bias', f32[4], recipe=product(read('up.weight'), read('norm.bias'))" in found
    assert "recipe=add(product(read('down.weight'), read('norm.bias')), read('down.bias'))" in found


def test_scale_of_an_rms_norm():
    becomes(
        """
        def forward(x: f32[B, 8]):
            n: f32[B, 8] = rms_norm(x, param("norm.weight", f32[8]))
            u: f32[B, 4] = linear(n, param("up.weight", f32[4, 8]), None)
            return u
        """,
        """
        def forward(x: f32[B, 8]):
            n: f32[B, 8] = rms_norm(x, None, by=["fold_norm_linear"])
            u: f32[B, 4] = linear(n, param("up.weight", f32[4, 8], recipe=multiply(read("up.weight"), read("norm.weight"))), None, by=["fold_norm_linear"])
            return u
        """,
        "fold_norm_linear",
    )


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ("return u, d, n", "its result is an output"),
        ("r: f32[B, L, 8] = relu(n)\n    return u, d, r", "its result is read by relu"),
        ('return u, d, param("norm.weight", f32[8])', "a weight is used elsewhere"),
        ('e: f32[B, L, 8] = embedding(param("up.weight", f32[4, 8]), i)\n    return u, d, e',
         "a weight is used elsewhere"),
    ],
)  # fmt: skip
def test_a_norm_that_must_keep_its_weights(new, reason):
    text = NORM.replace("return u, d", new).replace(
        "(x: f32[B, L, 8])", "(x: f32[B, L, 8], i: i64[B, L])"
    )
    assert refusals(text, "fold_norm_linear") == [reason]


QKV = """
def forward(x: f32[B, L, 8]):
    with module("attn", "Attention"):
        with module("attn.q_proj", "Linear"):
            q: f32[B, L, 8] = linear(x, param("attn.q_proj.weight", f32[8, 8]), param("attn.q_proj.bias", f32[8]))
        with module("attn.k_proj", "Linear"):
            k: f32[B, L, 4] = linear(x, param("attn.k_proj.weight", f32[4, 8]), None)
    return q, k
"""


def test_siblings_are_stacked_and_split():
    becomes(
        QKV,
        """
        def forward(x: f32[B, L, 8]):
            with module("attn", "Attention"):
                with module("attn.qk_proj", "Linear"):
                    linear: f32[B, L, 12] = linear(x, param("attn.qk_proj.weight", f32[12, 8], recipe=concatenate([read("attn.q_proj.weight"), read("attn.k_proj.weight")], 0)), param("attn.qk_proj.bias", f32[12], recipe=concatenate([read("attn.q_proj.bias"), zeros((4,), f32)], 0)), by=["merge_linears"])
                q, k = split(linear, sizes=(8, 4), axis=2, types=[f32[B, L, 8], f32[B, L, 4]], by=["merge_linears"])
            return q, k
        """,
        "merge_linears",
    )


def test_layers_of_different_values_stay():
    unchanged(
        QKV.replace("(x: f32[B, L, 8])", "(x: f32[B, L, 8], z: f32[B, L, 8])").replace(
            "k: f32[B, L, 4] = linear(x", "k: f32[B, L, 4] = linear(z"
        ),
        "merge_linears",
    )


def test_layers_of_different_modules_stay():
    unchanged(QKV.replace("attn.k_proj", "attn.other.k_proj").replace(
        'with module("attn.other', 'with module("attn.other", "Other"):\n          with module("attn.other'
    ).replace("            k:", "              k:"), "merge_linears")  # fmt: skip


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        ('return q, k, param("attn.q_proj.weight", f32[8, 8])', "a weight is computed or used elsewhere"),
        ('z: f32[2] = relu(param("attn.qk_proj.weight", f32[2]))\n    return q, k, z', "there is a qk_proj already"),
    ],
)  # fmt: skip
def test_siblings_that_must_stay(new, reason):
    assert refusals(QKV.replace("return q, k", new), "merge_linears") == [reason]


@pytest.mark.parametrize(
    ("names", "merged"),
    [
        ("q_proj k_proj v_proj", "qkv_proj"),
        ("gate_proj up_proj", "gate_up_proj"),
        ("query key value", "query_key_value"),
        ("to_q to_k to_v", "to_qkv"),
        ("q k v", "qkv"),
        ("wi_0 wi_1", "wi_0_1"),
        ("w1 w3", "w1_w3"),
        ("value query", "value_query"),
    ],
)
def test_names_of_merged_layers(names, merged):
    assert _name(names.split()) == merged


def test_arithmetic_on_a_weight():
    becomes(
        """
        def forward(x: f32[B, 8]):
            with module("norm", "GemmaRMSNorm"):
                w: f32[8] = add(param("norm.weight", f32[8]), 1.0)
                y: f32[B, 8] = rms_norm(x, w)
            return y
        """,
        """
        def forward(x: f32[B, 8]):
            with module("norm", "GemmaRMSNorm"):
                y: f32[B, 8] = rms_norm(x, param("norm.weight", f32[8], recipe=add(read("norm.weight"), number(1.0))))
            return y
        """,
        "fold_arithmetic",
    )


WEIGHT_NORM = """
def forward(x: f32[B, 9, 3]):
    with module("conv", "Conv1d"):
        w: f32[4, 5, 3] = weight_norm(param("conv.weight_v", f32[4, 5, 3]), param("conv.weight_g", f32[4, 1, 1]), axis=0)
        y: f32[B, 5, 4] = conv(x, w, None, stride=(1,), padding=(0,), dilation=(1,))
    return y
"""


def test_a_weight_norm_is_computed_once():
    found, _ = applied(WEIGHT_NORM, "fold_arithmetic")
    norm = "norm(read('conv.weight_v'), (1, 2))"
    assert f"multiply(read('conv.weight_v'), divide(read('conv.weight_g'), {norm}))" in found
    assert "param('conv.weight', f32[4, 5, 3]" in found and "weight_norm" not in found


def test_a_weight_that_is_also_read_as_it_is_stays():
    text = WEIGHT_NORM.replace("return y", 'return y, param("conv.weight_g", f32[4, 1, 1])')
    assert refusals(text, "fold_arithmetic") == [
        "a parameter is used elsewhere"
    ]  # fmt: skip


def test_folded_half_precision_is_computed_in_float32():
    graph = graph_of("""
    def forward(x: bf16[B, 8]):
        n: bf16[B, 8] = rms_norm(x, param("norm.weight", bf16[8]))
        u: bf16[B, 4] = linear(n, param("up.weight", bf16[4, 8]), None)
        return u
    """)
    assert fold_norm_linear(graph)
    recipe = graph.params["up.weight"].recipe
    assert (
        str(recipe)
        == "cast(multiply(cast(read('up.weight'), f32), cast(read('norm.weight'), f32)), bf16)"
    )
    assert reads(recipe) == ["up.weight", "norm.weight"]
    one = np.ones(8, ml_dtypes.bfloat16)
    assert evaluate(recipe, {"up.weight": one[None], "norm.weight": one}).dtype == one.dtype
