"""Layers whose weights a model reads as well: in C++ a layer gives access to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from mlx_transpile import cpp_build, transpile  # noqa: E402

needs_compiler = pytest.mark.skipif(
    cpp_build.find_compiler() is None or cpp_build.find_mlx() is None,
    reason="needs a C++ compiler and the headers of the mlx package",
)


class Reads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.turned = nn.Conv1d(4, 4, 3), nn.ConvTranspose1d(4, 4, 3)
        self.layer, self.rms, self.group = nn.LayerNorm(4), nn.RMSNorm(4), nn.GroupNorm(2, 4)
        self.batch, self.linear = nn.BatchNorm1d(4), nn.Linear(4, 4)
        for parameter in self.parameters():
            nn.init.normal_(parameter)

    def forward(self, x: Any) -> Any:
        y = self.turned(self.conv(self.group(self.batch(x)))).transpose(1, 2)
        y = self.linear(self.rms(self.layer(y)))
        norms = (self.layer, self.group, self.batch)
        read = torch.stack([n.weight for n in norms] + [n.bias for n in norms])
        kernels = self.conv.weight.sum(-1) * self.conv.bias + self.turned.weight.sum(-1)
        return y * read.sum(0) + self.linear.weight @ self.linear.bias * self.rms.weight, kernels


@needs_compiler
def test_weights_of_layers(tmp_path: Path) -> None:
    out, example = tmp_path / "out", (torch.randn(2, 4, 9),)
    options: dict[str, Any] = {"emit": ("python", "cpp"), "validate": True}
    transpile(Reads().eval(), out, example_inputs=example, **options)
    source = (out / "cpp" / "model.cpp").read_text()
    assert all(f"{name}_.weight()" in source for name in ("layer", "group", "batch", "rms"))
    assert json.loads((out / "report.json").read_text())["cpp"]
