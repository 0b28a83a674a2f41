"""At --dtype the report has the source's own error at that dtype, or why it does not run there."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from mlx_transpile import transpile  # noqa: E402


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(64, 64), nn.Linear(64, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.tanh(self.up(x)))


class Wide(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.down(torch.tanh(self.up(x)).to(torch.float32))


def saved(module: nn.Module, folder: Path) -> Path:
    torch.manual_seed(0)
    path = folder / "model.pt"
    torch.jit.trace(module.eval(), torch.randn(3, 64)).save(str(path))
    return path


def cases(source: object, out: Path, **options: object) -> tuple[list[dict], str]:
    result = transpile(source, out, dtype="bfloat16", validate=True, **options)
    assert result.ok
    return json.loads((out / "report.json").read_text())["cases"], (out / "report.md").read_text()


def test_both_errors_stand_side_by_side(tmp_path: Path) -> None:
    module = Net().eval()
    for source, options in (
        (saved(module, tmp_path), {}),
        (module, {"example_inputs": (torch.randn(3, 64),)}),
    ):
        found, text = cases(source, tmp_path / "out", **options)
        for case in found:
            (own,) = case["source_itself"]
            assert 1e-5 < own["max_abs"] < 0.1
        assert "| sizes | output | source: max abs | this model: max abs |" in text


def test_a_source_that_does_not_run_at_the_dtype(tmp_path: Path) -> None:
    found, text = cases(saved(Wide(), tmp_path), tmp_path / "out")
    assert all("source_itself" not in c and "dtype" in c["source_refuses_dtype"] for c in found)
    assert "The source itself does not run at bfloat16" in text
