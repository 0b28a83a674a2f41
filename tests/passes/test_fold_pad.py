"""Padding in front of a convolution."""

import pytest
from pass_tools import becomes, refusals

TEXT = """
def forward(x: f32[B, 9, 3]):
    with module("pad", "ZeroPad1d"):
        p: f32[B, 13, 3] = pad(x, low=(0, 2, 0), high=(0, 2, 0))
    with module("conv", "Conv1d"):
        y: f32[B, 13, 4] = conv(p, param("conv.weight", f32[4, 3, 3]), None, stride=(1,), padding=(1,), dilation=(1,))
    return y
"""


def test_pad_and_conv():
    becomes(
        TEXT,
        """
        def forward(x: f32[B, 9, 3]):
            y: f32[B, 13, 4] = conv(x, param("conv.weight", f32[4, 3, 3]), None, stride=(1,), padding=(3,), dilation=(1,), by=["pad_conv"])
            return y
        """,
        "fold_pad",
    )


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("high=(0, 2, 0)", "high=(0, 2, 0), mode='reflect'", "it does not pad with zeros"),
        ("high=(0, 2, 0)", "high=(0, 2, 0), value=1", "it does not pad with zeros"),
        ("low=(0, 2, 0), high=(0, 2, 0)", "low=(0, 4, 0), high=(0, 0, 0)", "it pads one side more than the other"),
        ("return y", "return y, p", "the result of pad is used elsewhere"),
    ],
)  # fmt: skip
def test_padding_that_must_stay(old, new, reason):
    assert refusals(TEXT.replace(old, new), "fold_pad") == [reason]
