"""Attention as ONNX exporters write it: two roots of the scale, keys turned as one batch, a guard."""

import numpy as np
from pass_tools import applied, becomes, graph_of, refusals

from mlx_transpile.passes.pipeline import run
from mlx_transpile.passes.raise_attention import squared

ATTENTION = """
def forward(q: f32[B, 4, L, 16], k: f32[B, 4, L, 16], v: f32[B, 4, L, 16], seen: bool[B, 1, L, L]):
    k2: f32[4*B, L, 16] = reshape(k, shape=(4*B, L, 16))
    t: f32[4*B, 16, L] = transpose(k2, axes=(0, 2, 1))
    kt: f32[B, 4, 16, L] = reshape(t, shape=(B, 4, 16, L))
    qs: f32[B, 4, L, 16] = multiply(q, 0.5)
    ks: f32[B, 4, 16, L] = multiply(kt, 0.5)
    mask: f32[B, 1, L, L] = where(seen, 0.0, LOW)
    scores: f32[B, 4, L, L] = matmul(qs, ks)
    masked: f32[B, 4, L, L] = add(scores, mask)
    w: f32[B, 4, L, L] = softmax(masked, axis=3)
    bad: bool[B, 4, L, L] = isnan(w)
    p: f32[B, 4, L, L] = where(bad, 0.0, w)
    y: f32[B, 4, L, 16] = matmul(p, v)
    return y
"""
SIGNATURE = (
    "def forward(q: f32[B, 4, L, 16], k: f32[B, 4, L, 16], v: f32[B, 4, L, 16], "
    "seen: bool[B, 1, L, L]):"
)
PASSES = ("simplify_shapes", "raise_attention", "fold_attention_scale", "dce")


def test_a_finite_mask_needs_no_guard():
    becomes(
        ATTENTION.replace("LOW", "-3.4e+38"),
        f"""
{SIGNATURE}
    mask: f32[B, 1, L, L] = where(seen, 0.0, -3.4e+38)
    y: f32[B, 4, L, 16] = attention(q, k, v, mask, scale=0.25, by=["attention"])
    return y
""",
        *PASSES,
    )


def test_a_mask_of_minus_infinity_is_boolean():
    """The interpreter gives zero for the rows without a key, as the guard does."""
    text, _ = applied(ATTENTION.replace("LOW", "-inf"), *PASSES)
    assert "attention(q, k, v, seen, scale=0.25, empty_rows=True" in text
    assert "isnan" not in text


def test_a_mask_that_is_an_input_may_hide_all_keys():
    text = ATTENTION.replace("seen: bool[B, 1, L, L]", "mask: f32[B, 1, L, L]").replace(
        "    mask: f32[B, 1, L, L] = where(seen, 0.0, LOW)\n", ""
    )
    assert refusals(text, *PASSES) == ["the mask may hide all keys of a query"]


def test_weights_that_become_another_number_are_refused():
    text = ATTENTION.replace("LOW", "-inf").replace("where(bad, 0.0, w)", "where(bad, 1.0, w)")
    assert refusals(text, *PASSES) == ["weights that are no number become 1.0"]


def test_factors_that_differ_stay_exact():
    text, _ = applied(
        ATTENTION.replace("LOW", "-3.4e+38").replace("multiply(kt, 0.5)", "multiply(kt, 0.25)"),
        *PASSES,
    )
    assert "scale=0.125" in text


def test_roots_of_scales():
    for size in (8, 16, 24, 32, 48, 64, 80, 96, 128, 256):
        assert squared(float(np.float32(size**-0.25)), size) == size**-0.5
    assert squared(0.5, 64) == 0.25
    assert squared(float(np.float32(0.3**0.5)), 64) == 0.3


def test_leading_axes_that_stay_apart_are_no_batch():
    """The reshape parts the axis that the transpose moves."""
    graph = graph_of("""
        def forward(x: f32[B, 4, L, 16]):
            a: f32[B, 4*L, 16] = reshape(x, shape=(B, 4*L, 16))
            t: f32[B, 16, 4*L] = transpose(a, axes=(0, 2, 1))
            y: f32[4*B, 4, 4*L] = reshape(t, shape=(4*B, 4, 4*L))
            return y
    """)
    before = [n.op for n in graph.nodes]
    run(graph, passes=["simplify_shapes"], verify_each=True)
    assert [n.op for n in graph.nodes] == before
