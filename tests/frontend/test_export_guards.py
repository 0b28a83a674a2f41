"""Bounds from the guards of an export: what they say of one size, and what is torch's caution."""

import pytest
import torch
from torch.export import Dim

from mlx_transpile.frontend import capture
from mlx_transpile.frontend.export_guards import guarded_limits

X = "L['x'].size()[0]"
BOUNDS = [
    (f"{X} > 4", 16, (5, None)),
    (f"4 < {X}", 16, (5, None)),
    (f"{X} >= 4", 16, (4, None)),
    (f"{X} <= 512", 16, (1, 512)),
    (f"({X} // 4) + ((4 - (({X} // 4) % 4)) % 4) > 4", 64, (20, None)),
    (f"384 >= 24*{X}", 16, (1, 16)),
    (f"3*{X} + 2 < 50", 12, (1, 15)),
]
SAID_OF_NONE = [
    f"{X} > 1",
    f"{X} >= 2",
    f"24 < 24*{X}",
    f"{X} != 7",
    f"{X} < L['y'].size()[0]",
    f"sym_not({X}) > 3",
    f"{X} > other",
    f"8 // ({X} - 16) < 4",
    f"{X} > 100",  # does not hold at capture
    f"{X} >",
    "-" * 100_000 + X,
]


@pytest.mark.parametrize(("guard", "captured", "limits"), BOUNDS)
def test_a_guard_bounds_a_size(guard, captured, limits):
    assert guarded_limits([guard], {"x.0": captured, "y.0": 20}) == {"x.0": limits}


@pytest.mark.parametrize("guard", SAID_OF_NONE, ids=range(len(SAID_OF_NONE)))
def test_no_bound(guard):
    assert guarded_limits([guard], {"x.0": 16, "y.0": 20}) == {}


def test_several_guards():
    found = guarded_limits([f"{X} > 4", f"{X} <= 40", f"{X} > 6", f"{X} < 90"], {"x.0": 16})
    assert found == {"x.0": (7, 40)}


class Branch(torch.nn.Module):
    def forward(self, x):
        return x + 1 if x.shape[1] * 3 > 17 else x * 2


def test_a_branch_on_a_size_bounds_it(tmp_path):
    path = tmp_path / "m.pt2"
    shapes = ({0: Dim.AUTO, 1: Dim.AUTO},)
    torch.export.save(
        torch.export.export(Branch(), (torch.zeros(2, 9),), dynamic_shapes=shapes), path
    )
    graph = capture(path).program.forward
    assert [(s.name, s.low, s.high) for s in graph.symbols()] == [("B", 1, None), ("L", 6, None)]
