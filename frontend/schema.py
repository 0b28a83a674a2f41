"""Op schemas: argument names, defaults, and which arguments an op writes to.

Both torch frontends normalise a call by its schema before it is lowered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..ir import DType

# Where a tensor lives and how its memory is laid out is nothing that the target needs to know.
DROPPED = frozenset({"device", "layout", "memory_format", "pin_memory", "generator"})
_DTYPE_NAMES = frozenset({"dtype", "out_dtype", "output_dtype"})

# The numbers by which a saved graph names element types.
SCALAR_TYPES = {
    0: DType.u8, 1: DType.i8, 2: DType.i16, 3: DType.i32, 4: DType.i64, 5: DType.f16,
    6: DType.f32, 7: DType.f64, 9: DType.c64, 10: DType.c128, 11: DType.bool, 15: DType.bf16,
    27: DType.u16, 28: DType.u32, 29: DType.u64,
}  # fmt: skip
SCALAR_TYPE_NUMBERS = {dtype: number for number, dtype in SCALAR_TYPES.items()}

_TORCH_NAMES = {
    "uint8": DType.u8, "int8": DType.i8, "int16": DType.i16, "int32": DType.i32, "int64": DType.i64,
    "float16": DType.f16, "float32": DType.f32, "float64": DType.f64, "complex64": DType.c64,
    "complex128": DType.c128, "bool": DType.bool, "bfloat16": DType.bf16, "uint16": DType.u16,
    "uint32": DType.u32, "uint64": DType.u64,
}  # fmt: skip
_TORCH_OF = {dtype: name for name, dtype in _TORCH_NAMES.items()}


def dtype_from_torch(dtype: Any) -> DType:
    """The IR's name of a `torch.dtype`; KeyError for types the IR lacks."""
    return _TORCH_NAMES[str(dtype).removeprefix("torch.")]


def torch_dtype(dtype: DType) -> Any:
    """The `torch.dtype` of an IR element type."""
    import torch

    return getattr(torch, _TORCH_OF[dtype])


@dataclass(frozen=True)
class Parameter:
    """One argument of an op."""

    name: str
    type: str
    default: Any
    required: bool
    keyword: bool
    written: bool

    @property
    def is_dtype(self) -> bool:
        return self.name in _DTYPE_NAMES


@dataclass(frozen=True)
class Schema:
    """An op's name (without `aten::`), overload and arguments."""

    namespace: str
    name: str
    overload: str
    parameters: tuple[Parameter, ...]
    results: tuple[str, ...] = ("Tensor",)

    @property
    def full_name(self) -> str:
        return f"{self.namespace}::{self.name}" + (f".{self.overload}" if self.overload else "")

    @property
    def written(self) -> list[Parameter]:
        return [p for p in self.parameters if p.written]

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Every argument by name, in order, with defaults filled in."""
        given = dict(zip((p.name for p in self.parameters), args)) | dict(kwargs)
        out = {}
        for p in self.parameters:
            value = given.get(p.name, p.default)
            out[p.name] = _dtype(value) if p.is_dtype else value
        return out


def _dtype(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return SCALAR_TYPES.get(value, value)
    if value is None or isinstance(value, DType):
        return value
    return _TORCH_NAMES.get(str(value).removeprefix("torch."), value)


def from_torch(schema: Any) -> Schema:
    """From a `torch.FunctionSchema` (an `OpOverload` holds one as `_schema`)."""
    namespace, _, name = schema.name.partition("::")
    parameters = tuple(
        Parameter(
            a.name,
            str(a.type),
            a.default_value if a.has_default_value() else None,
            not a.has_default_value(),
            bool(a.kwarg_only),
            bool(a.alias_info is not None and a.alias_info.is_write),
        )
        for a in schema.arguments
    )
    return Schema(
        namespace,
        name,
        schema.overload_name,
        parameters,
        tuple(str(r.type) for r in schema.returns),
    )


@lru_cache(maxsize=4096)
def parse(text: str) -> Schema:
    """From the schema's text, as saved graphs give it."""
    import torch

    return from_torch(torch._C.parse_schema(text))


def flat(values: Any) -> list[Any]:
    """The leaves of nested lists and tuples."""
    out: list[Any] = []
    for value in values:
        out.extend(flat(value) if isinstance(value, list | tuple) else [value])
    return out
