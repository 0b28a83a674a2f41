"""Every rule has a text that it changes, and one like it that it refuses, with the reason.

The names of the rules are read from the code of the passes: a new rule without a case fails here.
"""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest
from pass_tools import check, graph_of
from test_fold_pad import TEXT as PAD
from test_prove_masks import CAUSAL
from test_prove_masks import attention as masked
from test_raise_activations import GLU, REDUCED
from test_raise_activations import text_of as formula
from test_raise_layer_norm import GROUPS, LAYER
from test_raise_rope import FREQS, HALVES
from test_raising import ATTENTION, ERF, FLAT, GELU, REPEATED, RMS, SHARED
from test_weights_at_o2 import CONV, NORM, QKV, WEIGHT_NORM

import mlx_transpile.passes
from mlx_transpile.passes.attention_gain import GAINS
from mlx_transpile.passes.pipeline import list_passes
from mlx_transpile.passes.raise_activations import ACTIVATIONS
from mlx_transpile.passes.rewrite import rewrite

FOLDER = Path(mlx_transpile.passes.__file__).parent


class Case(NamedTuple):
    """A text that the rule changes, one that it refuses, the reason; `refused_by` where another
    rule of the same pass speaks."""

    pass_name: str
    text: str
    other: str
    reason: str
    refused_by: str = ""


PRODUCT = """
def forward(x: f32[B, 8]):
    with module("fc", "Linear"):
        t: f32[8, 6] = transpose(param("fc.weight", f32[6, 8]), axes=(1, 0))
        y: f32[B, 6] = matmul(x, t)
    return y
"""
BIAS = """
def forward(x: f32[B, 8], b: f32[6]):
    with module("fc", "Linear"):
        n: f32[B, 6] = linear(x, param("fc.weight", f32[6, 8]), None)
        y: f32[B, 6] = add(n, param("fc.bias", f32[6]))
    return y
"""
STEPS = """
def forward(x: f32[B, 8]):
    a: f32[B, 8] = divide(x, 0.05)
    b: f32[B, 8] = round(a)
    c: f32[B, 8] = add(b, 120.0)
    d: f32[B, 8] = clip(c, 0.0, 255.0)
    e: u8[B, 8] = cast(d, dtype=u8)
    f: f32[B, 8] = cast(e, dtype=f32)
    g: f32[B, 8] = subtract(f, 120.0)
    y: f32[B, 8] = multiply(g, 0.05)
    return y
"""
ROWS = """
def forward(x: f32[B, 6, L]):
    t: f32[B, L, 6] = transpose(x, axes=(0, 2, 1))
    n: f32[B, L, 6] = instance_norm(t, None, None)
    y: f32[B, 6, L] = transpose(n, axes=(0, 2, 1))
    return y
"""
NARROW_RMS = """
def forward(x: bf16[B, 8]):
    w: f32[B, 8] = cast(x, dtype=f32)
    n: f32[B, 8] = rms_norm(w, None)
    y: bf16[B, 8] = cast(n, dtype=bf16)
    return y
"""
NARROW_LAYER = NARROW_RMS.replace("rms_norm(w, None)", "layer_norm(w, None, None)")
SCALED = """
def forward(q: f32[B, 4, L, 8]):
    z: f32[B, 4, L, 8] = multiply(q, 0.25)
    o: f32[B, 4, L, 8] = attention(z, q, q, None, scale=1.0)
    return o
"""
AXPY = """
def forward(x: f32[B, 8]):
    with module("norm", "GemmaRMSNorm"):
        w: f32[8] = add(param("norm.weight", f32[8]), 1.0)
        y: f32[B, 8] = rms_norm(x, w)
    return y
"""
PARTLY = (
    HALVES.replace("x: f32[B, 2, L, 8]", "z: f32[B, 2, L, 20]")
    .replace("    one, two", "    x: f32[B, 2, L, 8] = slice(z, axis=3, stop=8)\n"
             "    rest: f32[B, 2, L, 12] = slice(z, axis=3, start=8)\n    one, two")
    .replace("    return y", "    w: f32[B, 2, L, 20] = concatenate(y, rest, axis=3)\n    return w")
)  # fmt: skip
LEAKY = """
def forward(x: f32[B, 8]):
    c: bool[B, 8] = greater(x, 0)
    a: f32[B, 8] = multiply(x, 0.1)
    y: f32[B, 8] = where(c, x, a)
    return y
"""
GAIN = ATTENTION.replace("multiply(p, 0.5)", 'multiply(p, param("scale", f32[4, 1, 1]))')
USED_TWICE = "the result of {} is used elsewhere"


def activation(code: str, other: str, reason: str) -> Case:
    return Case("raise_activations", formula(code), formula(other), reason)


def kept(code: str, inner: str, op: str) -> Case:
    """A formula, and the same where an inner result leaves the graph."""
    text = formula(code)
    other = text.replace("return y", f"return y, {inner}")
    return Case("raise_activations", text, other, USED_TWICE.format(op))


