"""A convolutional audio network: down by 4, a bottleneck, up by 4."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .case import Case, floats, seeded


class Residual(nn.Module):
    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.norm = nn.GroupNorm(4, channels)
        self.depthwise = nn.Conv1d(
            channels, channels, 3, padding=dilation, dilation=dilation, groups=channels
        )
        self.pointwise = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(F.leaky_relu(self.depthwise(self.norm(x)), 0.2))


class ConvAudioNet(nn.Module):
    def __init__(self, channels: int = 8):
        super().__init__()
        self.encoder = nn.Conv1d(1, channels, 8, stride=4, padding=2)
        self.blocks = nn.ModuleList(Residual(channels, 2**i) for i in range(3))
        self.decoder = nn.ConvTranspose1d(channels, 1, 8, stride=4, padding=2, output_padding=1)
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, waveform: Tensor) -> Tensor:
        x = F.pad(waveform, (2, 2), mode="reflect")
        x = F.elu(self.encoder(x))
        for block in self.blocks:
            x = block(x)
        return torch.tanh(self.decoder(x)) * self.gain


def conv_audio() -> Case:
    return Case(seeded(ConvAudioNet()), (floats(2, 1, 64),), ({0: "B", 2: "T"},))
