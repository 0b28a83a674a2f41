"""Dims of inputs: free, tied, bounded or static, with the evidence."""

import numpy as np
import pytest
import torch
from captures import assert_same_as_source, capture, kinds
from torch import Tensor, nn

from mlx_transpile.frontend.equations import Sizes, Unsolvable
from mlx_transpile.frontend.random_inputs import random_inputs
from mlx_transpile.ir.dims import maximum, minimum, symbol


def found(captured):
    return {f"{d.input}.{d.axis}": d for d in captured.dims}


class Add(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


def test_dims_that_must_be_equal_are_tied(tmp_path):
    captured = capture(Add(), tmp_path, torch.ones(2, 5), torch.ones(2, 5))
    dims = found(captured)
    assert kinds(captured) == ["x.0=B", "x.1=L", "y.0=B", "y.1=L"]
    assert dims["y.0"].kind == "tied" and "aten::add" in dims["y.0"].evidence
    assert "ran at 1, 2, 3" in dims["x.0"].evidence


def test_products_of_sizes_are_tied_factor_by_factor(tmp_path):
    class Masked(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x.reshape(-1, 4) * mask.reshape(-1, 1)

    captured = capture(Masked(), tmp_path, torch.ones(2, 5, 4), torch.ones(2, 5))
    assert kinds(captured) == ["x.0=B", "x.1=L", "x.2=4", "mask.0=B", "mask.1=L"]
    assert found(captured)["mask.1"].kind == "tied"


def test_what_all_terms_share_stays_free():
    batch, height, width = symbol("B"), symbol("H"), symbol("W")
    sizes = Sizes({"B": 2, "H": 8, "W": 12})
    windows = (height // 4) * (width // 4)
    sizes.solve(16 * windows * batch, height * width * batch, "")
    assert list(sizes.known) == ["H", "W"]


def test_quotients_that_are_one_for_many_sizes_bound_them():
    batch, height, width = symbol("B"), symbol("H"), symbol("W")
    sizes = Sizes({"B": 2, "H": 8, "W": 12})
    sizes.solve(batch * ((height + 255) // 256) * ((width + 255) // 256), batch, "")
    assert not sizes.known and sizes.limits == {"H": (1, 256), "W": (1, 256)}


def test_sizes_are_ends_of_ranges_and_counts_of_repeats(tmp_path):
    class Points(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            length = x.shape[1]
            centres = torch.linspace(0.5, length - 0.5, length) / length
            ends = torch.linspace(0, length - 1, length)
            return (x + centres + ends).repeat_interleave(length, 0)

    captured = capture(Points(), tmp_path, torch.ones(2, 5))
    assert kinds(captured) == ["x.0=B", "x.1=L"]
    assert_same_as_source(captured)


class Upsampled(nn.Module):
    """Features at half the rate of the curve, and both once more at the rate of the curve."""

    def forward(self, features: Tensor, curve: Tensor, energy: Tensor) -> Tensor:
        low = [curve[:, ::2], energy[:, ::2]]
        joined = torch.stack([features, *low], 1)
        return joined.repeat_interleave(2, dim=2).sum(1) * curve


def test_a_size_that_must_be_even_is_twice_another(tmp_path):
    """`(c + 1) // 2` is `f` and twice that is `c`: `f` stays free, `c` is `2 f`."""
    sizes = Sizes({"f": 8, "c": 16, "e": 16})
    f, c, e = symbol("f"), symbol("c"), symbol("e")
    sizes.solve(f, (c + 1) // 2, "")
    sizes.solve(sizes.of("f"), (e + 1) // 2, "")
    sizes.solve(20 * ((c + 1) // 2), 10 * c, "upsampled")
    assert [str(sizes.of(n)) for n in "fce"] == ["f", "2*f", "2*f"]
    assert "upsampled" in sizes.evidence["c"] and "f" not in sizes.evidence
    x, y, z = torch.randn(2, 8), torch.randn(2, 16), torch.randn(2, 16)
    captured = capture(Upsampled(), tmp_path, x, y, z)
    assert kinds(captured)[1::2] == ["features.1=L", "curve.1=2*L", "energy.1=2*L"]
    assert_same_as_source(captured)


def test_a_size_that_was_baked_leaves_the_others_tied():
    sizes = Sizes({"B": 2, "T": 12, "n": 2})
    sizes.solve(12 * symbol("n"), symbol("B") * symbol("T"), "view")
    assert [str(sizes.of(n)) for n in ("B", "T", "n")] == ["B", "12", "B"]


def test_sizes_change_in_place(tmp_path):
    class Windows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            batch, length, width = x.shape
            batch *= 2
            width //= 2
            return x.reshape(batch, length, width) * batch

    captured = capture(Windows(), tmp_path, torch.ones(3, 5, 4))
    assert kinds(captured) == ["x.0=B", "x.1=L", "x.2=2*T"]
    assert_same_as_source(captured)


def test_a_slice_from_a_size_before_the_end_has_that_size(tmp_path):
    class Last(nn.Module):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return x * mask[:, -x.shape[1] :]

    captured = capture(Last(), tmp_path, torch.ones(2, 5), torch.ones(2, 5))
    assert kinds(captured)[1] == "x.1=L" and found(captured)["x.1"].kind == "free"
    assert_same_as_source(captured)


def test_a_broadcast_size_of_one_stays_one(tmp_path):
    captured = capture(Add(), tmp_path, torch.ones(2, 5), torch.ones(1, 5))
    assert kinds(captured) == ["x.0=B", "x.1=L", "y.0=1", "y.1=L"]


def test_a_baked_batch_is_static(tmp_path):
    class Baked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.zeros(len(x), 1)

    captured = capture(Baked(), tmp_path, torch.ones(3, 5))
    dims = found(captured)
    assert dims["x.0"].kind == "static" and dims["x.0"].size == 3 and dims["x.0"].evidence
    assert dims["x.1"].kind == "free"


def test_an_unrolled_batch_is_static(tmp_path):
    class Loop(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([row * i for i, row in enumerate(x)])

    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0] + x[:, 1]

    dims = found(capture(Loop(), tmp_path, torch.ones(3, 5)))
    assert dims["x.0"].kind == "static" and dims["x.0"].size == 3
    assert dims["x.1"].kind == "free"
    captured = capture(First(), tmp_path, torch.ones(2, 5))
    assert kinds(captured) == ["x.0=B", "x.1=L"]
    assert captured.program.forward.symbols()[1].low == 2


def test_widths_with_a_constant_sum_are_fixed(tmp_path):
    class Join(nn.Module):
        def __init__(self):
            super().__init__()
            self.proj = nn.Linear(10, 3)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.proj(torch.cat([x, y], -1))

    captured = capture(Join(), tmp_path, torch.ones(2, 4), torch.ones(2, 6))
    assert kinds(captured) == ["x.0=B", "x.1=4", "y.0=B", "y.1=6"]


def test_a_dim_at_which_the_source_fails_is_static_and_says_so(tmp_path):
    class Fails(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.expand(2, x.shape[1])

    captured = capture(Fails(), tmp_path, torch.ones(2, 5))
    assert kinds(captured) == ["x.0=2", "x.1=L"]


def test_a_table_of_positions_bounds_the_length(tmp_path):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("ids", torch.arange(12)[None])
            self.embed = nn.Embedding(12, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.embed(self.ids[:, : x.shape[1]])

    captured = capture(Positions(), tmp_path, torch.ones(2, 5, 4))
    (length,) = [s for s in captured.program.forward.symbols() if s.name == "L"]
    assert length.high == 12
    assert_same_as_source(captured)


def test_computed_positions_bound_the_length(tmp_path):
    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("table", torch.randn(12, 4))

        def forward(self, x: Tensor) -> Tensor:
            places = torch.arange(x.shape[1]) + torch.zeros(x.shape[0], 1, dtype=torch.long) + 2
            return x + self.table.index_select(0, places.view(-1)).view(x.shape)

    captured = capture(Positions(), tmp_path, torch.ones(2, 5, 4))
    (length,) = [s for s in captured.program.forward.symbols() if s.name == "L"]
    assert length.high == 10
    assert "at most 10: take in Positions at test_probe.py:" in found(captured)["x.1"].evidence
    assert_same_as_source(captured)


def test_a_run_bounds_what_the_walk_cannot(tmp_path):
    class Lookup(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(12, 4)

        def forward(self, x: Tensor) -> Tensor:
            counted = (x[:, :, 0] * 0 + 1).cumsum(1).long()
            return x + self.embed(counted - 1)

    captured = capture(Lookup(), tmp_path, torch.ones(2, 5, 4))
    (length,) = [s for s in captured.program.forward.symbols() if s.name == "L"]
    assert length.high == 12
    assert "at most 12: fails at" in found(captured)["x.1"].evidence


def test_a_receptive_field_bounds_the_length_from_below(tmp_path):
    captured = capture(nn.Conv1d(3, 4, 7), tmp_path, torch.ones(2, 3, 20))
    (length,) = [s for s in captured.program.forward.symbols() if s.name == "L"]
    assert length.low == 7


def test_images_have_heights_and_widths(tmp_path):
    captured = capture(nn.Conv2d(3, 4, 3), tmp_path, torch.ones(2, 3, 8, 8))
    assert [k.split("=")[1] for k in kinds(captured)] == ["B", "3", "H", "W"]


# ---- equations

L, T, B = symbol("L"), symbol("T"), symbol("B")


def sizes(**captured):
    return Sizes(captured)


def test_equations_tie_fix_and_bound():
    s = sizes(B=2, L=8, T=8)
    s.solve(B * 64 * L, B * 64 * T, "view")
    assert s.of("T") == L
    s.solve(2 * L, 16, "reshape")
    assert s.of("L") == 8 and s.of("T") == 8


def test_a_minimum_that_must_be_the_size_bounds_it():
    s = sizes(B=2, L=8)
    s.solve(B * minimum(512, L), B * L, "add")
    assert s.of("L") == symbol("L", 1, 512)
    s.solve(minimum(3, L), 3, "view")
    assert s.of("L") == symbol("L", 3, 512)


def test_a_quotient_in_an_extreme_bounds_its_symbol():
    """`frames[:, :n]` of the frames of a sound: at least so many samples for one frame."""
    s = sizes(B=2, L=1200)
    frames = (L + 20) // 40 - 1
    s.solve(B * maximum(frames, 0), B * frames, "add")
    assert s.of("L") == symbol("L", 20)
    s.solve(minimum((L + 3) // 4, 400), (L + 3) // 4, "multiply")
    assert s.of("L") == symbol("L", 20, 1600)


def test_extremes_inside_of_extremes_bound_together():
    """A table of relative positions, sliced from both ends."""
    s = sizes(B=2, L=9)
    pad, cut = maximum(L - 5, 0), maximum(5 - L, 0)
    taken = maximum(minimum(2 * pad + 9, cut + 2 * L - 1) - cut, 0)
    s.solve(2 * taken * B * L + 2 * B * L, 4 * B * L * L, "view")
    assert s.of("L") == symbol("L", 5)


def test_the_sign_that_a_size_has_at_capture_bounds_it():
    s = sizes(L=9)
    s.solve(maximum(L - 5, 0), L - 5, "pad")
    assert s.of("L") == symbol("L", 5)
    s = sizes(L=3)
    s.solve(maximum(L - 5, 0), L - 5, "pad")
    assert s.of("L") == symbol("L", 1, 5)
    s = sizes(L=3, T=9)
    s.solve(maximum(L - T, 0), L - T, "pad")
    assert (s.of("L"), s.of("T")) == (3, 9)


def test_an_equation_of_several_symbols_fixes_them():
    s = sizes(B=2, L=8)
    s.solve(B * L, 16, "view")
    assert (s.of("B"), s.of("L")) == (2, 8)
    assert "fixed by" in s.evidence["B"]


def test_sizes_that_fail_only_together_come_to_an_end(tmp_path):
    """Either axis may grow alone, to where the source has no elements left, but not both."""

    class Scatter(nn.Module):
        def forward(self, x: Tensor, source: Tensor) -> Tensor:
            return x.masked_scatter(x < 9, source)

    captured = capture(Scatter(), tmp_path, torch.randn(6, 4), torch.randn(50))
    fixed = [d for d in captured.dims if d.input == "x" and d.kind == "static"]
    assert fixed and all("fails at" in d.evidence for d in fixed)
    assert_same_as_source(captured)


def test_an_equation_that_does_not_hold_is_an_error():
    with pytest.raises(Unsolvable):
        sizes(B=2, L=8).solve(L, 9, "add")


# ---- random inputs


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(11, 4)
        self.places = nn.Embedding(7, 4)

    def forward(self, ids: Tensor, places: Tensor, mask: Tensor, x: Tensor) -> Tensor:
        h = self.words(ids.to(torch.int32)) + self.places(places + 2) + x
        return h.masked_fill(mask[..., None] == 0, 0.0)


def test_random_ids_stay_in_their_tables_and_masks_keep_the_first_place(tmp_path):
    ids = torch.zeros(2, 5, dtype=torch.long)
    captured = capture(Model(), tmp_path, ids, ids, ids, torch.ones(2, 5, 4))
    graph = captured.program.forward
    words, places, mask, x = random_inputs(graph, {"B": 40, "L": 50}, np.random.default_rng(0))
    assert set(np.unique(words)) == set(range(11))
    assert set(np.unique(places)) == set(range(5))
    assert set(np.unique(mask)) == {0, 1} and mask[:, 0].all()
    assert (np.diff(mask) <= 0).all()
    assert x.std() == pytest.approx(1, abs=0.1)


def test_random_corners_of_boxes_and_starts_of_bags_rise(tmp_path):
    class Boxes(nn.Module):
        def __init__(self):
            super().__init__()
            self.x, self.width = nn.Embedding(30, 4), nn.Embedding(30, 4)

        def forward(self, box: Tensor) -> Tensor:
            return self.x(box[..., 0]) + self.width(box[..., 2] - box[..., 0])

    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.bag = nn.EmbeddingBag(20, 8, mode="sum")

        def forward(self, ids: Tensor, starts: Tensor) -> Tensor:
            return self.bag(ids, starts)

    captured = capture(Boxes(), tmp_path, torch.tensor([[[1, 2, 3, 4]] * 5] * 2))
    assert kinds(captured)[:2] == ["box.0=B", "box.1=L"]
    assert_same_as_source(captured)
    captured = capture(Bags(), tmp_path, torch.arange(9), torch.tensor([0, 4]))
    assert kinds(captured) == ["ids.0=L", "starts.0=T"]
    assert_same_as_source(captured)
