"""What the sections of a report share: numbers, sizes and text from a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .compare import Difference


def difference_json(difference: Difference) -> dict[str, Any]:
    return {
        "ok": difference.ok,
        "max_abs": finite(difference.max_abs),
        "max_rel": finite(difference.max_rel),
        "cosine": finite(difference.cosine),
        "note": difference.note,
    }


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def verdict(difference: Difference) -> str:
    return "ok" if difference.ok else "FAILED"


def numbers(d: Difference | None) -> str:
    return f"{d.max_abs:.2e} | {d.max_rel:.2e} | {d.cosine:.7f}" if d else " | | "


def sizes_text(sizes: Mapping[str, int]) -> str:
    """`B=1, L=3`."""
    return ", ".join(f"{k}={v}" for k, v in sizes.items()) or "fixed sizes"


def cell(text: str) -> str:
    """Text from a model inside a table: on one line, without bars or markup."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in "|\\`<*[" else c for c in printable)[:300]
