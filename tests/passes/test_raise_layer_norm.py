"""Norms composed of means and variances: raised where they are what they seem, refused with the reason."""

import pytest
from pass_tools import applied, becomes, refusals

LAYER = """
def forward(x: f32[B, L, 8]):
    with module("norm", "MyNorm"):
        m: f32[B, L, 1] = mean(x, axes=(2,), keepdims=True)
        c: f32[B, L, 8] = subtract(x, m)
        s: f32[B, L, 8] = square(c)
        v: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)
        e: f32[B, L, 1] = add(v, 1e-06)
        r: f32[B, L, 1] = rsqrt(e)
        n: f32[B, L, 8] = multiply(c, r)
        w: f32[B, L, 8] = multiply(param("norm.weight", f32[8]), n)
        y: f32[B, L, 8] = add(w, param("norm.bias", f32[8]), at="m.py:2")
    return y
"""
RAISED = """
def forward(x: f32[B, L, 8]):
    with module("norm", "MyNorm"):
        y: f32[B, L, 8] = layer_norm(x, param("norm.weight", f32[8]), param("norm.bias", f32[8]), eps=1e-06, by=["norm_shift"], at="m.py:2")
    return y
"""


def test_layer_norm():
    becomes(LAYER, RAISED, "raise_layer_norm")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("square(c)", "power(c, 2.0)"),
        ("square(c)", "multiply(c, c)"),
        (
            "rsqrt(e)\n        n: f32[B, L, 8] = multiply(c, r)",
            "sqrt(e)\n        n: f32[B, L, 8] = divide(c, r)",
        ),
        (
            "rsqrt(e)\n        n: f32[B, L, 8] = multiply(c, r)",
            "power(e, 0.5)\n        n: f32[B, L, 8] = divide(c, r)",
        ),
        ("rsqrt(e)", "power(e, -0.5)"),
        (
            "s: f32[B, L, 8] = square(c)\n        v: f32[B, L, 1] = mean(s,",
            "v: f32[B, L, 1] = var(x,",
        ),
        (
            "s: f32[B, L, 8] = square(c)\n        v: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)",
            "s: f32[B, L, 8] = square(x)\n        a: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)\n"
            "        b: f32[B, L, 1] = square(m)\n        v: f32[B, L, 1] = subtract(a, b)",
        ),
    ],
)
def test_layer_norm_spelled_otherwise(old, new):
    assert old in LAYER
    becomes(LAYER.replace(old, new), RAISED, "raise_layer_norm")


def test_layer_norm_over_the_channels_of_images():
    text = """
    def forward(x: f32[B, 8, H, W]):
        with module("norm", "LayerNorm2d"):
            m: f32[B, 1, H, W] = mean(x, axes=(1,), keepdims=True)
            c: f32[B, 8, H, W] = subtract(x, m)
            s: f32[B, 8, H, W] = power(c, 2)
            v: f32[B, 1, H, W] = mean(s, axes=(1,), keepdims=True)
            e: f32[B, 1, H, W] = add(v, 1e-06)
            r: f32[B, 1, H, W] = sqrt(e)
            n: f32[B, 8, H, W] = divide(c, r)
            g: f32[8, 1, 1] = expand_dims(param("norm.weight", f32[8]), axes=(1, 2))
            w: f32[B, 8, H, W] = multiply(g, n)
            b: f32[8, 1, 1] = expand_dims(param("norm.bias", f32[8]), axes=(1, 2))
            y: f32[B, 8, H, W] = add(w, b)
        return y
    """
    found, _ = applied(text, "raise_layer_norm")
    assert "layer_norm(transpose, param('norm.weight', f32[8]), param('norm.bias', f32[8])" in found
    assert "multiply" not in found and "add(" not in found


GROUPS = """
def forward(x: f32[B, 8, H, W]):
    with module("norm", "GroupNorm"):
        g: f32[B, 2, 4*H*W] = reshape(x, shape=(B, 2, 4*H*W))
        m: f32[B, 2, 1] = mean(g, axes=(2,), keepdims=True)
        c: f32[B, 2, 4*H*W] = subtract(g, m)
        v: f32[B, 2, 1] = var(g, axes=(2,), keepdims=True)
        e: f32[B, 2, 1] = add(v, 1e-05)
        r: f32[B, 2, 1] = sqrt(e)
        n: f32[B, 2, 4*H*W] = divide(c, r)
        h: f32[B, 8, H, W] = reshape(n, shape=(B, 8, H, W))
        w: f32[B, 8, H, W] = multiply(h, param("norm.weight", f32[1, 8, 1, 1]))
        y: f32[B, 8, H, W] = add(w, param("norm.bias", f32[1, 8, 1, 1]))
    return y
"""


