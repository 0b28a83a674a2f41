from typing import Literal

import mlx.core as mx

from .crop import crop


def pad_or_crop(
    x: mx.array,
    pad_width: list[tuple[int, int]],
    mode: Literal["constant", "edge", "reflect"] = "constant",
    value: float = 0,
) -> mx.array:
    """mx.pad, where negative entries of pad_width cut as in torch.nn.functional.pad.

    torch's "replicate" is "edge" here.
    """
    widths = [(max(0, before), max(0, after)) for before, after in pad_width]
    return mx.pad(crop(x, pad_width), widths, mode, constant_values=value)
