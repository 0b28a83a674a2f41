"""Rows that are sorted and put back."""

import pytest
from pass_tools import becomes, unchanged

SORTED = """
@graph("Net")
def forward(x: f32[B, L, 4], n: i64[B]):
    values, order = sort(n, axis=0, descending=True, types=[i64[B], i64[B]])
    places: i64[B] = arange(stop=B, dtype=i64)
    empty: i64[B] = full(shape=(B,), value=0, dtype=i64)
    back: i64[B] = scatter(empty, order, places, axis=0)
    y: f32[B, L, 4] = take(x, order, axis=0)
    z: f32[B, L, 4] = take(y, back, axis=0)
    out: f32[B, L, 4] = tanh(z)
    return out
"""
PLAIN = """
@graph("Net")
def forward(x: f32[B, L, 4], n: i64[B]):
    out: f32[B, L, 4] = tanh(x)
    return out
"""
BY_SORTING = SORTED.replace(
    "    places: i64[B] = arange(stop=B, dtype=i64)\n", ""
).replace("    empty: i64[B] = full(shape=(B,), value=0, dtype=i64)\n", "")  # fmt: skip


@pytest.mark.parametrize(
    "back",
    ["back: i64[B] = argsort(order, axis=0)",
     "again, back = sort(order, axis=0, types=[i64[B], i64[B]])"],
)  # fmt: skip
def test_an_order_that_sorts_the_order_undoes_it(back):
    text = BY_SORTING.replace("back: i64[B] = scatter(empty, order, places, axis=0)", back)
    becomes(text, PLAIN, "cancel_orders", "dce")


def test_an_order_that_is_undone_is_none():
    becomes(SORTED, PLAIN, "cancel_orders", "dce")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scatter(empty, order, places", "scatter(empty, places, places"),
        ("arange(stop=B", "arange(start=1 - B, stop=1"),
        ("take(x, order", "take(x, places"),
        ("take(y, back", "take(y, order"),
    ],
)
def test_other_indices_stay(old, new):
    assert old in SORTED
    unchanged(SORTED.replace(old, new), "cancel_orders")


def test_another_axis_stays():
    text = SORTED.replace("f32[B, L, 4]", "f32[B, B, 4]")
    unchanged(text.replace("take(y, back, axis=0)", "take(y, back, axis=1)"), "cancel_orders")