def test_group_norm():
    found, _ = applied(GROUPS, "raise_layer_norm", "fold_parameters")
    assert "group_norm(transpose, param('norm.weight', f32[8]" in found and "groups=2" in found
    assert "var(" not in found and "add(" not in found


def test_groups_that_are_no_channels_are_refused():
    text = GROUPS.replace("[B, 8, H, W]", "[B, 3, 8, W]").replace(
        "shape=(B, 8, H, W)", "shape=(B, 3, 8, W)"
    )
    text = text.replace("4*H*W", "12*W").replace("[1, 8, 1, 1]", "[1, 3, 1, 1]")
    assert refusals(text, "raise_layer_norm") == ["the channels are no multiple of the groups"]


def test_instance_norm():
    text = """
    def forward(x: f32[B, 8, H, W]):
        m: f32[B, 8, 1, 1] = mean(x, axes=(2, 3), keepdims=True)
        c: f32[B, 8, H, W] = subtract(x, m)
        v: f32[B, 8, 1, 1] = var(x, axes=(2, 3), keepdims=True)
        e: f32[B, 8, 1, 1] = add(v, 1e-05)
        r: f32[B, 8, 1, 1] = sqrt(e)
        n: f32[B, 8, H, W] = divide(c, r)
        return n
    """
    found, _ = applied(text, "raise_layer_norm")
    assert "instance_norm(transpose, None, None, by=['norm'])" in found
    assert refusals(text.replace("axes=(2, 3)", "axes=(1, 2)").replace("[B, 8, 1, 1]", "[B, 1, 1, W]"), "raise_layer_norm") == [
        "the axes are neither one axis nor all behind the channels"
    ]  # fmt: skip


def test_layer_norm_in_half_precision_needs_no_casts():
    becomes(
        """
        def forward(x: f16[B, L, 8]):
            w: f32[B, L, 8] = cast(x, dtype=f32)
            n: f32[B, L, 8] = layer_norm(w, None, None)
            y: f16[B, L, 8] = cast(n, dtype=f16)
            return y
        """,
        """
        def forward(x: f16[B, L, 8]):
            y: f16[B, L, 8] = layer_norm(x, None, None, by=["norm_cast"])
            return y
        """,
        "raise_layer_norm",
    )


def test_a_weight_in_float32_keeps_the_casts():
    text = """
    def forward(x: f16[B, L, 8]):
        w: f32[B, L, 8] = cast(x, dtype=f32)
        n: f32[B, L, 8] = layer_norm(w, param("weight", f32[8]), None)
        y: f16[B, L, 8] = cast(n, dtype=f16)
        return y
    """
    assert refusals(text, "raise_layer_norm") == ["a weight is wider than the operand"]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("mean(s, axes=(2,)", "mean(s, axes=(1,)", "mean and variance are over different axes"),
        ("square(c)", "power(c, 3)", "3 stands where 2 should"),
        ("1e-06", "-1e-06", "eps is negative"),
        ("return y", "return y, v", "the result of mean is used elsewhere"),
    ],
)
def test_what_only_looks_like_a_norm_is_refused(old, new, reason):
    text = LAYER.replace(old, new)
    if "axes=(1,)" in text:
        text = text.replace("[B, L, 1] = mean(s", "[B, 1, 8] = mean(s")
        for name in "er":
            text = text.replace(f"{name}: f32[B, L, 1]", f"{name}: f32[B, 1, 8]")
    assert reason in refusals(text, "raise_layer_norm")


def test_the_unbiased_variance_is_refused():
    text = LAYER.replace(
        "s: f32[B, L, 8] = square(c)\n        v: f32[B, L, 1] = mean(s, axes=(2,), keepdims=True)",
        "v: f32[B, L, 1] = var(x, axes=(2,), keepdims=True, ddof=1)",
    )
    assert "the variance is the unbiased one" in refusals(text, "raise_layer_norm")


def test_a_factor_along_another_axis_stays():
    text = LAYER.replace('param("norm.weight", f32[8])', 'param("gain", f32[1])')
    found, runs = applied(text, "raise_layer_norm")
    assert "layer_norm(x, None, param('norm.bias'" not in found
    assert "the other operand is no vector over the normalised channels" in [
        e.reason for r in runs for e in r.log
    ]
