"""Gives an emitted model the random numbers that its source drew, in the place of MLX's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


class ReplayError(Exception):
    """The model draws otherwise than its source: another shape or kind, or another number."""


@contextmanager
def replayed(draws: Sequence[np.ndarray]) -> Iterator[None]:
    """While open, every draw of MLX takes the next of these arrays, which must fit it.

    ReplayError where one does not, and at the end where some are left.
    """
    import mlx.core as mx

    left = list(enumerate(draws))

    def take(shape: Sequence[int], dtype: Any) -> Any:
        if not left:
            raise ReplayError(f"the model draws more than the {len(draws)} times of its source")
        number, array = left.pop(0)
        if tuple(shape) != array.shape or not _fits(array.dtype.kind, dtype):
            raise ReplayError(
                f"draw {number + 1} is {dtype}{list(shape)}, of the source "
                f"{array.dtype}{list(array.shape)}"
            )
        wide = array.astype(np.float32) if array.dtype.name == "bfloat16" else array
        return mx.array(np.ascontiguousarray(wide).reshape(array.shape)).astype(dtype)

    own = {name: getattr(mx.random, name) for name in _FUNCTIONS}
    try:
        for name, function in _FUNCTIONS.items():
            setattr(mx.random, name, function(take))
        yield
    finally:
        for name, function in own.items():
            setattr(mx.random, name, function)
    if left:
        raise ReplayError(f"the model leaves {len(left)} of the {len(draws)} draws of its source")


def _fits(kind: str, dtype: Any) -> bool:
    """Whether the source's numbers are of the kind: it may have zeros and ones for booleans."""
    import mlx.core as mx

    if dtype == mx.bool_:
        return True
    wanted = {mx.floating: "fV", mx.complexfloating: "c", mx.integer: "iuf"}
    return any(kind in kinds and mx.issubdtype(dtype, of) for of, kinds in wanted.items())


Take = Callable[[Sequence[int], Any], Any]


def _normal(take: Take) -> Callable[..., Any]:
    import mlx.core as mx

    return lambda shape=(), dtype=mx.float32, loc=None, scale=None: take(shape, dtype)


def _ranged(kind: str) -> Callable[[Take], Callable[..., Any]]:
    def make(take: Take) -> Callable[..., Any]:
        import mlx.core as mx

        own = getattr(mx, kind)
        return lambda low=0, high=1, shape=(), dtype=own: take(shape, dtype)

    return make


def _bernoulli(take: Take) -> Callable[..., Any]:
    import mlx.core as mx

    return lambda p=0.5, shape=None: take(p.shape if shape is None else shape, mx.bool_)


def _categorical(take: Take) -> Callable[..., Any]:
    import mlx.core as mx

    return lambda logits, num_samples=1: take((*logits.shape[:-1], num_samples), mx.uint32)


# The functions that rows of the op table print, with what they take of what they are given.
_FUNCTIONS: dict[str, Callable[[Take], Callable[..., Any]]] = {
    "normal": _normal,
    "uniform": _ranged("float32"),
    "randint": _ranged("int32"),
    "bernoulli": _bernoulli,
    "categorical": _categorical,
}
