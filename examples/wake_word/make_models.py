"""Writes a wake-word detector in three files: melspectrogram, embedding and classifier (.onnx).

    python examples/wake_word/make_models.py [FOLDER]

Published detectors come in this form, and as ONNX only. The weights here are random, of a fixed
seed, and smaller: what a stream of audio gives is a number, not a detection. The exporter is the
one that traces (`dynamo=False`).
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW, HOP, MELS = 400, 160, 32  # 25 ms, 10 ms at 16 kHz
FRAMES, WIDTHS, EMBEDDING = 76, (24, 32, 48, 64), 96
STEPS, HIDDEN = 16, 32


class MelSpectrogram(nn.Module):
    """Samples [1, S] to decibels [1, 1, frames, mels]: a Fourier transform as two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        bins = WINDOW // 2 + 1
        time, frequency = torch.arange(WINDOW).float(), torch.arange(bins).float()
        angle = 2 * torch.pi * frequency[:, None] * time / WINDOW
        window = torch.hann_window(WINDOW)
        self.real = nn.Conv1d(1, bins, WINDOW, HOP, bias=False)
        self.imag = nn.Conv1d(1, bins, WINDOW, HOP, bias=False)
        self.real.weight.data = (angle.cos() * window)[:, None]
        self.imag.weight.data = (-angle.sin() * window)[:, None]
        self.register_buffer("mel_weight", triangles(bins, MELS))

    def forward(self, samples: Tensor) -> Tensor:
        samples = samples[:, None]
        power = self.real(samples) ** 2 + self.imag(samples) ** 2
        mel = torch.matmul(power.transpose(1, 2), self.mel_weight)[:, None]
        decibels = 10.0 * torch.log10(torch.clamp(mel, min=1e-10))
        return torch.maximum(decibels, decibels.amax() - 80.0)


def triangles(bins: int, mels: int) -> Tensor:
    """The filters [bins, mels] of a mel scale, triangles that begin at a neighbour's top."""
    top = 2595 * torch.log10(torch.tensor(1 + 8000 / 700))
    edges = 700 * (10 ** (torch.linspace(60 / 700, 1, mels + 2) * top / 2595) - 1)
    frequency = torch.linspace(0, 8000, bins)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rise, fall = (frequency - low) / (middle - low), (high - frequency) / (high - middle)
    return torch.clamp(torch.minimum(rise, fall), min=0)


class Block(nn.Module):
    def __init__(self, width: int, to: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, to, kernel, bias=False, padding=(0, kernel[1] // 2))
        self.bn = nn.BatchNorm2d(to)

    def forward(self, x: Tensor) -> Tensor:
        return torch.clamp(F.leaky_relu(self.bn(self.conv(x)), 0.2), min=-0.4)


class SpeechEmbedding(nn.Module):
    """Frames [B, 76, mels, 1] to vectors [B, 1, 1, 96], by time and by frequency in turn."""

    def __init__(self) -> None:
        super().__init__()
        stages, width = [], 1
        for to, pool in zip(WIDTHS, ((2, 2), (1, 2), (2, 2), (2, 2)), strict=True):
            first = Block(width, to, (3, 3) if width == 1 else (1, 3))
            stages.append(nn.Sequential(first, Block(to, to, (3, 1)), nn.MaxPool2d(pool)))
            width = to
        self.stages = nn.ModuleList(stages)
        self.out = nn.Conv2d(width, EMBEDDING, (7, 2))

    def forward(self, frames: Tensor) -> Tensor:
        x = frames.permute(0, 3, 1, 2)
        for stage in self.stages:
            x = stage(x)
        return self.out(x).permute(0, 2, 3, 1)


class Classifier(nn.Module):
    """Vectors [B, 16, 96] to a score [B, 1] from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Linear(STEPS * EMBEDDING, HIDDEN)
        self.norm1 = nn.LayerNorm(HIDDEN)
        self.layer2 = nn.Linear(HIDDEN, HIDDEN)
        self.norm2 = nn.LayerNorm(HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, embeddings: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.layer1(embeddings.flatten(1))))
        x = F.relu(self.norm2(self.layer2(x)))
        return torch.sigmoid(self.head(x))


def randomize(module: nn.Module) -> nn.Module:
    """Weights under which signals keep their size, and norms that are no identity."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in [*module.named_parameters(), *module.named_buffers()]:
            if parameter.is_floating_point() and not name.startswith(("real", "imag", "mel")):
                noise = torch.randn(parameter.shape, generator=generator)
                fan = max(1, parameter[0].numel())
                vector = 1 + 0.1 * noise.abs() if name.endswith(("weight", "var")) else 0.1 * noise
                parameter.copy_(vector if parameter.dim() == 1 else noise * (2 / fan) ** 0.5)
    return module.eval()


def build() -> dict[str, tuple[nn.Module, Tensor, str, dict[int, str]]]:
    """By file: the module, an example input, the input's name and its free dims."""
    return {
        "melspectrogram": (
            randomize(MelSpectrogram()), torch.zeros(1, 1520), "samples", {1: "num_samples"}
        ),
        "embedding": (
            randomize(SpeechEmbedding()), torch.zeros(1, FRAMES, MELS, 1), "frames", {0: "batch"}
        ),
        "classifier": (
            randomize(Classifier()), torch.zeros(1, STEPS, EMBEDDING), "embeddings", {0: "batch"}
        ),
    }  # fmt: skip


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, (module, example, argument, dims) in build().items():
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            module, (example,), str(path), dynamo=False, opset_version=17,
            input_names=[argument], output_names=[name], dynamic_axes={argument: dims},
        )  # fmt: skip
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
