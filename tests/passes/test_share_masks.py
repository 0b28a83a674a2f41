"""Masks of several layers: made where the first one is made of a weight, outside where it is not."""

from pass_tools import applied, becomes, unchanged

LAYER = """
    with module("layers.{i}", "Layer"):
        m{i}: f32[B, 1, 1, L] = where(seen, {what}, -1e+30)
        h{i}: f32[B, 2, L, 4] = attention({x}, {x}, {x}, m{i}, scale=0.5)
"""
HEAD = "def forward(x: f32[B, 2, L, 4], seen: bool[B, 1, 1, L]):"


def layers(*what: str, returned: str = "h1", first: str = "") -> str:
    """A layer for each mask of its keys; `first` are lines of the first layer."""
    body = "".join(
        LAYER.format(i=i, what=w, x="x" if i == 0 else f"h{i - 1}") for i, w in enumerate(what)
    )
    body = body.replace("        m0:", f"{first}        m0:")
    return f"{HEAD}{body}    return {returned}\n"


def test_a_mask_of_inputs_moves_out():
    becomes(
        layers("0.0", "0.0"),
        HEAD + """
    m0: f32[B, 1, 1, L] = where(seen, 0.0, -1e+30)
    with module("layers.0", "Layer"):
        h0: f32[B, 2, L, 4] = attention(x, x, x, m0, scale=0.5)
    with module("layers.1", "Layer"):
        h1: f32[B, 2, L, 4] = attention(h0, h0, h0, m0, scale=0.5)
    return h1
""",
        "share_masks",
    )  # fmt: skip


BIAS = '        bias: f32[B, 1, 1, L] = broadcast_to(param("layers.0.bias", f32[1]), shape=(B, 1, 1, L))\n'


def test_a_bias_that_the_first_layer_passes_on_is_passed_on_with_its_mask():
    found, _ = applied(layers("bias", "bias", "bias", returned="h2", first=BIAS), "share_masks")
    assert found.count("where(") == 1
    assert found.count(", m0, scale") == 3
    assert found.index("layers.0") < found.index("where(") < found.index("layers.1")


def test_a_mask_of_a_weight_stays_in_each_layer():
    """The second layer would read it from the first, and the layers be different classes."""
    weight = 'param("bias", f32[1])'
    unchanged(layers(weight, weight), "share_masks")


def test_masks_that_differ_stay():
    unchanged(layers("0.0", "0.5"), "share_masks")


def test_what_is_used_otherwise_is_no_mask():
    text = layers("0.0", "0.0").replace("return h1", "return h1, m1")
    found, _ = applied(text, "share_masks")
    assert found.count("where(") == 2
