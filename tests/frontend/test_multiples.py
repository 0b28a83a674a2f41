"""Sizes that must be multiples of a number: solved, and checked against every size."""

import inspect
import json

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from captures import assert_same_as_source, capture, kinds, save
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mlx_transpile import transpile
from mlx_transpile.emitted_model import EmittedModel
from mlx_transpile.errors import BadRequest, TranspileError
from mlx_transpile.frontend.equations import Sizes
from mlx_transpile.frontend.export import capture_module, capture_program
from mlx_transpile.frontend.inputs import parse_inputs
from mlx_transpile.frontend.multiples import Multiple, joint_multiples, multiples
from mlx_transpile.frontend.onnx import capture_file
from mlx_transpile.frontend.torchscript import capture_archive
from mlx_transpile.ir.dims import evaluate, symbol
from mlx_transpile.ir.graph import leaves

FAST = settings(max_examples=150, deadline=None)
H, W = symbol("H"), symbol("W")


def halved(size, times, kernel=3, padding=1):
    """The size after so many convolutions of stride 2."""
    for _ in range(times):
        size = (size + 2 * padding - kernel) // 2 + 1
    return size


SOLVED = [  # what must be 0, the size at capture, the sizes for which it is
    (4 * (H // 4) - H, 32, "4*H"),
    (2 * ((H + 1) // 2) - H, 32, "2*H"),
    (H // 8 * 8 - H, 8, "8*H"),
    ((-H) % 8, 24, "8*H"),
    (2 * halved(H, 1) - H, 32, "2*H"),
    (2 * halved(H, 4) - halved(H, 3), 32, "16*H"),
    (2 * (H // 16) - H // 8, 48, "16*H"),
    (7 * (H // 28) - H // 4, 224, "28*H"),
    (320 * ((H + 319) // 320) - H, 640, "320*H"),
    (2 * ((H - 1) // 2) + 1 - H, 33, "2*H - 1"),
    (4 * ((H - 3) // 4) + 3 - H, 7, "4*H - 1"),
    (16 * (H // 4) * (W // 4) - H * W, 32, "4*H"),
    (6 * ((H * W) // 6) - H * W, 32, "H"),
    (H // 2 - W // 2, 32, "H"),
    (H // 4 - 2, 8, "H"),
]


@pytest.mark.parametrize("difference, size, expected", SOLVED, ids=lambda v: str(v))
def test_the_least_multiple(difference, size, expected):
    found = multiples(difference, {"H": size, "W": 48}, {})
    assert str(found.get("H", Multiple(1)).of(H)) == expected


def test_the_last_size_of_a_product_gives_way():
    assert multiples(6 * ((H * W) // 6) - H * W, {"H": 5, "W": 12}, {}) == {"W": Multiple(6)}


@st.composite
def chains(draw):
    """Quotients of H with offsets, then multiplied up again: less what there was at some step."""
    steps, size = [H], H
    for _ in range(draw(st.integers(1, 3))):
        size = (size + draw(st.integers(-3, 3))) // draw(st.integers(2, 6))
        steps.append(size)
    other = draw(st.sampled_from(steps[:-1]))
    return size * draw(st.integers(1, 24)) + draw(st.integers(-4, 4)) - other


@FAST
@given(chains(), st.integers(1, 400))
def test_all_multiples_make_it_zero_and_no_divisor_does(difference, size):
    found = multiples(difference, {"H": size}, {}).get("H")
    if found is None:
        return
    assert found.of(found.quotient(size)) == size and 0 <= found.less < found.factor
    for k in range(1, 60):
        assert evaluate(difference, {"H": found.of(k)}) == 0
    for factor in range(1, found.factor):
        if found.factor % factor == 0:
            few = Multiple.around(size, factor)
            values = (evaluate(difference, {"H": few.of(k)}) for k in range(1, 4 * found.factor))
            assert any(values), factor


@FAST
@given(st.integers(2, 40), st.integers(-40, 40), st.integers(1, 12))
def test_every_remainder_is_found(by, offset, count):
    """`by * ((H + offset) // by) == H + offset` for exactly the sizes around the captured one."""
    size = by * count + (-offset) % by
    (found,) = multiples(by * ((H + offset) // by) - offset - H, {"H": size}, {}).values()
    assert found == Multiple(by, -size % by)


@FAST
@given(st.integers(1, 12), st.integers(1, 12), st.integers(-6, 6), st.integers(1, 30))
def test_two_sizes_of_one_quotient(a, b, offset, size):
    """`a*H - b*W + offset == 0`: all pairs from the captured one on, and no others."""
    if (a * size + offset) % b or a * size + offset < b:
        return
    captured = {"H": size, "W": (a * size + offset) // b}
    (name, multiple), (other, dim) = joint_multiples(a * H - b * W + offset, captured)
    assert (name, other) == ("H", "W")
    pairs = {(multiple.of(k), evaluate(dim, {"H": k})) for k in range(-50, 200)}
    found = {(h, w) for h, w in pairs if 0 < h <= 60 and w > 0}
    real = {(h, (a * h + offset) // b) for h in range(1, 61) if not (a * h + offset) % b}
    assert found == {(h, w) for h, w in real if w > 0}


def test_limits_go_with_the_quotient():
    sizes = Sizes({"H": 32, "W": 3}, limits={"H": (6, 63)})
    sizes.solve(4 * (symbol("H", 6, 63) // 4), symbol("H", 6, 63), "view at file.py:12")
    assert sizes.limits["H/4"] == (2, 15) and str(sizes.of("H")) == "4*H/4"
    assert sizes.why("H") == "a multiple of 4: view at file.py:12"
    whole = sizes.of("H/4")
    sizes.solve(2 * (whole // 2), whole, "merge at file.py:30")
    assert str(sizes.of("H")) == "8*H/4/2" and sizes.limits["H/4/2"] == (1, 7)
    assert sizes.why("H") == "a multiple of 8: view at file.py:12, merge at file.py:30"
    assert list(sizes.captured.items()) == [("H", 32), ("H/4", 8), ("H/4/2", 4), ("W", 3)]


def test_two_inputs_of_one_quotient():
    sizes = Sizes({"H": 6, "W": 4})
    sizes.solve(2 * H, 3 * W, "")
    assert [str(sizes.of(n)) for n in ("H", "W")] == ["3*H/3", "2*H/3"]


# ---- models


class Windows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x.view(b, h // 4, 4, w // 2, 2, c).transpose(2, 3)
        return x.flatten(1, 4) * x.mean(dim=(3, 4)).flatten(1, 2).mean(1, keepdim=True)


class UNet(nn.Module):
    """Two halvings, and what was before each beside what comes back."""

    def __init__(self):
        super().__init__()
        self.down = nn.ModuleList([nn.Conv1d(2, 2, 3, 2, 1) for _ in range(2)])
        self.up = nn.ModuleList([nn.ConvTranspose1d(2, 2, 2, 2) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        first = self.down[0](x)
        second = F.relu(self.down[1](first))
        return x + self.up[1](first + self.up[0](second))


class Excited(nn.Module):
    """Frames, and samples of which eight make a frame."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(3, 2, 4, 2, padding=1)
        self.down = nn.Conv1d(1, 2, 8, 4, padding=2)
        self.last = nn.ConvTranspose1d(2, 1, 8, 4, padding=2)

    def forward(self, frames: Tensor, samples: Tensor) -> Tensor:
        return self.last(self.up(frames) + self.down(samples)) * samples


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv1d(2, 3, 3, 2), nn.ConvTranspose1d(3, 2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.up(self.down(x))


class Unshuffled(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(F.pixel_unshuffle(x, 3).sigmoid(), 3)


class Blocks(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        blocks = x.unflatten(1, (-1, 4))
        return (blocks - blocks.mean(2, keepdim=True)).flatten(1, 2) * mask[:, :, None]


MODELS = {
    "windows": (Windows, [(2, 8, 6, 3)], ["x.1=4*H", "x.2=2*W"]),
    "unet": (UNet, [(1, 2, 24)], ["x.2=4*L"]),
    "excited": (Excited, [(1, 3, 5), (1, 1, 40)], ["frames.2=L", "samples.2=8*L"]),
    "odd": (Odd, [(1, 2, 9)], ["x.2=2*L - 1"]),
    "unshuffled": (Unshuffled, [(1, 2, 6, 9)], ["x.1=H", "x.2=3*W", "x.3=3*L"]),
    "blocks": (Blocks, [(2, 12, 3), (2, 12)], ["x.1=4*L", "mask.1=4*L"]),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_multiples(name, tmp_path):
    make, shapes, expected = MODELS[name]
    captured = capture(make().eval(), tmp_path, *(torch.randn(s) for s in shapes))
    assert set(expected) <= set(kinds(captured))
    assert_same_as_source(captured)


def test_the_evidence_says_what_and_where(tmp_path):
    captured = capture(Windows(), tmp_path, torch.ones(2, 8, 6, 3))
    rows = next(d for d in captured.dims if d.axis == 1)
    assert (rows.kind, rows.size, rows.symbol) == ("multiple", 8, "4*H")
    assert rows.evidence.startswith("a multiple of 4: aten::view in Windows at test_multiples.py:")
    assert rows.evidence.endswith("; ran at 4, 8, 16, 24")


def stated(tmp_path, *specs):
    path = save(torch.jit.script(Blocks()), tmp_path / "blocks.pt")
    return capture_archive(path, parse_inputs(specs))


def test_multiples_stated_by_the_user(tmp_path):
    captured = stated(tmp_path, "x=batch,4*blocks,3", "mask=batch,4*blocks")
    assert kinds(captured)[1] == "x.1=4*blocks" and kinds(captured)[-1] == "mask.1=4*blocks"
    assert "given as a multiple" in captured.dims[1].evidence
    assert_same_as_source(captured)


@pytest.mark.parametrize("dim", ["2*n", "n"])
def test_more_than_the_user_stated(dim, tmp_path):
    captured = stated(tmp_path, f"x=batch,{dim},3", f"mask=batch,{dim}")
    assert kinds(captured)[1] == "x.1=4*n" and kinds(captured)[-1] == "mask.1=4*n"
    assert_same_as_source(captured)


def test_a_multiple_that_cannot_be_free(tmp_path):
    with pytest.raises(TranspileError, match="the size n cannot be free: fixed by"):
        stated(tmp_path, "x=batch,4*n,3", "mask=batch,32")


class Checked(nn.Module):
    """Sizes that only an assertion, or an exception, keeps from being anything."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        assert x.shape[1] % 4 == 0 and x.shape[0] == y.shape[0]
        if y.shape[1] % 3 != 1:
            raise ValueError("one more than a multiple of 3 is needed")
        return x.mean(1) + y.sum(1).mean(0)


def test_what_the_source_raises_for_otherwise(tmp_path):
    path = save(torch.jit.script(Checked()), tmp_path / "checked.pt")
    captured = capture_archive(path, parse_inputs(["x=b,l", "y=b,13"]))
    assert kinds(captured) == ["x.0=b", "x.1=4*l", "y.0=b", "y.1=13"]
    assert (
        "the source raises otherwise in Checked at test_multiples.py" in captured.dims[1].evidence
    )
    assert_same_as_source(captured)


EXPORTS = [  # what the export states, the dims, what the evidence begins with
    (
        {2: torch.export.Dim.AUTO},
        "x.2=2*L - 1",
        "a multiple of 2 plus 1: the export needs size == ",
    ),
    (
        {2: 2 * torch.export.Dim("n") + 1},
        "x.2=2*L + 1",
        "a multiple of 2 plus 1: in the export; ran",
    ),
]


@pytest.mark.parametrize("dynamic, expected, evidence", EXPORTS)
def test_multiples_of_an_export(dynamic, expected, evidence):
    program = torch.export.export(
        Odd().eval(), (torch.randn(2, 2, 9),), dynamic_shapes=(dynamic,), strict=False
    )
    captured = capture_program(program)
    assert kinds(captured)[2] == expected
    assert captured.dims[2].evidence.startswith(evidence)
    assert_same_as_source(captured)


class Branches(nn.Module):
    """Code that an export leaves out, and a trace too: only the guard says so."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if x.shape[1] % 6 == 0 else x + x.shape[1]


def branches():
    free = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    x = torch.randn(2, 12)
    return torch.export.export(Branches(), (x,), dynamic_shapes=(free,), strict=False)


def test_the_guard_of_a_branch_says_what_a_size_is_a_multiple_of():
    captured = capture_program(branches())
    assert kinds(captured) == ["x.0=B", "x.1=6*L"]
    assert "the export needs (size % 6) == 0" in captured.dims[1].evidence
    assert_same_as_source(captured)


@pytest.mark.parametrize(
    "dim, expected", [("3*n", "6*n"), ("n", "6*n"), ("4*n", "12*n"), ("18", "18")]
)
def test_the_sizes_of_an_export_stated(dim, expected):
    captured = capture_program(branches(), parse_inputs([f"x=b,{dim}"]))
    assert kinds(captured) == ["x.0=b", f"x.1={expected}"]
    assert captured.dims[1].size == (18 if dim == "18" else 12)
    assert_same_as_source(captured)


def test_a_size_that_is_no_multiple_in_the_export():
    with pytest.raises(BadRequest, match="the export has a multiple of 6 there, not 15"):
        capture_program(branches(), parse_inputs(["x=b,15"]))
    with pytest.raises(BadRequest, match="the export's example has 12 for '5\\*n'"):
        capture_program(branches(), parse_inputs(["x=b,5*n"]))


# ---- ONNX


def onnx_file(name, path, free=True):
    """A model through torch's exporter; all dims but those that the weights fix have names."""
    make, shapes, _ = MODELS[name]
    inputs = tuple(torch.randn(s) for s in shapes)
    names = list(inspect.signature(make.forward).parameters)[1:]
    axes = {n: {i: f"{n}_{i}" for i in range(x.ndim)} for n, x in zip(names, inputs)}
    torch.onnx.export(
        make().eval(), inputs, str(path), input_names=names, dynamo=False,
        dynamic_axes=axes if free else None,
    )  # fmt: skip
    return path


ONNX = {  # what the dims are: named as in the file
    "windows": ["x.1=4*x_1", "x.2=2*x_2"],
    "unet": ["x.2=4*x_2"],
    "excited": ["frames.2=frames_2", "samples.2=8*frames_2"],
    "odd": ["x.2=2*x_2 - 1"],
    "unshuffled": ["x.2=3*x_2", "x.3=3*x_3"],
    "blocks": ["x.1=4*x_1", "mask.1=4*x_1"],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ONNX)
def test_multiples_of_an_onnx_file(name, tmp_path):
    captured = capture_file(onnx_file(name, tmp_path / "model.onnx"))
    assert set(ONNX[name]) <= set(kinds(captured))
    assert_same_as_source(captured)


@pytest.mark.filterwarnings("ignore")
def test_multiples_of_an_onnx_file_stated(tmp_path):
    path = onnx_file("unet", tmp_path / "model.onnx")
    captured = capture_file(path, parse_inputs(["x=b,2,12*n"]))
    assert kinds(captured) == ["x.0=b", "x.1=2", "x.2=12*n"]
    assert captured.dims[2].evidence == "a multiple of 12: stated"
    assert_same_as_source(captured)
    captured = capture_file(path, parse_inputs(["x=b,2,n"]))
    assert kinds(captured)[2] == "x.2=4*n"
    assert captured.dims[2].evidence.startswith("a multiple of 4: Add ")


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_names_multiples(tmp_path):
    path = onnx_file("unet", tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "8*frames"
    onnx.save(model, path)
    captured = capture_file(path)
    assert kinds(captured)[2] == "x.2=8*frames" and captured.dims[2].kind == "multiple"
    assert_same_as_source(captured)
    assert kinds(capture_file(path, parse_inputs(["x=b,2,24"])))[2] == "x.2=24"
    with pytest.raises(
        BadRequest, match=r"the file has a multiple of 8 there \(8\*frames\), --input"
    ):
        capture_file(path, parse_inputs(["x=b,2,20"]))


# ---- the emitted code


def test_the_emitted_model_takes_multiples_and_says_so(tmp_path):
    path = save(UNet().eval(), tmp_path / "unet.pt", (torch.randn(1, 2, 24),))
    result = transpile(path, tmp_path / "out", validate=True)
    assert result.report is not None and result.report.ok
    assert result.report.ran("L") == [1, 2, 5, 6]  # quarters of the length
    model = EmittedModel(tmp_path / "out")
    try:
        (found,) = leaves(model.run([np.zeros((1, 2, 28), np.float32)]))
        assert np.asarray(found).shape == (1, 2, 28)
        with pytest.raises(ValueError, match=r"\(1, 2, 30\): axis 2 must be a multiple of 4"):
            model.run([np.zeros((1, 2, 30), np.float32)])
    finally:
        model.close()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [d["kind"] for d in manifest["dims"]] == ["free", "static", "multiple"]
    assert manifest["inputs"][0]["dims"] == ["B", 2, "4*L"]


def test_a_module_without_examples_is_tried_at_sizes_that_it_takes():
    captured = capture_module(UNet().eval(), None, parse_inputs(["x=2,2,n"]))
    assert kinds(captured) == ["x.0=2", "x.1=2", "x.2=4*n"] and captured.dims[2].size == 8
    captured = capture_module(Blocks().eval(), None, parse_inputs(["x=b,n,3", "mask=b,n"]))
    assert kinds(captured)[1] == "x.1=4*n" and captured.dims[1].size == 28
