"""Recipes: how a parameter of the target is made from tensors of the source checkpoint.

A recipe is an expression tree. Passes that move or merge weights build larger recipes; none
touches data. The remap script, the manifest and `weights.safetensors` are all made from them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .types import DType


@dataclass(frozen=True)
class Read:
    """The source tensor of that name."""

    name: str

    def __str__(self) -> str:
        return f"read({self.name!r})"


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that the source holds in its code, not in its checkpoint. `digest` names the
    data.
    """

    data: np.ndarray
    digest: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constant) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __str__(self) -> str:
        return f"constant({self.digest!r})"


@dataclass(frozen=True)
class Permute:
    """Axes of `of` in a new order."""

    of: Recipe
    axes: tuple[int, ...]

    def __str__(self) -> str:
        return f"permute({self.of}, {self.axes})"


@dataclass(frozen=True)
class Reshape:
    of: Recipe
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"reshape({self.of}, {self.shape})"


@dataclass(frozen=True)
class Cast:
    of: Recipe
    dtype: DType

    def __str__(self) -> str:
        return f"cast({self.of}, {self.dtype})"


@dataclass(frozen=True)
class Slice:
    """`of[start:stop]` along one axis."""

    of: Recipe
    axis: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"slice({self.of}, {self.axis}, {self.start}, {self.stop})"


@dataclass(frozen=True)
class Concatenate:
    parts: tuple[Recipe, ...]
    axis: int

    def __str__(self) -> str:
        return f"concatenate([{', '.join(map(str, self.parts))}], {self.axis})"


@dataclass(frozen=True)
class Add:
    left: Recipe
    right: Recipe

    def __str__(self) -> str:
        return f"add({self.left}, {self.right})"


@dataclass(frozen=True)
class Number:
    """A Python number: it takes the dtype of the other operand."""

    value: float

    def __str__(self) -> str:
        return f"number({self.value!r})"


@dataclass(frozen=True)
class Zeros:
    """A tensor of zeros."""

    shape: tuple[int, ...]
    dtype: DType

    def __str__(self) -> str:
        return f"zeros({self.shape}, {self.dtype})"


@dataclass(frozen=True)
class Subtract:
    left: Recipe
    right: Recipe

    def __str__(self) -> str:
        return f"subtract({self.left}, {self.right})"


@dataclass(frozen=True)
class Multiply:
    left: Recipe
    right: Recipe

    def __str__(self) -> str:
        return f"multiply({self.left}, {self.right})"


@dataclass(frozen=True)
class Product:
    """The matrix product `left @ right`."""

    left: Recipe
    right: Recipe

    def __str__(self) -> str:
        return f"product({self.left}, {self.right})"


@dataclass(frozen=True)
class Rsqrt:
    """1 / sqrt(of)."""

    of: Recipe

    def __str__(self) -> str:
        return f"rsqrt({self.of})"


@dataclass(frozen=True)
class Norm:
    """The Euclidean norm over some axes, which stay with size 1."""

    of: Recipe
    axes: tuple[int, ...]

    def __str__(self) -> str:
        return f"norm({self.of}, {self.axes})"


@dataclass(frozen=True)
class Divide:
    left: Recipe
    right: Recipe

    def __str__(self) -> str:
        return f"divide({self.left}, {self.right})"


@dataclass(frozen=True)
class Unpack:
    """Bytes as whole numbers of few bits, the lowest bits first, along the last axis."""

    of: Recipe
    bits: int

    def __str__(self) -> str:
        return f"unpack({self.of}, {self.bits})"


@dataclass(frozen=True)
class Dequantize:
    """`(of - zeros) * scales`: what weights stored as whole numbers stand for.

    `of` has numbers of `bits` bits from `low` on. `scales` and `zeros` are of the shape `steps`,
    with as many axes: an axis of size one is for all, and along `axis` each entry is for a block
    of `block` numbers (0: no blocks). `zeros` may be a `Number`.
    """

    of: Recipe
    scales: Recipe
    zeros: Recipe
    bits: int
    low: int
    steps: tuple[int, ...]
    axis: int = 0
    block: int = 0

    def __str__(self) -> str:
        numbers = f"{self.bits}, {self.low}, {self.steps}, {self.axis}, {self.block}"
        return f"dequantize({self.of}, {self.scales}, {self.zeros}, {numbers})"


