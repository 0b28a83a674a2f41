"""Idioms of models that people write by hand, with free sizes: what a trace of them computes."""

from __future__ import annotations

import pytest
import torch
from captures import assert_same_as_source, capture, kinds
from torch import Tensor, nn


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


CASES = {
    "transforms of twice the free length": (LongConvolution(), (torch.randn(2, 3, 10),), "x.2=L"),
}


@pytest.mark.parametrize("name", CASES)
def test_free_sizes_stay_free(name, tmp_path):
    module, inputs, free = CASES[name]
    captured = capture(module.eval(), tmp_path, *inputs)
    assert set(free.split()) <= set(kinds(captured))
    assert_same_as_source(captured)
