"""Queries, keys and values that are indexed out of one array are split off instead."""

import pytest
from pass_tools import becomes, unchanged

PACKED = """
def forward(x: f32[B, L, 24]):
    r: f32[B, L, 3, 2, 4] = reshape(x, shape=(B, L, 3, 2, 4))
    t: f32[3, B, 2, L, 4] = transpose(r, axes=(2, 0, 3, 1, 4))
    q: f32[B, 2, L, 4] = select(t, axis=0, index=0)
    k: f32[B, 2, L, 4] = select(t, axis=0, index=1)
    v: f32[B, 2, L, 4] = select(t, axis=0, index=-1)
    return q, k, v
"""


def test_packed_heads():
    becomes(
        PACKED,
        """
        def forward(x: f32[B, L, 24]):
            q, k, v = split(x, sizes=(8, 8, 8), axis=2, types=[f32[B, L, 8], f32[B, L, 8], f32[B, L, 8]])
            q__2: f32[B, L, 2, 4] = reshape(q, shape=(B, L, 2, 4))
            q__3: f32[B, 2, L, 4] = transpose(q__2, axes=(0, 2, 1, 3))
            k__2: f32[B, L, 2, 4] = reshape(k, shape=(B, L, 2, 4))
            k__3: f32[B, 2, L, 4] = transpose(k__2, axes=(0, 2, 1, 3))
            v__2: f32[B, L, 2, 4] = reshape(v, shape=(B, L, 2, 4))
            v__3: f32[B, 2, L, 4] = transpose(v__2, axes=(0, 2, 1, 3))
            return q__3, k__3, v__3
        """,
        "split_selects",
    )


def test_without_a_transpose():
    becomes(
        """
        def forward(x: f32[B, L, 8]):
            r: f32[B, L, 2, 4] = reshape(x, shape=(B, L, 2, 4))
            a: f32[B, L, 4] = select(r, axis=2, index=0)
            b: f32[B, L, 4] = select(r, axis=2, index=1)
            y: f32[B, L, 4] = add(a, b)
            return y
        """,
        """
        def forward(x: f32[B, L, 8]):
            a, b = split(x, sizes=(4, 4), axis=2, types=[f32[B, L, 4], f32[B, L, 4]])
            y: f32[B, L, 4] = add(a, b)
            return y
        """,
        "split_selects",
    )


KEPT = {
    "an index is missing": PACKED.replace("index=-1", "index=1"),
    "the whole is used too": PACKED.replace("return q, k, v", "return q, k, v, t"),
    "the inner axis": PACKED.replace("(B, L, 3, 2, 4)", "(B, L, 2, 3, 4)").replace("[B, L, 3, 2, 4]", "[B, L, 2, 3, 4]").replace("(2, 0, 3, 1, 4)", "(3, 0, 2, 1, 4)"),
}  # fmt: skip


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_kept(text):
    unchanged(text, "split_selects")
