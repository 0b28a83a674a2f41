"""Norms and attention composed of small ops: raised where they are what they seem, refused with the reason."""

from pass_tools import applied, becomes, refusals, unchanged

RMS = """
def forward(x: f32[B, L, 8]):
    with module("norm", "LlamaRMSNorm"):
        s: f32[B, L, 8] = power(x, 2, at="m.py:1")
        m: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)
        e: f32[B, L, 1] = add(m, 1e-06)
        r: f32[B, L, 1] = rsqrt(e)
        n: f32[B, L, 8] = multiply(x, r)
        y: f32[B, L, 8] = multiply(param("norm.weight", f32[8]), n, at="m.py:2")
    return y
"""


def test_rms_norm():
    becomes(
        RMS,
        """
        def forward(x: f32[B, L, 8]):
            with module("norm", "LlamaRMSNorm"):
                y: f32[B, L, 8] = rms_norm(x, param("norm.weight", f32[8]), eps=1e-06, by=["rms_norm_weight"], at=["m.py:2", "m.py:1"])
            return y
        """,
        "raise_rms_norm",
    )


def test_rms_norm_spelled_otherwise():
    for line in (
        "q: f32[B, L, 1] = sqrt(e)\n        n: f32[B, L, 8] = divide(x, q)",
        "q: f32[B, L, 1] = sqrt(e)\n        r: f32[B, L, 1] = divide(1.0, q)\n        n: f32[B, L, 8] = multiply(x, r)",
        "r: f32[B, L, 1] = power(e, -0.5)\n        n: f32[B, L, 8] = multiply(r, x)",
    ):
        before = RMS.replace(
            "r: f32[B, L, 1] = rsqrt(e)\n        n: f32[B, L, 8] = multiply(x, r)", line
        )
        before = before.replace("power(x, 2, ", "multiply(x, x, ")
        assert "rms_norm(x, param(" in applied(before, "raise_rms_norm")[0]


def test_rms_norm_in_half_precision_needs_no_casts():
    becomes(
        """
        def forward(x: bf16[B, L, 8]):
            w: f32[B, L, 8] = cast(x, dtype=f32)
            s: f32[B, L, 8] = square(w)
            m: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)
            e: f32[B, L, 1] = add(m, 1e-06)
            r: f32[B, L, 1] = rsqrt(e)
            n: f32[B, L, 8] = multiply(w, r)
            y: bf16[B, L, 8] = cast(n, dtype=bf16)
            return y
        """,
        """
        def forward(x: bf16[B, L, 8]):
            y: bf16[B, L, 8] = rms_norm(x, None, eps=1e-06, by=["rms_norm_cast"])
            return y
        """,
        "raise_rms_norm",
    )


def test_rms_norm_over_another_axis_is_refused():
    text = RMS.replace("axes=(2,)", "axes=(1,)").replace("[B, L, 1]", "[B, 1, 8]")
    assert refusals(text, "raise_rms_norm") == ["the mean is not over the last axis alone"]


def test_mean_of_cubes_is_refused():
    assert refusals(RMS.replace("power(x, 2,", "power(x, 3,"), "raise_rms_norm") == [
        "3 stands where 2 should"
    ]


def test_rms_norm_whose_variance_is_used_elsewhere_is_refused():
    text = RMS.replace("return y", "return y, m")
    assert refusals(text, "raise_rms_norm") == ["the result of mean is used elsewhere"]


def test_a_factor_that_is_no_weight_stays():
    text, runs = applied(
        RMS.replace('param("norm.weight", f32[8])', 'param("gain", f32[1])'), "raise_rms_norm"
    )
    assert "rms_norm(x, None" in text and "multiply(param('gain'" in text
    assert [e.reason for r in runs for e in r.log if e.reason] == [
        "the factor is no vector over the last axis"
    ]


