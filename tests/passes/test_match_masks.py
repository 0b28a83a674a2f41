"""Additive masks follow the type of the queries."""

from pass_tools import becomes, unchanged

HEAD = """
def forward(q: f32[B, 2, L, 4], mask: {}[B, 1, 1, L]):
"""
PLAIN = "    y: f32[B, 2, L, 4] = attention(q, q, q, mask, scale=0.5)\n    return y\n"
MATCHED = """    matched: f32[B, 1, 1, L] = match_mask(mask, q)
    y: f32[B, 2, L, 4] = attention(q, q, q, matched, scale=0.5)
    return y
"""


def test_additive_mask_is_matched_once() -> None:
    float_head = HEAD.format("f32")
    becomes(float_head + PLAIN, (float_head + MATCHED).replace("matched", "y"), "match_masks")
    unchanged(float_head + MATCHED, "match_masks")


def test_boolean_mask_stays() -> None:
    unchanged(HEAD.format("bool") + PLAIN, "match_masks")
