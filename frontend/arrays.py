"""torch tensors as NumPy arrays and back, bfloat16 included. Imports torch when called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..ir import Value


def to_numpy(tensor: Any) -> np.ndarray:
    """The tensor's data as an array of its own type (bfloat16 as ml_dtypes has it)."""
    import torch

    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def as_arrays(tree: Any, result: Any) -> Any:
    """The source's result, with its Python numbers as arrays where the graph has values."""
    if isinstance(tree, Value) and isinstance(result, bool | int | float):
        return np.asarray(result)
    if isinstance(tree, dict) and isinstance(result, dict):
        return {k: as_arrays(tree.get(k), v) for k, v in result.items()}
    lists = isinstance(tree, list | tuple) and isinstance(result, list | tuple)
    if lists and len(tree) == len(result):
        return type(result)(as_arrays(t, r) for t, r in zip(tree, result, strict=True))
    return result


def to_torch(array: np.ndarray) -> Any:
    """A tensor with a copy of the data."""
    import torch

    array = np.ascontiguousarray(array) if array.ndim else np.asarray(array)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def digest(array: np.ndarray) -> str:
    """sha256 of type, shape and data."""
    head = f"{array.dtype.name}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


class LazyArrays(Mapping[str, np.ndarray]):
    """Tensors by name, converted when they are read."""

    def __init__(self, tensors: Mapping[str, Any]):
        self._tensors = tensors

    def __getitem__(self, name: str) -> np.ndarray:
        return to_numpy(self._tensors[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
