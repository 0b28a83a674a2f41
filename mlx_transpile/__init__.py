"""Turns PyTorch and ONNX models into MLX source that people can read."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .driver import Result, transpile
    from .errors import TranspileError

__all__ = ["Result", "TranspileError", "transpile"]

_HOMES = {"Result": "driver", "TranspileError": "errors", "transpile": "driver"}


def __getattr__(name: str) -> Any:
    """The public names, imported when first used: `import mlx_transpile` alone loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
