"""Slices that tile an axis become a split; others stay."""

import pytest

from mlx_transpile.ir.text import parse_graph, print_graph
from mlx_transpile.ir.verify import verify
from mlx_transpile.passes.split_slices import split_slices


def run(*slices: str) -> tuple[bool, str]:
    lines = [
        f"    p{i}: f32[B, {n}] = slice(x, axis=1{args})" for i, (n, args) in enumerate(slices)
    ]
    names = ", ".join(f"p{i}" for i in range(len(slices)))
    graph = parse_graph(
        "\n".join(["@graph('G')", "def forward(x: f32[B, 8]):", *lines, f"    return ({names})"])
    )
    verify(graph)
    changed = split_slices(graph)
    verify(graph)
    return changed, print_graph(graph)


def test_two_halves():
    changed, text = run(("4", ", stop=4"), ("4", ", start=4"))
    assert changed and "p0, p1 = split(x, sizes=(4, 4), axis=1" in text


def test_order_of_the_slices_does_not_matter():
    changed, text = run(("5", ", start=3"), ("3", ", stop=3"))
    assert changed and "p1, p0 = split(x, sizes=(3, 5)" in text


@pytest.mark.parametrize(
    "slices",
    [
        [("4", ", stop=4")],
        [("4", ", stop=4"), ("3", ", start=5")],
        [("5", ", stop=5"), ("4", ", start=4")],
        [("4", ", stop=4"), ("4", ", start=4"), ("2", ", start=6")],
        [("4", ", step=2"), ("4", ", start=1, step=2")],
    ],
)
def test_slices_that_do_not_tile_the_axis_stay(slices):
    assert not run(*slices)[0]