ATTENTION = """
def forward(q: f32[B, 4, L, 8], k: f32[B, 4, S, 8], v: f32[B, 4, S, 6], mask: f32[B, 1, 1, S]):
    t: f32[B, 4, 8, S] = transpose(k, axes=(0, 1, 3, 2))
    p: f32[B, 4, L, S] = matmul(q, t)
    s: f32[B, 4, L, S] = multiply(p, 0.5)
    m: f32[B, 4, L, S] = add(s, mask)
    w: f32[B, 4, L, S] = softmax(m, axis=3)
    o: f32[B, 4, L, 6] = matmul(w, v)
    return o
"""
RAISED = """
def forward(q: f32[B, 4, L, 8], k: f32[B, 4, S, 8], v: f32[B, 4, S, 6], mask: f32[B, 1, 1, S]):
    o: f32[B, 4, L, 6] = attention(q, k, v, mask, scale=0.5, by=["attention"])
    return o
"""


def test_attention():
    becomes(ATTENTION, RAISED, "raise_attention")


def test_attention_scaled_by_division():
    becomes(ATTENTION.replace("multiply(p, 0.5)", "divide(p, 2.0)"), RAISED, "raise_attention")


def test_attention_with_scaled_queries():
    text = ATTENTION.replace("s: f32[B, 4, L, S] = multiply(p, 0.5)\n    ", "").replace(
        "add(s,", "add(p,"
    )
    text = text.replace(
        "    p: f32", "    z: f32[B, 4, L, 8] = multiply(q, 0.5)\n    p: f32"
    ).replace("matmul(q,", "matmul(z,")
    found, _ = applied(text, "raise_attention", "fold_attention_scale")
    assert "attention(q, k, v, mask, scale=0.5" in found


def test_attention_with_keys_transposed_at_once():
    text = ATTENTION.replace("k: f32[B, 4, S, 8]", "k: f32[B, S, 4, 8]").replace(
        "axes=(0, 1, 3, 2)", "axes=(0, 2, 3, 1)"
    )
    found, _ = applied(text, "raise_attention")
    assert "transpose(k, axes=(0, 2, 1, 3))" in found and "attention(q, " in found


def test_attention_with_filled_scores():
    text = ATTENTION.replace("mask: f32", "mask: bool").replace(
        "add(s, mask)", "where(mask, -3.4028234663852886e+38, s)"
    )
    found, _ = applied(text, "raise_attention")
    assert (
        "where(mask, -3.4028234663852886e+38, 0.0" in found
        and "attention(q, k, v, mask__2, scale=0.5" in found
    )


def test_scores_filled_with_a_moderate_number_are_refused():
    text = ATTENTION.replace("mask: f32", "mask: bool").replace(
        "add(s, mask)", "where(mask, -100.0, s)"
    )
    assert refusals(text, "raise_attention") == [
        "masked scores are set to -100.0, which does not hide them"
    ]


def test_weights_that_are_returned_are_refused():
    assert set(refusals(ATTENTION.replace("return o", "return o, w"), "raise_attention")) == {
        "the result of softmax is used elsewhere"
    }


def test_softmax_over_queries_is_refused():
    text = ATTENTION.replace("axis=3", "axis=2")
    assert refusals(text, "raise_attention") == ["the softmax is not over the keys"]


FLAT_HEADS = """
def forward(q: f32[B, L, 8], k: f32[B, S, 8], v: f32[B, S, 6], mask: f32[1, L, S]):
    t: f32[B, 8, S] = transpose(k, axes=(0, 2, 1))
    p: f32[B, L, S] = matmul(q, t)
    m: f32[B, L, S] = add(p, mask)
    w: f32[B, L, S] = softmax(m, axis=2)
    o: f32[B, L, 6] = matmul(w, v)
    return o
"""


def test_product_of_rank_3_is_attention_with_one_head():
    found, _ = applied(FLAT_HEADS, "raise_attention")
    assert "attention(q__2, k__2, v__2, mask__2, scale=1.0" in found
    assert "q__2: f32[B, 1, L, 8] = expand_dims(q, axes=(1,)" in found and "squeeze(" in found


def test_product_of_mixed_ranks_is_refused():
    text = FLAT_HEADS.replace("v: f32[B, S, 6]", "v: f32[S, 6]")
    assert refusals(text, "raise_attention") == [
        "queries, keys and values are not all of rank 3 or 4"
    ]


