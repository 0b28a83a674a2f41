"""ResNet in MLX, transpiled; see manifest.json."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn


def check_shape(name: str, x: mx.array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the input has the shape that the model was made for."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, expected {shape}")


@dataclass
class ModelArgs:
    num_channels: int
    conv1_out_channels: int
    layer1_conv1_out_channels: int
    layer1_conv2_out_channels: int
    layer1_conv3_out_channels: int
    layer2_conv1_out_channels: int
    layer2_conv2_out_channels: int
    layer2_conv3_out_channels: int
    num_labels: int


class FirstBottleneck(nn.Module):
    def __init__(
        self,
        conv1_in_channels: int,
        conv1_out_channels: int,
        conv2_out_channels: int,
        stride: int,
        conv3_out_channels: int,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(
            conv1_in_channels, conv1_out_channels, kernel_size=1, bias=False
        )
        self.bn1 = nn.BatchNorm(conv1_out_channels)
        self.conv2 = nn.Conv2d(
            conv1_out_channels,
            conv2_out_channels,
            kernel_size=3,
            stride=stride,
            padding=1,
            bias=False,
        )
        self.bn2 = nn.BatchNorm(conv2_out_channels)
        self.conv3 = nn.Conv2d(
            conv2_out_channels, conv3_out_channels, kernel_size=1, bias=False
        )
        self.bn3 = nn.BatchNorm(conv3_out_channels)
        self.downsample = [
            nn.Conv2d(
                conv1_in_channels,
                conv3_out_channels,
                kernel_size=1,
                stride=stride,
                bias=False,
            ),
            nn.BatchNorm(conv3_out_channels),
        ]

    def __call__(self, input: mx.array) -> mx.array:
        h = self.bn2(self.conv2(nn.relu(self.bn1(self.conv1(input)))))
        out = self.downsample[1](self.downsample[0](input))
        return nn.relu(self.bn3(self.conv3(nn.relu(h))) + out)


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
        out = self.bn2(self.conv2(nn.relu(self.bn1(self.conv1(h)))))
        return nn.relu(self.bn3(self.conv3(nn.relu(out))) + h)


class Model(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.num_channels = args.num_channels
        self.conv1 = nn.Conv2d(
            args.num_channels,
            args.conv1_out_channels,
            kernel_size=7,
            stride=2,
            padding=3,
            bias=False,
        )
        self.bn1 = nn.BatchNorm(args.conv1_out_channels)
        self.layer1 = [
            FirstBottleneck(
                conv1_in_channels=args.conv1_out_channels,
                conv1_out_channels=args.layer1_conv1_out_channels,
                conv2_out_channels=args.layer1_conv2_out_channels,
                stride=1,
                conv3_out_channels=args.layer1_conv3_out_channels,
            ),
            Bottleneck(
                conv1_in_channels=args.layer1_conv3_out_channels,
                conv1_out_channels=args.layer1_conv1_out_channels,
                conv2_out_channels=args.layer1_conv2_out_channels,
            ),
        ]
        self.layer2 = [
            FirstBottleneck(
                conv1_in_channels=args.layer1_conv3_out_channels,
                conv1_out_channels=args.layer2_conv1_out_channels,
                conv2_out_channels=args.layer2_conv2_out_channels,
                stride=2,
                conv3_out_channels=args.layer2_conv3_out_channels,
            ),
            Bottleneck(
                conv1_in_channels=args.layer2_conv3_out_channels,
                conv1_out_channels=args.layer2_conv1_out_channels,
                conv2_out_channels=args.layer2_conv2_out_channels,
            ),
        ]
        self.fc = nn.Linear(args.layer2_conv3_out_channels, args.num_labels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

    def __call__(self, x: mx.array) -> mx.array:
        B, _, H, W = x.shape
        check_shape("x", x, (B, self.num_channels, H, W))

        h = nn.relu(self.bn1(self.conv1(x.transpose(0, 2, 3, 1))))
        h = self.maxpool(h)
        for layer in self.layer1:
            h = layer(h)
        for layer in self.layer2:
            h = layer(h)
        h = mx.mean(h, axis=(1, 2), keepdims=True).squeeze((1, 2))
        return self.fc(h)


def load(path: str | Path | None = None) -> Model:
    """Build the model from config.json and weights.safetensors in `path` (here by default)."""
    path = Path(path or Path(__file__).parent)
    config = json.loads((path / "config.json").read_text())
    model = Model(ModelArgs(**{f.name: config[f.name] for f in fields(ModelArgs)}))
    weights = mx.load(str(path / "weights.safetensors"))
    if "quantization" in config:
        nn.quantize(
            model,
            **config["quantization"],
            class_predicate=lambda name, module: hasattr(module, "to_quantized")
            and f"{name}.scales" in weights,
        )
    model.load_weights(list(weights.items()))
    return model.eval()
