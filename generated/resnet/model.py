"""ResNet in MLX, transpiled; see manifest.json."""

import json
import math
from functools import reduce
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn


def check_shape(name: str, x: mx.array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the input has the shape that the model was made for."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, expected {shape}")


def window_count(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool
) -> int:
    """How many windows torch's pooling has along an axis.

    With ceil_mode the last may end outside, if it does not start in the end padding.
    """
    steps = (size + 2 * padding - dilation * (kernel - 1) - 1) / stride
    count = (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def window_slices(
    x: mx.array,
    axis: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    ceil_mode: bool,
    fill: float,
) -> list[mx.array]:
    """For each place in a pooling window, what all windows along an axis have there."""
    size = x.shape[axis]
    count = window_count(size, kernel, stride, padding, dilation, ceil_mode)
    stop = (count - 1) * stride + 1
    last = stop + dilation * (kernel - 1)

    widths = [(0, 0)] * x.ndim
    widths[axis] = (padding, max(0, last - padding - size))
    x = mx.pad(x, widths, constant_values=fill)
    index = [slice(None)] * x.ndim
    slices = []
    for start in range(0, dilation * kernel, dilation):
        index[axis] = slice(start, start + stop, stride)
        slices.append(x[tuple(index)])
    return slices


def max_pool(
    x: mx.array,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
    ceil_mode: bool = False,
) -> mx.array:
    """torch's max_pool1d/2d/3d over x [N, *spatial, C].

    nn.MaxPool2d and its like are the same less dilation and ceil_mode.
    """
    rank = len(kernel)
    axes = range(-rank - 1, -1)
    fill = -mx.inf if mx.issubdtype(x.dtype, mx.floating) else mx.iinfo(x.dtype).min
    windows = zip(axes, kernel, stride, padding, dilation or (1,) * rank)
    for axis, k, s, p, d in windows:
        x = reduce(mx.maximum, window_slices(x, axis, k, s, p, d, ceil_mode, fill))
    return x


@dataclass
class ModelArgs:
    conv1_num_channels: int
    layer1_conv1_out_channels: int
    layer1_conv2_out_channels: int
    conv3_num_channels: int
    layer2_conv1_out_channels: int
    layer2_conv2_out_channels: int
    conv3_out_channels: int
    num_channels: int
    other_layer1_conv1_out_channels: int
    other_layer1_conv2_out_channels: int
    other_layer2_conv1_out_channels: int
    other_layer2_conv2_out_channels: int
    num_labels: int


class Layer1Bottleneck(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.conv1 = nn.Conv2d(
            args.conv1_num_channels,
            args.layer1_conv1_out_channels,
            kernel_size=1,
            bias=False,
        )
        self.bn1 = nn.BatchNorm(args.layer1_conv1_out_channels)
        self.conv2 = nn.Conv2d(
            args.layer1_conv1_out_channels,
            args.layer1_conv2_out_channels,
            kernel_size=3,
            padding=1,
            bias=False,
        )
        self.bn2 = nn.BatchNorm(args.layer1_conv2_out_channels)
        self.conv3 = nn.Conv2d(
            args.layer1_conv2_out_channels,
            args.conv3_num_channels,
            kernel_size=1,
            bias=False,
        )
        self.bn3 = nn.BatchNorm(args.conv3_num_channels)
        self.downsample = [
            nn.Conv2d(
                args.conv1_num_channels,
                args.conv3_num_channels,
                kernel_size=1,
                bias=False,
            ),
            nn.BatchNorm(args.conv3_num_channels),
        ]

    def __call__(self, input: mx.array) -> mx.array:
        h = self.bn2(self.conv2(nn.relu(self.bn1(self.conv1(input)))))
        input = self.bn3(self.conv3(nn.relu(h))) + self.downsample[1](
            self.downsample[0](input)
        )
        return nn.relu(input)


class Bottleneck(nn.Module):
    def __init__(
        self, conv1_in_channels: int, conv1_out_channels: int, conv2_out_channels: int
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(
            conv1_in_channels, conv1_out_channels, kernel_size=1, bias=False
        )
        self.bn1 = nn.BatchNorm(conv1_out_channels)
        self.conv2 = nn.Conv2d(
            conv1_out_channels, conv2_out_channels, kernel_size=3, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm(conv2_out_channels)
        self.conv3 = nn.Conv2d(
            conv2_out_channels, conv1_in_channels, kernel_size=1, bias=False
        )
        self.bn3 = nn.BatchNorm(conv1_in_channels)

    def __call__(self, h: mx.array) -> mx.array:
        input = self.bn2(self.conv2(nn.relu(self.bn1(self.conv1(h)))))
        input = self.bn3(self.conv3(nn.relu(input))) + h
        return nn.relu(input)


class Layer2Bottleneck(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.conv1 = nn.Conv2d(
            args.conv3_num_channels,
            args.layer2_conv1_out_channels,
            kernel_size=1,
            bias=False,
        )
        self.bn1 = nn.BatchNorm(args.layer2_conv1_out_channels)
        self.conv2 = nn.Conv2d(
            args.layer2_conv1_out_channels,
            args.layer2_conv2_out_channels,
            kernel_size=3,
            stride=2,
            padding=1,
            bias=False,
        )
        self.bn2 = nn.BatchNorm(args.layer2_conv2_out_channels)
        self.conv3 = nn.Conv2d(
            args.layer2_conv2_out_channels,
            args.conv3_out_channels,
            kernel_size=1,
            bias=False,
        )
        self.bn3 = nn.BatchNorm(args.conv3_out_channels)
        self.downsample = [
            nn.Conv2d(
                args.conv3_num_channels,
                args.conv3_out_channels,
                kernel_size=1,
                stride=2,
                bias=False,
            ),
            nn.BatchNorm(args.conv3_out_channels),
        ]

    def __call__(self, h: mx.array) -> mx.array:
        input = self.bn2(self.conv2(nn.relu(self.bn1(self.conv1(h)))))
        input = self.bn3(self.conv3(nn.relu(input))) + self.downsample[1](
            self.downsample[0](h)
        )
        return nn.relu(input)


class Model(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.num_channels = args.num_channels
        self.conv1 = nn.Conv2d(
            args.num_channels,
            args.conv1_num_channels,
            kernel_size=7,
            stride=2,
            padding=3,
            bias=False,
        )
        self.bn1 = nn.BatchNorm(args.conv1_num_channels)
        self.layer1 = [
            Layer1Bottleneck(args),
            Bottleneck(
                conv1_in_channels=args.conv3_num_channels,
                conv1_out_channels=args.other_layer1_conv1_out_channels,
                conv2_out_channels=args.other_layer1_conv2_out_channels,
            ),
        ]
        self.layer2 = [
            Layer2Bottleneck(args),
            Bottleneck(
                conv1_in_channels=args.conv3_out_channels,
                conv1_out_channels=args.other_layer2_conv1_out_channels,
                conv2_out_channels=args.other_layer2_conv2_out_channels,
            ),
        ]
        self.fc = nn.Linear(args.conv3_out_channels, args.num_labels)

    def __call__(self, x: mx.array) -> mx.array:
        B, _, H, W = x.shape
        check_shape("x", x, (B, self.num_channels, H, W))

        input = nn.relu(self.bn1(self.conv1(x.transpose(0, 2, 3, 1))))
        input = max_pool(input, (3, 3), (2, 2), (1, 1))
        input = self.layer2[1](self.layer2[0](self.layer1[1](self.layer1[0](input))))
        input = mx.mean(input, axis=(1, 2), keepdims=True).squeeze((1, 2))
        return self.fc(input)


def load(path: str | Path | None = None) -> Model:
    """Build the model from config.json and weights.safetensors in `path` (here by default)."""
    path = Path(path or Path(__file__).parent)
    config = json.loads((path / "config.json").read_text())
    model = Model(ModelArgs(**{f.name: config[f.name] for f in fields(ModelArgs)}))
    model.load_weights(str(path / "weights.safetensors"))
    return model.eval()
