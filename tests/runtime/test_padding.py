"""Pads beside torch's, which count from the last axis and may be negative."""

import mlx.core as mx
import pytest
import torch
import torch.nn.functional as F
from torch_reference import check, helper, to_mx

PADS = [(1, 2), (0, 3), (-1, 2), (2, -1), (-1, -2), (1, 1, 0, 2), (2, -1, -1, 1), (-1, 0, 0, -2)]
MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def widths(pad, ndim):
    """torch's pads as a pad_width of MLX."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def needs(pad):
    return (2, 3, 6) if len(pad) == 2 else (1, 2, 5, 7)


@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("mode", MODES)
def test_pad_or_crop(pad, mode):
    x = torch.randn(needs(pad))
    value = {"value": 1.5} if mode == "constant" else {}
    expected = F.pad(x, pad, MODES[mode], **value)
    check(helper("pad_or_crop")(to_mx(x), widths(pad, x.ndim), mode, **value), expected)


@pytest.mark.parametrize("pad", PADS)
def test_pad_circular(pad):
    x = torch.randn(needs(pad))
    check(helper("pad_circular")(to_mx(x), widths(pad, x.ndim)), F.pad(x, pad, "circular"))


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 9)])
def test_mlx_pads_agree(shape):
    """What the emitter uses where no entry is negative."""
    x = torch.randn(shape)
    for mode, name in MODES.items():
        check(mx.pad(to_mx(x), widths((2, 1), 3), mode), F.pad(x, (2, 1), name))
