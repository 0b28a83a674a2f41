"""Idioms of models that people write by hand, with free sizes: what a trace of them computes."""

from __future__ import annotations

import pytest
import torch
from captures import assert_same_as_source, capture, save
from torch import Tensor, nn

from mlx_transpile.errors import TranspileError
from mlx_transpile.frontend.export import capture_program
from mlx_transpile.frontend.inputs import parse_inputs
from mlx_transpile.frontend.source import Captured
from mlx_transpile.frontend.torchscript import capture_archive


class LongConvolution(nn.Module):
    """A convolution with a filter as long as the signal, as products of spectra."""

    def __init__(self):
        super().__init__()
        self.decay = nn.Parameter(torch.rand(3, 1))

    def forward(self, x: Tensor) -> Tensor:
        n = x.size(-1)
        k = torch.exp(-self.decay * torch.arange(n))
        spectrum = torch.fft.rfft(x, n=2 * n) * torch.fft.rfft(k, n=2 * n)
        return torch.fft.irfft(spectrum, n=2 * n)[..., :n]


class StepWithPast(nn.Module):
    """Attention over keys that were there before, causal by a triangle moved aside."""

    def forward(self, x: Tensor, past: Tensor) -> Tensor:
        keys = torch.cat([past, x], 2)
        before, new = past.shape[2], x.shape[2]
        mask = torch.ones(new, new + before, dtype=torch.bool).tril(diagonal=before)
        return nn.functional.scaled_dot_product_attention(x, keys, keys, attn_mask=mask)


class GlobalPools(nn.Module):
    """Pools over all of an axis, whose size is read where they are called."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        average = nn.functional.avg_pool2d(x, x.shape[2:])
        return average, nn.functional.max_pool2d(x, x.size()[2:])


class Warped(nn.Module):
    """The image turned by a matrix, on a grid of its own size."""

    def __init__(self, align_corners: bool):
        super().__init__()
        self.align_corners = align_corners

    def forward(self, x: Tensor, theta: Tensor) -> Tensor:
        return nn.functional.affine_grid(theta, x.shape, self.align_corners)


class Middle(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.median(1)[0], *x.median(2, keepdim=True), *torch.tensor_split(x, 3, dim=2)


class RelativeShift(nn.Module):
    """Scores by distance moved to scores by place, as a view of padded memory."""

    def forward(self, x: Tensor) -> Tensor:
        padded = nn.functional.pad(x, (1, 0))
        b, n, i, j = padded.shape
        return padded.as_strided((b, n, i, j - 1), (n * i * j, i * j, j - 1, 1), i)


class Frames(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        b, n = x.shape
        return x.as_strided((b, (n - 8) // 3 + 1, 8), (n, 3, 1)) * torch.hann_window(8)


class ViewOfTurned(nn.Module):
    """Reads the memory of a tensor that is a turned view of another one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).as_strided((2, 2), (2, 1))


CASES = {
    "a view of padded memory": (RelativeShift(), (torch.randn(2, 3, 7, 7),), "x.0 x.2"),
    "overlapping frames": (Frames(), (torch.randn(2, 30),), "x.0 x.1"),
    "pools over everything": (GlobalPools(), (torch.randn(2, 3, 7, 5),), "x.2 x.3"),
    "a grid": (Warped(False), (torch.randn(2, 3, 7, 5), torch.randn(2, 2, 3)), "x.2 x.3"),
    "a grid to the corners": (
        Warped(True),
        (torch.randn(2, 3, 7, 5), torch.randn(2, 2, 3)),
        "x.2 x.3",
    ),
    "medians and even parts": (Middle(), (torch.randn(2, 7, 8),), "x.1 x.2"),
    "a triangle off by a free length": (
        StepWithPast(),
        (torch.randn(2, 2, 3, 8), torch.randn(2, 2, 5, 8)),
        "x.2 past.2",
    ),
    "transforms of twice the free length": (LongConvolution(), (torch.randn(2, 3, 10),), "x.2"),
}


def free_axes(captured: Captured) -> set[str]:
    return {f"{d.input}.{d.axis}" for d in captured.dims if d.symbol}


@pytest.mark.parametrize("name", CASES)
def test_free_sizes_stay_free(name, tmp_path):
    module, inputs, free = CASES[name]
    captured = capture(module.eval(), tmp_path, *inputs)
    assert set(free.split()) <= free_axes(captured)
    assert_same_as_source(captured)


class ModulatedConvolution(nn.Module):
    """Every sample has weights of its own: the batch goes into the groups."""

    def __init__(self, transposed: bool):
        super().__init__()
        self.weight, self.transposed = nn.Parameter(torch.randn(1, 6, 4, 3, 3)), transposed

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        weight = self.weight * style.view(batch, 1, channels, 1, 1)
        x = x.view(1, batch * channels, height, width)
        if self.transposed:
            weight = weight.transpose(1, 2).reshape(batch * channels, 6, 3, 3)
            out = nn.functional.conv_transpose2d(x, weight, stride=2, groups=batch)
        else:
            weight = weight.view(batch * 6, channels, 3, 3)
            out = nn.functional.conv2d(x, weight, padding=1, groups=batch)
        return out.view(batch, 6, out.size(2), out.size(3))


@pytest.mark.parametrize("transposed", [False, True])
def test_groups_may_be_the_batch(transposed, tmp_path):
    """Scripted, since a trace keeps the groups of its example."""
    module = torch.jit.script(ModulatedConvolution(transposed).eval())
    path = save(module, tmp_path / "model.pt")
    captured = capture_archive(path, parse_inputs(["x=batch,4,5,6", "style=batch,4"]))
    assert "x.0" in free_axes(captured)
    assert_same_as_source(captured)


class BySizes(nn.Module):
    """A table of sizes as a tensor: torch.export leaves the types of its rows behind."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        sizes = torch.tensor([[x.shape[1], x.shape[0]], [y.shape[1], y.shape[0]]])
        return x.mean() / sizes + y.mean()


def test_types_that_nothing_reads_are_left_out():
    module, inputs = BySizes().eval(), (torch.randn(3, 5), torch.randn(4, 7))
    auto = torch.export.Dim.AUTO
    dims = ({0: auto, 1: auto}, {0: auto, 1: auto})
    program = torch.export.export(module, inputs, dynamic_shapes=dims, strict=False)
    captured = capture_program(program)
    assert len(captured.program.forward.symbols()) == 4
    assert_same_as_source(captured)


def test_memory_of_a_turned_view_is_refused(tmp_path):
    with pytest.raises(TranspileError, match="order in memory"):
        capture(ViewOfTurned().eval(), tmp_path, torch.randn(4, 5))
