"""Layers whose mask depends on their number stay one loop."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch import Tensor, nn  # noqa: E402

from mlx_transpile import transpile  # noqa: E402


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + torch.tanh(self.fc(x)) * mask


class Net(nn.Module):
    """Every `period`-th layer reads another mask, the first or the last of them."""

    def __init__(self, count: int, period: int, last: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer() for _ in range(count))
        self.period, self.turn = period, period - 1 if last else 0

    def forward(self, x: Tensor) -> Tensor:
        near, far = torch.cos(x), torch.sin(x)
        for i, layer in enumerate(self.layers):
            x = layer(x, far if i % self.period == self.turn else near)
        return x


def emitted(net: Net, out: Path, **options: object) -> str:
    torch.manual_seed(0)
    example = (torch.randn(3, 8),)
    assert transpile(net.eval(), out, example_inputs=example, validate=True, **options).ok
    return (out / "model.py").read_text()


def test_every_other_layer(tmp_path: Path) -> None:
    text = emitted(Net(4, 2, False), tmp_path / "four", emit=("python", "cpp"))
    assert "for i, layer in enumerate(self.layers):" in text
    assert " if i % 2 == 0 else " in text and "x = x\n" not in text
    assert (
        "for (int turn = 0; const auto& layer : layers_) {"
        in (tmp_path / "four" / "cpp" / "model.cpp").read_text()
    )
    assert emitted(Net(7, 2, False), tmp_path / "seven") == text


def test_the_last_of_three(tmp_path: Path) -> None:
    text = emitted(Net(6, 3, True), tmp_path / "six")
    assert " if i % 3 == 2 else " in text
    assert emitted(Net(8, 3, True), tmp_path / "eight") == text


def test_two_layers_show_no_rule(tmp_path: Path) -> None:
    text = emitted(Net(2, 2, False), tmp_path / "two")
    assert "enumerate" not in text and "self.layers[1](" in text