Infix = Add | Subtract | Multiply | Divide | Product
Recipe = (
    Read
    | Constant
    | Number
    | Zeros
    | Permute
    | Reshape
    | Cast
    | Slice
    | Concatenate
    | Rsqrt
    | Norm
    | Unpack
    | Dequantize
    | Infix
)

_NUMPY: dict[type[Infix], Callable[[Any, Any], Any]] = {
    Add: operator.add,
    Subtract: operator.sub,
    Multiply: operator.mul,
    Divide: operator.truediv,
    Product: operator.matmul,
}


def evaluate(recipe: Recipe, source: Mapping[str, np.ndarray]) -> np.ndarray:
    """The tensor that the recipe describes; KeyError names a source tensor that is missing."""
    match recipe:
        case Read(name):
            return source[name]
        case Constant(data):
            return data
        case Permute(of, axes):
            return evaluate(of, source).transpose(axes)
        case Reshape(of, shape):
            return evaluate(of, source).reshape(shape)
        case Cast(of, dtype):
            return evaluate(of, source).astype(dtype.numpy)
        case Slice(of, axis, start, stop):
            return evaluate(of, source).take(range(start, stop), axis)
        case Concatenate(parts, axis):
            return np.concatenate([evaluate(p, source) for p in parts], axis)
        case Number(value):
            return value  # type: ignore[return-value]
        case Zeros(shape, dtype):
            return np.zeros(shape, dtype.numpy)
        case Rsqrt(of):
            root: np.ndarray = 1 / np.sqrt(evaluate(of, source))
            return root
        case Norm(of, axes):
            squares: np.ndarray = np.square(evaluate(of, source))
            return np.asarray(np.sqrt(squares.sum(axes, keepdims=True)))
        case Unpack(of, bits):
            return unpacked(evaluate(of, source), bits)
        case Dequantize(of, scales, zeros):
            values, steps = evaluate(of, source), evaluate(scales, source)
            return dequantized(recipe, values, steps, evaluate(zeros, source))
        case _:
            apply = _NUMPY[type(recipe)]
            result: np.ndarray = apply(
                evaluate(recipe.left, source), evaluate(recipe.right, source)
            )
            return result


def unpacked(array: np.ndarray, bits: int) -> np.ndarray:
    """The whole numbers that bytes hold, the lowest bits first, along the last axis."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = array[..., None] >> shifts & np.uint8(2**bits - 1)
    return parts.reshape(*array.shape[:-1], -1)


def dequantized(
    recipe: Dequantize, values: np.ndarray, scales: np.ndarray, zeros: Any
) -> np.ndarray:
    """The floats: computed in float32 at least, rounded once to the type of the scales."""
    wide = np.result_type(scales.dtype, np.float32)
    if isinstance(zeros, np.ndarray):
        zeros = _spread(zeros.astype(wide), recipe, values)
    factor = _spread(scales.astype(wide), recipe, values)
    out: np.ndarray = ((values.astype(wide) - wide.type(zeros)) * factor).astype(scales.dtype)
    return out


def _spread(steps: np.ndarray, recipe: Dequantize, values: np.ndarray) -> np.ndarray:
    """Each entry along the axis for all numbers of its block; as it is without blocks."""
    if not recipe.block:
        return steps
    return steps.repeat(recipe.block, recipe.axis).take(
        range(values.shape[recipe.axis]), recipe.axis
    )


def parts(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipes that it is made of, in order."""
    match recipe:
        case Read() | Constant() | Number() | Zeros():
            return ()
        case Concatenate(many):
            return many
        case Add() | Subtract() | Multiply() | Divide() | Product():
            return recipe.left, recipe.right
        case Dequantize(of, scales, zeros):
            return of, scales, zeros
        case _:
            return (recipe.of,)


def recipes_in(recipe: Recipe) -> Iterator[Recipe]:
    """The recipe and all that it is made of."""
    yield recipe
    for part in parts(recipe):
        yield from recipes_in(part)


def reads(recipe: Recipe) -> list[str]:
    """Names of all source tensors in the recipe, in order."""
    if isinstance(recipe, Read):
        return [recipe.name]
    return [name for part in parts(recipe) for name in reads(part)]