def test_two_masks_are_added():
    text = ATTENTION.replace("mask: f32[B, 1, 1, S]", "mask: f32[B, 1, 1, S], bias: f32[4, L, S]")
    text = text.replace("    w: f32", "    n: f32[B, 4, L, S] = add(m, bias)\n    w: f32").replace(
        "softmax(m", "softmax(n"
    )
    found, _ = applied(text, "raise_attention")
    assert "mask__2: f32[B, 4, L, S] = add(mask, bias" in found
    assert "attention(q, k, v, mask__2, scale=0.5" in found


def test_a_number_added_to_the_scores_is_refused():
    text = ATTENTION.replace("add(s, mask)", "add(s, 1.0)")
    assert refusals(text, "raise_attention") == ["what is added to the scores is no tensor"]


WINDOWS = """
def forward(q: f32[4*B, 2, 9, 8], bias: f32[2, 9, 9], windows: f32[1, 4, 1, 9, 9]):
    t: f32[4*B, 2, 8, 9] = transpose(q, axes=(0, 1, 3, 2))
    p: f32[4*B, 2, 9, 9] = matmul(q, t)
    s: f32[4*B, 2, 9, 9] = add(p, bias)
    r: f32[B, 4, 2, 9, 9] = reshape(s, shape=(B, 4, 2, 9, 9))
    m: f32[B, 4, 2, 9, 9] = add(r, windows)
    f: f32[4*B, 2, 9, 9] = reshape(m, shape=(4*B, 2, 9, 9))
    w: f32[4*B, 2, 9, 9] = softmax(f, axis=3)
    o: f32[4*B, 2, 9, 8] = matmul(w, q)
    return o, b
"""


def test_masks_of_windows():
    text = WINDOWS.replace("(q:", "(b: f32[B], q:")
    found, _ = applied(text, "raise_attention")
    assert "broadcast_to(windows, shape=(B, 4, 1, 9, 9)" in found and "softmax" not in found
    other = text.replace("[B, 4, 2, 9, 9]", "[B, 8, 9, 9]").replace(
        "(B, 4, 2, 9, 9)", "(B, 8, 9, 9)"
    )
    other = other.replace("windows: f32[1, 4, 1, 9, 9]", "windows: f32[9, 9]")
    assert refusals(other, "raise_attention") == ["the windows are not parts of the batch"]


def test_capped_scores_are_refused():
    text = (
        ATTENTION.replace("multiply(p, 0.5)", "tanh(p)")
        .replace("    m: f32", "    c: f32[B, 4, L, S] = multiply(s, 30.0)\n    m: f32")
        .replace("add(s,", "add(c,")
    )
    assert refusals(text, "raise_attention") == [
        "the scores are capped by tanh, which MLX's attention does not do"
    ]


def test_a_gain_for_each_head():
    text = ATTENTION.replace("multiply(p, 0.5)", 'multiply(p, param("scale", f32[4, 1, 1]))')
    found, _ = applied(text, "attention_gain", "raise_attention")
    assert "queries: f32[B, 4, L, 8] = multiply(q, param('scale', f32[4, 1, 1])" in found
    assert "attention(queries, k, v, mask, scale=1.0" in found


def test_a_gain_for_each_key_stays():
    text = ATTENTION.replace("multiply(p, 0.5)", "multiply(p, mask)")
    found, _ = applied(text, "attention_gain", "raise_attention")
    assert "multiply(p, mask)" in found and "attention(" not in found


SHARED = """
def forward(q: f32[B, 4, L, 8], k: f32[B, 2, S, 8]):
    k1: f32[B, 2, 1, S, 8] = expand_dims(k, axes=(2,))
    k2: f32[B, 2, 2, S, 8] = broadcast_to(k1, shape=(B, 2, 2, S, 8))
    k3: f32[B, 4, S, 8] = reshape(k2, shape=(B, 4, S, 8))
    v1: f32[B, 2, 1, S, 8] = expand_dims(k, axes=(2,))
    v2: f32[B, 2, 2, S, 8] = broadcast_to(v1, shape=(B, 2, 2, S, 8))
    v3: f32[B, 4, S, 8] = reshape(v2, shape=(B, 4, S, 8))
    t: f32[B, 4, 8, S] = transpose(k3, axes=(0, 1, 3, 2))
    p: f32[B, 4, L, S] = matmul(q, t)
    w: f32[B, 4, L, S] = tanh(p)
    o: f32[B, 4, L, 8] = matmul(w, v3)
    return o
"""


