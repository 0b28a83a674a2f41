"""Runs of a torch source in half precision: its own error there, to measure ours by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..ir.graph import map_structure
from .arrays import to_numpy, to_torch

NarrowRun = Callable[[str, Sequence[np.ndarray]], Any]


def arrays_of(result: Any) -> Any:
    """The nested result with arrays for its tensors."""
    return map_structure(lambda v: to_numpy(v) if hasattr(v, "untyped_storage") else v, result)


def narrow_run(
    copy: Callable[[], Any],
    nest: Callable[[list[Any]], tuple[Any, Any]],
    read: Callable[[Any], Any] = arrays_of,
) -> NarrowRun:
    """`run(dtype, arrays)`: the result of a copy of the module whose weights and floating-point
    inputs are of that dtype, as float32 arrays. Raises what torch raises.

    `copy` makes a module that may be changed, `nest` its arguments from flat tensors, `read` arrays
    from its result.
    """
    made: dict[str, Any] = {}

    def run(dtype: str, arrays: Sequence[np.ndarray]) -> Any:
        import torch

        wanted = getattr(torch, dtype)
        if dtype not in made:
            made[dtype] = copy().to(wanted)
        tensors = [to_torch(a) for a in arrays]
        tensors = [t.to(wanted) if t.is_floating_point() else t for t in tensors]
        args, kwargs = nest(tensors)
        with torch.no_grad():
            result = made[dtype](*args, **kwargs)
        return read(torch.utils._pytree.tree_map(_wide, result))

    return run


def _wide(leaf: Any) -> Any:
    floating = hasattr(leaf, "untyped_storage") and leaf.is_floating_point()
    return leaf.float() if floating else leaf
