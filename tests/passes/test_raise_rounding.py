"""Rounding to steps and back becomes one op, with or without a zero point."""

import pytest
from pass_tools import becomes, unchanged

TEXT = """
def forward(x: f32[B, 8]):
    a: f32[B, 8] = divide(x, 0.05)
    b: f32[B, 8] = round(a)
{there}
    d: f32[B, 8] = clip(c, {low}, {high})
    e: {kind}[B, 8] = cast(d, dtype={kind})
    f: f32[B, 8] = cast(e, dtype=f32)
{back}
    y: f32[B, 8] = multiply(g, {scale})
    return y
"""


def text(zero: float, kind: str = "u8", scale: float = 0.05, back: float | None = None) -> str:
    """x rounded to steps of 0.05 and back."""
    low, high = (0.0, 255.0) if kind == "u8" else (-128.0, 127.0)
    back = zero if back is None else back
    forth = ("add", "subtract") if zero > 0 else ("subtract", "add")
    lines = [f"    {n}: f32[B, 8] = {op}({of}, {abs(z)})" for n, op, of, z in
             (("c", forth[0], "b", zero), ("g", forth[1], "f", back))]  # fmt: skip
    made = TEXT.format(there=lines[0], back=lines[1], low=low, high=high, kind=kind, scale=scale)
    if zero:
        return made
    without = made.replace(lines[0] + "\n", "").replace(lines[1] + "\n", "")
    return without.replace("clip(c", "clip(b").replace("multiply(g", "multiply(f")


@pytest.mark.parametrize(
    ("zero", "kind", "numbers"),
    [
        (120.0, "u8", "zero=120.0"),
        (0.0, "u8", ""),
        (-5.0, "i8", "zero=-5.0, low=-128.0, high=127.0"),
        (7.0, "i8", "zero=7.0, low=-128.0, high=127.0"),
        (0.0, "i8", "low=-128.0, high=127.0"),
    ],
)
def test_steps(zero: float, kind: str, numbers: str) -> None:
    attrs = ", ".join(filter(None, ["scale=0.05", numbers]))
    by = 'by=["fake_quantize"]'
    becomes(
        text(zero, kind),
        f"""
        def forward(x: f32[B, 8]):
            y: f32[B, 8] = fake_quantize(x, {attrs}, {by})
            return y
        """,
        "raise_rounding",
    )


@pytest.mark.parametrize("other", [text(120.0, scale=0.06), text(120.0, back=121.0)])
def test_other_steps_on_the_way_back(other: str) -> None:
    unchanged(other, "raise_rounding")
