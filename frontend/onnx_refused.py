"""Operators that have no meaning for tensors here, and why."""

from __future__ import annotations

_OPTIONAL = "optional values are no tensors"
_STRINGS = "strings are no tensors"
_TRAINING = "it updates weights: training is not transpiled"

_BLOCKED = "a layout for the processor it was saved on: save with ORT_ENABLE_EXTENDED, not _ALL"

_REASONS: dict[tuple[str, str], str] = {
    **{("", op): _OPTIONAL for op in (
        "Optional", "OptionalGetElement", "OptionalHasElement",
    )},
    **{("", op): _STRINGS for op in (
        "StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch",
    )},
    ("", "ImageDecoder"): "it decodes image files, on the CPU and outside of any graph",
    **{("ai.onnx.preview.training", op): _TRAINING for op in (
        "Gradient",
    )},
}  # fmt: skip


def refused(domain: str, op: str) -> str:
    """Why the operator is no part of this project; "" where it merely has no row yet."""
    if domain == "com.microsoft.nchwc":
        return _BLOCKED
    return _REASONS.get(("" if domain == "ai.onnx" else domain, op), "")