CASES = {
    "linear": Case(
        "raise_linear", PRODUCT,
        PRODUCT.replace('param("fc.weight", f32[6, 8])', "w").replace("8])", "8], w: f32[6, 8])", 1),
        "the weight is no parameter of rank 2"),
    "linear_bias": Case("raise_linear", BIAS, BIAS.replace('param("fc.bias", f32[6])', "b"),
                        "what is added is no bias"),
    "addmm": Case("raise_linear", FLAT, FLAT.replace("return y",
                  'z: f32[B, 8, 6] = broadcast_to(param("c_attn.weight", f32[8, 6]), shape=(B, 8, 6))\n    return y, z'),
                  "the weight is used elsewhere, in its own layout"),
    "rms_norm": Case("raise_rms_norm", RMS, RMS.replace("power(x, 2,", "power(x, 3,"),
                     "3 stands where 2 should"),
    "rms_norm_weight": Case("raise_rms_norm", RMS,
                            RMS.replace('param("norm.weight", f32[8])', 'param("gain", f32[1])'),
                            "the factor is no vector over the last axis"),
    "rms_norm_cast": Case("raise_rms_norm", NARROW_RMS,
                          NARROW_RMS.replace("y: bf16", "y: f16").replace("n, dtype=bf16", "n, dtype=f16"),
                          "the casts around the norm do not undo each other"),
    "rope": Case("raise_rope", HALVES, HALVES.replace("negative(two)", "negative(one)"),
                 "the halves are not paired as in a rotation"),
    "rope_partial": Case("raise_rope", PARTLY, PARTLY.replace("slice(z, axis=3, start=8)", "slice(z, axis=3, stop=12)"),
                         "what turns and the rest are not one tensor in its order"),
    "norm": Case("raise_layer_norm", LAYER, LAYER.replace("square(c)", "power(c, 3)"),
                 "3 stands where 2 should"),
    "row_norm": Case("raise_layer_norm", ROWS, ROWS.replace("(t, None, None)", '(t, param("w", f32[6]), None)'),
                     "the norm has weights for its channels"),
    "group_norm": Case("raise_layer_norm", GROUPS,
                       GROUPS.replace("[B, 8, H, W]", "[B, 3, 8, W]").replace("shape=(B, 8, H, W)", "shape=(B, 3, 8, W)")
                       .replace("4*H*W", "12*W").replace("[1, 8, 1, 1]", "[1, 3, 1, 1]"),
                       "the channels are no multiple of the groups"),
    "norm_scale": Case("raise_layer_norm", LAYER,
                       LAYER.replace('param("norm.weight", f32[8])', 'param("gain", f32[1])'),
                       "the other operand is no vector over the normalised channels"),
    "norm_shift": Case("raise_layer_norm", LAYER,
                       LAYER.replace('param("norm.bias", f32[8])', 'param("shift", f32[1])'),
                       "the other operand is no vector over the normalised channels"),
    "norm_cast": Case("raise_layer_norm", NARROW_LAYER,
                      NARROW_LAYER.replace("layer_norm(w, None", 'layer_norm(w, param("weight", f32[8])'),
                      "a weight is wider than the operand"),
    "gelu_tanh": Case("raise_gelu", GELU, GELU.replace("0.044715", "0.04"), "0.04 stands where 0.044715 should"),
    "gelu": Case("raise_gelu", ERF, ERF.replace("1.4142135623730951", "1.7"), "1.7 stands where 1.41421 should"),
    "sigmoid": activation("n = negative(x); e = exp(n); o = add(1.0, e); y = reciprocal(o)",
                          "n = negative(x); e = exp(n); o = add(2.0, e); y = reciprocal(o)",
                          "2.0 stands where 1 should"),
    "silu": kept("s = sigmoid(x); y = multiply(s, x)", "s", "sigmoid"),
    "relu": activation("y = maximum(x, 0.0)", "y = maximum(x, 1.0)", "1.0 stands where 0 should"),
    "log_sigmoid": kept("s = sigmoid(x); y = log(s)", "s", "sigmoid"),
    "softplus": activation("e = exp(x); o = add(e, 1.0); y = log(o)", "e = exp(x); o = add(e, 2.0); y = log(o)",
                           "2.0 stands where 1 should"),
    "log10": activation("l = log(x); y = divide(l, 2.302585)", "l = log(x); y = divide(l, 2.3)",
                        "2.3 stands where 2.30259 should"),
    "log2": activation("l = log(x); y = multiply(l, 1.442695)", "l = log(x); y = multiply(l, 0.7)",
                       "0.7 stands where 1.4427 should"),
    "mish": kept("p = softplus(x); t = tanh(p); y = multiply(x, t)", "t", "tanh"),
    "hardsigmoid": activation("a = add(x, 3.0); c = clip(a, 0.0, 6.0); y = divide(c, 6.0)",
                              "a = add(x, 3.0); c = clip(a, 0.0, 6.0); y = divide(c, 5.0)",
                              "5.0 stands where 6 should"),
    "hardswish": activation("a = add(x, 3.0); c = clip(a, 0.0, 6.0); m = multiply(x, c); y = divide(m, 6.0)",
                            "a = add(x, 3.0); c = clip(a, 0.0, 4.0); m = multiply(x, c); y = divide(m, 6.0)",
                            "4.0 stands where 6 should"),
    "leaky_relu": Case("raise_activations", LEAKY, LEAKY.replace("greater(x, 0)", "greater(x, 1)"),
                       "1 stands where 0 should"),
    "log_softmax": kept("s = softmax(x, axis=1); y = log(s)", "s", "softmax"),
    "softmax": Case("raise_activations", REDUCED,
                    REDUCED.replace("m: f32[B, 1] = max(x, axes=(1,)", "m: f32[1, 8] = max(x, axes=(0,)"),
                    "it is not over one axis"),
    "fake_quantize": Case("raise_rounding", STEPS, STEPS.replace("u8", "f16"),
                          "the steps are no whole numbers"),
    "glu": Case("raise_activations", GLU, GLU.replace("sigmoid(b)", "sigmoid(a)").replace("multiply(a", "multiply(b"),
                "value and gate are not the first and the second half"),
    "attention_gain": Case("attention_gain", GAIN, ATTENTION.replace("multiply(p, 0.5)", "multiply(p, mask)"),
                           "the gain differs from key to key"),
    "attention": Case("raise_attention", ATTENTION, ATTENTION.replace("axis=3", "axis=2"),
                      "the softmax is not over the keys"),
    "attention_scale": Case("fold_attention_scale", SCALED, SCALED.replace("0.25", "-0.25"),
                            "the factor -0.25 is not positive"),
    "drop_repeat_kv": Case("drop_repeat_kv", REPEATED, REPEATED.replace("return o", "return o, k3"),
                           USED_TWICE.format("reshape")),
    "shared_product": Case("drop_repeat_kv", SHARED,
                           SHARED.replace("axes=(2,)", "axes=(1,)").replace("[B, 2, 1, S, 8]", "[B, 1, 2, S, 8]"),
                           "the heads are not what is repeated"),
    "pad_conv": Case("fold_pad", PAD, PAD.replace("high=(0, 2, 0)", "high=(0, 2, 0), value=1"),
                     "it does not pad with zeros"),
    "causal_mask": Case("prove_masks", masked("m", body=CAUSAL),
                        masked("m", keys="T", body="m: bool[L, T] = less_equal(j, row)"),
                        "the mask is aligned to the upper left: L queries, T keys"),
    "full_mask": Case("prove_masks", masked("m", body="m: bool[L, 1] = greater_equal(row, 0)"),
                      masked("m", body="m: bool[L, 1] = greater_equal(row, 1)"),
                      "the mask is of another kind", refused_by="causal_mask"),
    "fold_arithmetic": Case("fold_arithmetic", AXPY,
                            WEIGHT_NORM.replace("return y", 'return y, param("conv.weight_g", f32[4, 1, 1])'),
                            "a parameter is used elsewhere"),
    "fold_conv_batch_norm": Case("fold_conv_batch_norm", CONV, CONV.replace("return y", "return y, c"),
                                 USED_TWICE.format("conv")),
    "fold_norm_linear": Case("fold_norm_linear", NORM, NORM.replace("return u, d", "return u, d, n"),
                             "its result is an output"),
    "merge_linears": Case("merge_linears", QKV,
                          QKV.replace("return q, k", 'return q, k, param("attn.q_proj.weight", f32[8, 8])'),
                          "a weight is computed or used elsewhere"),
}  # fmt: skip


