"""How far two arrays are from each other, and whether that is too far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

RULE = (
    "Integers and booleans are equal. A float may differ from the source's value by atol times "
    "the largest magnitude in its array (0.01 at the least) plus rtol times the value. "
    "Where all values are smaller than that, the modules must agree as well. "
    "Infinities and NaN stand in the same places."
)
SMALL = 0.01
# Defaults by the element type of the weights: atol, rtol.
TOLERANCES = {"float32": (1e-4, 1e-4), "float16": (2e-2, 2e-2), "bfloat16": (1e-1, 1e-1)}
# The least atol for a model that rounds to 8 bits while it runs. Where a value is half way between
# two steps, its last bit decides, and a result is off by a step or two: of 127 at the least.
ROUNDED_ATOL = 2e-2


@dataclass(frozen=True)
class Tolerance:
    """See `RULE`."""

    atol: float
    rtol: float


@dataclass(frozen=True)
class Difference:
    """Over all elements; `max_rel` is relative to the largest magnitude in the source's array.

    `weak`: all values are so small that agreement proves little.
    """

    max_abs: float
    max_rel: float
    cosine: float
    ok: bool
    note: str = ""
    weak: bool = False


def compare(got: Any, want: Any, tolerance: Tolerance) -> Difference:
    """Compare an array with the source's by `RULE`."""
    if not isinstance(want, np.ndarray | np.generic):
        return _failed("" if got == want else f"{got!r} instead of {want!r}")
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return _failed(f"shape {list(got.shape)} instead of {list(want.shape)}")
    if _kind(want) != _kind(got):
        return _failed(f"dtype {got.dtype} instead of {want.dtype}")
    if _kind(want) in "bi":
        return _compare_exactly(got, want)
    return _compare_floats(_wide(got), _wide(want), tolerance)


def _failed(note: str) -> Difference:
    """No numbers to compare: alike where there is nothing to note."""
    return Difference(np.inf, np.inf, 0.0, False, note) if note else Difference(0.0, 0.0, 1.0, True)


def _kind(array: np.ndarray) -> str:
    """b, i, f or c; bfloat16, which NumPy counts as no number, is f."""
    return {"u": "i", "V": "f"}.get(array.dtype.kind, array.dtype.kind)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _compare_exactly(got: np.ndarray, want: np.ndarray) -> Difference:
    wrong = int(np.count_nonzero(got != want))
    measured = _measure(_wide(got), _wide(want))
    return Difference(
        *measured, wrong == 0, f"{wrong} of {want.size} elements differ" if wrong else ""
    )


def _compare_floats(got: np.ndarray, want: np.ndarray, tolerance: Tolerance) -> Difference:
    finite = np.isfinite(want)
    odd = np.where(finite, 0, want)
    if (
        not np.array_equal(np.where(finite, 0, got), odd, equal_nan=True)
        or not np.isfinite(got[finite]).all()
    ):
        return _failed("infinities or NaN stand in other places")
    got, want = np.where(finite, got, 0), np.where(finite, want, 0)
    magnitude = float(np.abs(want).max(initial=0.0))
    limit = tolerance.atol * max(magnitude, SMALL) + tolerance.rtol * np.abs(want)
    ok, weak = bool((np.abs(got - want) <= limit).all()), want.size > 0 and magnitude < SMALL
    return Difference(*_measure(got, want), ok, "very small values" if weak else "", weak)


def _measure(got: np.ndarray, want: np.ndarray) -> tuple[float, float, float]:
    error = float(np.abs(got - want).max(initial=0.0))
    magnitude = float(np.abs(want).max(initial=0.0))
    lengths = float(np.linalg.norm(got) * np.linalg.norm(want))
    cosine = float(np.vdot(got, want).real) / lengths if lengths else float(error == 0)
    return error, error / magnitude if magnitude else error, min(cosine, 1.0)