def test_products_share_repeated_heads():
    found, _ = applied(SHARED, "drop_repeat_kv")
    assert "= broadcast_to(" not in found and found.count("= matmul(") == 2
    assert "reshape(q, shape=(B, 2, 2, L, 8)" in found


def test_heads_repeated_as_a_whole_are_refused():
    text = """
    def forward(q: f32[B, 4, L, 8], k: f32[B, 2, 8, S]):
        k1: f32[B, 1, 2, 8, S] = expand_dims(k, axes=(1,))
        k2: f32[B, 2, 2, 8, S] = broadcast_to(k1, shape=(B, 2, 2, 8, S))
        k3: f32[B, 4, 8, S] = reshape(k2, shape=(B, 4, 8, S))
        p: f32[B, 4, L, S] = matmul(q, k3)
        return p
    """
    assert refusals(text, "drop_repeat_kv") == ["the heads are not what is repeated"]


REPEATED = """
def forward(q: f32[B, 4, L, 8], k: f32[B, 2, S, 8], v: f32[B, 2, S, 8]):
    with module("attn", "Attention"):
        k1: f32[B, 2, 1, S, 8] = expand_dims(k, axes=(2,))
        k2: f32[B, 2, 2, S, 8] = broadcast_to(k1, shape=(B, 2, 2, S, 8))
        k3: f32[B, 4, S, 8] = reshape(k2, shape=(B, 4, S, 8))
        v1: f32[B, 2, 1, S, 8] = expand_dims(v, axes=(2,))
        v2: f32[B, 2, 2, S, 8] = broadcast_to(v1, shape=(B, 2, 2, S, 8))
        v3: f32[B, 4, S, 8] = reshape(v2, shape=(B, 4, S, 8))
        o: f32[B, 4, L, 8] = attention(q, k3, v3, None, scale=0.5)
    return o
"""


def test_repeated_keys_and_values():
    becomes(
        REPEATED,
        """
        def forward(q: f32[B, 4, L, 8], k: f32[B, 2, S, 8], v: f32[B, 2, S, 8]):
            with module("attn", "Attention"):
                o: f32[B, 4, L, 8] = attention(q, k, v, None, scale=0.5, by=["drop_repeat_kv"])
            return o
        """,
        "drop_repeat_kv",
    )


def test_repetition_of_the_length_is_refused():
    text = REPEATED.replace("axes=(2,)", "axes=(3,)").replace("[B, 2, 1, S, 8]", "[B, 2, S, 1, 8]")
    text = text.replace("(B, 2, 2, S, 8)", "(B, 2, S, 2, 8)").replace(
        "[B, 2, 2, S, 8]", "[B, 2, S, 2, 8]"
    )
    assert refusals(text, "drop_repeat_kv") == ["the keys are not repeated along their heads"]


def test_repeated_keys_that_are_returned_are_refused():
    assert refusals(REPEATED.replace("return o", "return o, k3"), "drop_repeat_kv") == [
        "the result of reshape is used elsewhere"
    ]


def test_attention_alone_stays():
    unchanged(RAISED, "raise_attention", "fold_attention_scale", "drop_repeat_kv")


def test_factor_below_the_heads():
    becomes(
        """
        def forward(q: f32[B, L, 32], k: f32[B, 4, L, 8]):
            z: f32[B, L, 32] = multiply(q, 0.25)
            r: f32[B, L, 4, 8] = reshape(z, shape=(B, L, 4, 8))
            t: f32[B, 4, L, 8] = transpose(r, axes=(0, 2, 1, 3))
            o: f32[B, 4, L, 8] = attention(t, k, k, None, scale=1.0)
            return o
        """,
        """
        def forward(q: f32[B, L, 32], k: f32[B, 4, L, 8]):
            r: f32[B, L, 4, 8] = reshape(q, shape=(B, L, 4, 8))
            t: f32[B, 4, L, 8] = transpose(r, axes=(0, 2, 1, 3))
            o: f32[B, 4, L, 8] = attention(t, k, k, None, scale=0.25, by=["attention_scale"])
            return o
        """,
        "fold_attention_scale",
    )