def rules() -> set[str]:
    """The rules that can refuse: the names of rows, and those that passes write to the log."""
    found = {row.op for row in ACTIVATIONS}
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="Rewrite" | "entry"), args=[ast.Constant(value=str(name)), *_]
                ):
                    found.add(name)
                case ast.Assign(
                    targets=[ast.Attribute(attr="rule")], value=ast.IfExp(body=a, orelse=b)
                ):
                    found |= {ast.literal_eval(a), ast.literal_eval(b)}
    return found


def test_every_rule_has_a_case():
    assert rules() == set(CASES)
    assert {c.pass_name for c in CASES.values()} <= {p.name for p in list_passes()}


def log_of(case: Case, text: str) -> set[tuple[str, str | None]]:
    """The rules with what they said; the numbers stay the same."""
    if case.pass_name == "attention_gain":  # its pass keeps no log: most scores have no gain
        log = []
        rewrite(graph_of(text), GAINS, log)
    else:
        log = [e for r in check(graph_of(text, FREQS), case.pass_name) for e in r.log]
    return {(e.rewrite, e.reason) for e in log}


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_applies(rule):
    assert (rule, None) in log_of(CASES[rule], CASES[rule].text)


@pytest.mark.parametrize("rule", CASES)
def test_a_rule_refuses(rule):
    case = CASES[rule]
    found = log_of(case, case.other)
    assert (case.refused_by or rule, case.reason) in found
    assert (rule, None) not in found
