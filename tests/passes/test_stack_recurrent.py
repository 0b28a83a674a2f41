"""Recurrent layers of files that hold one a node: stacked, from zeros, the batch first, torch's names."""

import pytest
from pass_tools import applied, unchanged

W = "param('l.w0', f32[12, 3])", "param('l.r0', f32[12, 4])"
V = "param('l.w1', f32[12, 4])", "param('l.r1', f32[12, 4])"
TYPES = "types=[f32[L, B, 4], f32[1, B, 4]]"
STACK = f"""
def forward(x: f32[L, B, 3], h: f32[2, B, 4]):
    with module("l", "GRU"):
        h0, h1 = split(h, sizes=(1, 1), axis=0, types=[f32[1, B, 4], f32[1, B, 4]])
        a, s = gru(x, h0, None, {W[0]}, {W[1]}, bias=False, {TYPES})
        b, t = gru(a, h1, None, {V[0]}, {V[1]}, bias=False, {TYPES})
        u: f32[2, B, 4] = concatenate(s, t, axis=0)
    return b, u
"""
PASSES = ("stack_recurrent", "cleanup", "dce")


def test_layers_that_feed_each_other_are_a_stack():
    text, _ = applied(STACK, *PASSES)
    assert text.count("gru(") == 1 and "layers=2" in text
    assert "gru(x, h, None, " in text and "concatenate" not in text and "slice" not in text


@pytest.mark.parametrize(
    "old, new",
    [
        ("return b, u", "return b, u, a"),  # what the first layer gives is read elsewhere
        ("gru(a, h1, ", "gru(a, None, "),  # one starts from zeros, the other does not
        ("gru(a, h1, ", "gru(c, h1, "),
    ],
)
def test_other_layers_stay_apart(old, new):
    text = STACK.replace(old, new)
    if "gru(c," in text:
        text = text.replace("        b, t", "        c: f32[L, B, 4] = tanh(a)\n        b, t")
    assert applied(text, *PASSES)[0].count("gru(") == 2


ZEROS = """
def forward(x: f32[B, L, 3]):
    with module("l", "LSTM"):
        z: f32[1, B, 4] = full(shape=(1, B, 4), value=VALUE, dtype=f32)
        t: f32[L, B, 3] = transpose(x, axes=(1, 0, 2))
        a, s, c = lstm(t, z, z, None, param('l.w', f32[16, 3]), param('l.r', f32[16, 4]), bias=False, types=[f32[L, B, 4], f32[1, B, 4], f32[1, B, 4]])
        y: f32[B, L, 4] = transpose(a, axes=(1, 0, 2))
    return y
"""  # fmt: skip


def test_zeros_are_no_state_and_the_batch_comes_first():
    text, _ = applied(ZEROS.replace("VALUE", "0.0"), *PASSES)
    assert "lstm(x, None, None, None, " in text and "batch_first=True" in text
    assert "transpose" not in text


def test_other_numbers_are_a_state():
    text, _ = applied(ZEROS.replace("VALUE", "0.5"), *PASSES)
    assert "lstm(x, z, z, " in text or "lstm(x, full, full, " in text


def test_a_result_that_is_read_with_the_time_first_too_stays():
    text = ZEROS.replace("VALUE", "0.0").replace("return y", "return y, a")
    assert "batch_first=True" not in applied(text, *PASSES)[0]


GATES = """
def forward(x: f32[L, B, 3]):
    with module("l", "GRU"):
        w: f32[12, 3] = select(param('l.W', f32[2, 12, 3]), axis=0, index=1)
        z, r, n = split(w, sizes=(4, 4, 4), axis=0, types=[f32[4, 3], f32[4, 3], f32[4, 3]])
        i: f32[12, 3] = concatenate(r, z, n, axis=0)
        a, s = gru(x, None, None, i, param('l.R', f32[12, 4]), bias=False, types=[f32[L, B, 4], f32[1, B, 4]])
    return a
"""


def test_gates_in_another_order_are_a_recipe():
    text, _ = applied(GATES, *PASSES)
    assert "param('l.weight_ih_l0', f32[12, 3], recipe=concatenate([" in text
    assert "split" not in text and "select" not in text


def test_gates_that_are_put_back_are_the_parameter_itself():
    """Code that undoes the order of the file: the pieces follow each other again."""
    text = GATES.replace(
        "        a, s = gru",
        "        r2, z2, n2 = split(i, sizes=(4, 4, 4), axis=0, types=[f32[4, 3], f32[4, 3], f32[4, 3]])\n"
        "        j: f32[12, 3] = concatenate(z2, r2, n2, axis=0)\n        a, s = gru",
    ).replace("gru(x, None, None, i,", "gru(x, None, None, j,")
    found, _ = applied(text.replace("        w: f32[12, 3] = select(param('l.W', f32[2, 12, 3]), axis=0, index=1)\n", "")
                       .replace("split(w,", "split(param('l.W', f32[12, 3]),"), *PASSES)  # fmt: skip
    assert "gru(x, None, None, param('l.W', f32[12, 3])" in found


def test_weights_that_are_computed_stay_in_the_code():
    unchanged(GATES.replace("concatenate(r, z, n, axis=0)", "tanh(w)").replace(
        "        z, r, n = split(w, sizes=(4, 4, 4), axis=0, types=[f32[4, 3], f32[4, 3], f32[4, 3]])\n", ""
    ), "stack_recurrent")  # fmt: skip