def test_negative_factor_is_refused():
    text = """
    def forward(q: f32[B, 4, L, 8]):
        z: f32[B, 4, L, 8] = multiply(q, -0.25)
        o: f32[B, 4, L, 8] = attention(z, q, q, None, scale=1.0)
        return o
    """
    assert refusals(text, "fold_attention_scale") == ["the factor -0.25 is not positive"]


FLAT = """
def forward(x: f32[B, L, 8]):
    with module("c_attn", "Conv1D"):
        f: f32[B*L, 8] = reshape(x, shape=(B*L, 8))
        p: f32[B*L, 6] = matmul(f, param("c_attn.weight", f32[8, 6]))
        a: f32[B*L, 6] = add(param("c_attn.bias", f32[6]), p)
        y: f32[B, L, 6] = reshape(a, shape=(B, L, 6))
    return y
"""


def test_product_with_a_parameter_and_a_bias_is_a_layer():
    becomes(
        FLAT,
        """
        def forward(x: f32[B, L, 8]):
            with module("c_attn", "Conv1D"):
                y: f32[B, L, 6] = linear(x, param("c_attn.weight", f32[6, 8], recipe=permute(read("c_attn.weight"), (1, 0))), param("c_attn.bias", f32[6]))
            return y
        """,
        "raise_linear", "simplify_shapes", "fold_parameters",
    )  # fmt: skip


def test_product_with_a_transposed_parameter_is_a_layer():
    becomes(
        """
        def forward(x: f32[B, 8]):
            t: f32[8, 6] = transpose(param("w", f32[6, 8]), axes=(1, 0))
            y: f32[B, 6] = matmul(x, t)
            return y
        """,
        """
        def forward(x: f32[B, 8]):
            y: f32[B, 6] = linear(x, param("w", f32[6, 8]), None, by=["linear"])
            return y
        """,
        "raise_linear",
    )


def test_product_with_a_shared_parameter_is_refused():
    text = FLAT.replace(
        "return y",
        'z: f32[B, 8, 6] = broadcast_to(param("c_attn.weight", f32[8, 6]), shape=(B, 8, 6))\n    return y, z',
    )
    assert refusals(text, "raise_linear") == ["the weight is used elsewhere, in its own layout"]


def test_a_flat_batch_that_stays_flat_is_left():
    text = FLAT.replace(
        "y: f32[B, L, 6] = reshape(a, shape=(B, L, 6))",
        "y: f32[L, B, 6] = reshape(a, shape=(L, B, 6))",
    )
    assert "reshape(x" in applied(text, "raise_linear", "simplify_shapes")[0]


GELU = """
def forward(x: f32[B, 8]):
    with module("act", "NewGELUActivation"):
        h: f32[B, 8] = multiply(0.5, x)
        c: f32[B, 8] = power(x, 3.0)
        d: f32[B, 8] = multiply(c, 0.044715)
        e: f32[B, 8] = add(x, d)
        f: f32[B, 8] = multiply(0.7978845608028654, e)
        t: f32[B, 8] = tanh(f)
        u: f32[B, 8] = add(1.0, t)
        y: f32[B, 8] = multiply(h, u)
    return y
"""
ERF = """
def forward(x: f32[B, 8]):
    h: f32[B, 8] = multiply(x, 0.5)
    d: f32[B, 8] = divide(x, 1.4142135623730951)
    e: f32[B, 8] = erf(d)
    u: f32[B, 8] = add(e, 1.0)
    y: f32[B, 8] = multiply(h, u)
    return y
"""


def test_gelu():
    assert "y: f32[B, 8] = gelu(x, approximate='tanh', by=" in applied(GELU, "raise_gelu")[0]
    assert "y: f32[B, 8] = gelu(x, by=" in applied(ERF, "raise_gelu")[0]


def test_gelu_with_another_number_is_refused():
    assert set(refusals(ERF.replace("1.4142135623730951", "1.7"), "raise_gelu")) == {
        "1.7 stands where 1.41421 should"
    }
    assert set(refusals(GELU.replace("0.044715", "0.04"), "raise_gelu")) == {
        "0.04 stands where 0.044715 should"
    }
