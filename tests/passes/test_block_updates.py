"""Writes into parts of parts are writes into blocks; numbers are written as numbers."""

import pytest
from pass_tools import applied, becomes, unchanged

REGIONS = """
def forward(x: f32[4*L, 8]):
    zeros: f32[4*L, 8] = full(shape=(4*L, 8), value=0.0, dtype=f32)
    ones: f32[4*L - 2, 3] = full(shape=(4*L - 2, 3), value=1.0, dtype=f32)
    twos: f32[2, 8] = full(shape=(2, 8), value=2.0, dtype=f32)
    rows: f32[4*L - 2, 8] = slice(zeros, axis=0, stop=-2)
    written: f32[4*L - 2, 8] = slice_update(rows, ones, axis=1, start=2, stop=5)
    first: f32[4*L, 8] = slice_update(zeros, written, axis=0, stop=-2)
    second: f32[4*L, 8] = slice_update(first, twos, axis=0, start=-2)
    y: f32[4*L, 8] = add(x, second)
    return y
"""


def test_rows_and_columns_are_one_block():
    becomes(
        REGIONS,
        """
        def forward(x: f32[4*L, 8]):
            zeros: f32[4*L, 8] = full(shape=(4*L, 8), value=0.0, dtype=f32)
            first: f32[4*L, 8] = block_update(zeros, 1.0, axes=(0, 1), starts=(0, 2), stops=(-2, 5))
            second: f32[4*L, 8] = block_update(first, 2.0, axes=(0,), starts=(-2,), stops=(4*L,))
            y: f32[4*L, 8] = add(x, second)
            return y
        """,
        "block_updates",
    )


def test_what_is_there_already_is_not_written():
    same = REGIONS.replace("value=1.0", "value=0.0").replace("value=2.0", "value=0.0")
    becomes(
        same,
        """
        def forward(x: f32[4*L, 8]):
            zeros: f32[4*L, 8] = full(shape=(4*L, 8), value=0.0, dtype=f32)
            y: f32[4*L, 8] = add(x, zeros)
            return y
        """,
        "block_updates",
    )


def test_a_part_of_something_else_is_written_by_itself():
    unchanged(
        """
        def forward(x: f32[4*L, 8], y: f32[4*L, 8]):
            rows: f32[2, 8] = slice(y, axis=0, start=-2)
            part: f32[2, 3] = slice(rows, axis=1, start=5)
            written: f32[2, 8] = slice_update(rows, part, axis=1, stop=3)
            out: f32[4*L, 8] = slice_update(x, written, axis=0, start=-2)
            return out
        """,
        "block_updates",
    )


FILLED = """
def forward(x: f32[B, 3], y: f32[B, L], z: f32[B, 2]):
    zeros: f32[B, L + 5] = full(shape=(B, L + 5), value=0.0, dtype=f32)
    a: f32[B, L + 5] = slice_update(zeros, y, axis=1, start=3, stop=-2)
    b: f32[B, L + 5] = slice_update(a, x, axis=1, stop=3)
    c: f32[B, L + 5] = slice_update(b, z, axis=1, start=-2)
    return c
"""


def test_parts_that_fill_an_axis_are_concatenated():
    becomes(
        FILLED,
        """
        def forward(x: f32[B, 3], y: f32[B, L], z: f32[B, 2]):
            c: f32[B, L + 5] = concatenate(x, y, z, axis=1)
            return c
        """,
        "block_updates",
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("start=-2)\n    return c", "start=-2)\n    return c, b"),
        ("slice_update(b, z, axis=1, start=-2)", "slice_update(b, z, axis=1, start=1, stop=3)"),
    ],
    ids=["what is read between", "a gap"],
)
def test_others_are_written(old, new):
    assert "concatenate" not in applied(FILLED.replace(old, new), "block_updates")[0]
