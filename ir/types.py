"""Types of IR values: tensors with symbolic shapes, and symbolic integers."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from .dims import Expr


class DType(Enum):
    """Element types under their short IR names."""

    bool = "bool"
    u8 = "u8"
    u16 = "u16"
    u32 = "u32"
    u64 = "u64"
    i8 = "i8"
    i16 = "i16"
    i32 = "i32"
    i64 = "i64"
    f16 = "f16"
    bf16 = "bf16"
    f32 = "f32"
    f64 = "f64"
    c64 = "c64"
    c128 = "c128"

    def __str__(self) -> str:
        return self.value

    @property
    def is_float(self) -> builtins.bool:
        return self.value in ("f16", "bf16", "f32", "f64")

    @property
    def is_complex(self) -> builtins.bool:
        return self.value in ("c64", "c128")

    @property
    def is_integer(self) -> builtins.bool:
        """Integers proper: bool is none."""
        return self.value[0] in "ui"

    @property
    def mlx(self) -> str:
        """The name of the type in `mlx.core` (c128 does not exist there)."""
        return _MLX[self.value]

    @property
    def numpy(self) -> np.dtype[Any]:
        if self.value == "bf16":
            import ml_dtypes

            bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return bfloat16
        return np.dtype(_NUMPY[self.value])


_MLX = {
    "bool": "bool_",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f64": "float64",
    "c64": "complex64",
    "c128": "complex128",
}
_NUMPY = {**_MLX, "bool": "bool"}

BOOL, I32, I64, F32 = DType.bool, DType.i32, DType.i64, DType.f32


def dtype_of(array: np.ndarray) -> DType:
    """The IR type of a NumPy array's elements; KeyError for types the IR lacks."""
    return _BY_NUMPY[array.dtype.name]


_BY_NUMPY = {**{name: DType(key) for key, name in _NUMPY.items()}, "bfloat16": DType.bf16}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor type: element type and shape, whose dims may be symbolic."""

    dtype: DType
    shape: tuple[int | Expr, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    def with_dtype(self, dtype: DType) -> Tensor:
        return Tensor(dtype, self.shape)

    def with_shape(self, *shape: int | Expr) -> Tensor:
        return Tensor(self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape)) or '()'}]"


@dataclass(frozen=True, slots=True)
class Integer:
    """A symbolic integer (a size that depends on data binds a fresh symbol)."""

    value: int | Expr

    def __str__(self) -> str:
        return f"int[{self.value}]"


Type = Tensor | Integer
