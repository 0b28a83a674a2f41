"""ONNX rows."""

from __future__ import annotations

from typing import Any

ROWS: dict[str, Any] = {}
