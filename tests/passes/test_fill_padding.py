"""Batches that are cut at their longest row, and filled with zeros again."""

import pytest
from pass_tools import applied, becomes, unchanged

LAYER = (
    "gru(x, None, n, param('l.weight_ih_l0', f32[15, 4]), param('l.weight_hh_l0', f32[15, 5]), "
    "bias=False, batch_first=True, types=[f32[B, L, 5], f32[1, B, 5]])"
)
CUT = f"""
@graph("Net", N1=(0, None))
def forward(x: f32[B, L, 4], n: i64[B]):
    out, h = {LAYER}
    most: i64[()] = max(n, axes=(0,))
    size: int[N1] = read_size(most, size='N1')
    cut: f32[B, min(L, N1), 5] = slice(out, axis=1, stop=N1)
    turned: f32[B, 5, min(L, N1)] = transpose(cut, axes=(0, 2, 1))
    zeros: f32[B, 5, L] = full(shape=(B, 5, L), value=0.0, dtype=f32)
    y: f32[B, 5, L] = slice_update(zeros, turned, axis=2, stop=min(L, N1))
    return y
"""
PLAIN = f"""
@graph("Net")
def forward(x: f32[B, L, 4], n: i64[B]):
    out, h = {LAYER}
    y: f32[B, 5, L] = transpose(out, axes=(0, 2, 1))
    return y
"""
UPDATE = "slice_update(zeros, turned, axis=2, stop=min(L, N1))"


def test_zeros_behind_a_cut_batch_were_there_before():
    becomes(CUT, PLAIN, "fill_padding", "dce")


def test_padding_is_the_same():
    text = CUT.replace(UPDATE, "pad(turned, low=(0, 0, 0), high=(0, 0, L - min(L, N1)))")
    becomes(text, PLAIN, "fill_padding", "dce")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value=0.0", "value=1.0"),
        ("max(n,", "min(n,"),  # rows go on behind the shortest
        ("gru(x, None, n,", "gru(x, None, None,"),
        ("cut: f32[B, min(L, N1), 5] = slice(out,", "tanh: f32[B, L, 5] = cos(out)\n    "
         "cut: f32[B, min(L, N1), 5] = slice(tanh,"),
        ("f32[B, 5, L]", "f32[B, 5, L + 1]"),
    ],
)  # fmt: skip
def test_what_is_not_known_to_be_zero_stays(old, new):
    assert old in CUT
    text = CUT.replace(old, new).replace("shape=(B, 5, L)", "shape=(B, 5, L + 1)" if "L + 1" in new else "shape=(B, 5, L)")  # fmt: skip
    unchanged(text, "fill_padding")


def test_the_size_is_still_read_where_it_is_needed():
    text = CUT.replace("    return y", "    return y, cut")
    found = applied(text, "fill_padding", "dce")[0]
    assert "read_size" in found and "slice_update" not in found
