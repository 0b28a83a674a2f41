"""Numbers of float32 are written with the fewest digits that are the same number."""

import numpy as np
import pytest

from mlx_transpile.frontend.onnx_floats import shorten_floats, shortest
from mlx_transpile.ir.text import parse_graph, print_graph


@pytest.mark.parametrize("text", ["1e-06", "0.1", "-3.4028235e+38", "0.044715", "1e-12", "2.0"])
def test_float32_numbers(text):
    assert shortest(float(np.float32(text))) == float(text)
    assert np.float32(shortest(float(np.float32(text)))) == np.float32(text)


def test_what_float32_does_not_hold_stays():
    for value in (0.1, 1 / 3, 1e300, float("inf"), True, 7, None, "0.1"):
        assert shortest(value) is value


def test_factors_of_sizes_stay():
    seven = float(np.float32(0.7))
    text = f"""@graph('G')
def forward(x: f32[B, 10, 10, 4]):
    y: f32[B, 10, 10, 4] = add(x, {seven})
    z: f64[B, 10, 10, 4] = cast(y, dtype=f64)
    w: f64[B, 10, 10, 4] = add(z, {seven})
    return w
"""
    graph = parse_graph(text)
    shorten_floats(graph)
    found = print_graph(graph)
    assert "add(x, 0.7)" in found and f"add(z, {seven})" in found


def test_lists_of_numbers():
    tenth = float(np.float32(0.1))
    assert shortest((tenth, 2.0)) == (0.1, 2.0)
