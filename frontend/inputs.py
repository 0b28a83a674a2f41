"""What the user states about the inputs: `NAME=DIMS[:DTYPE]`, as in `ids=batch,seq:int64`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BadRequest
from ..ir.types import DType

_HINT = (
    "--input NAME=DIMS[:DTYPE], as in --input ids=batch,seq:int64, --input x=1,3,224,224 or "
    "--input x=batch,3,4*h,4*w"
)


@dataclass(frozen=True)
class InputSpec:
    """One input: its name, its dims and its element type.

    A dim is a size, the name of a free size, or a multiple of one: `4*h`, `2*h-1`.
    """

    name: str
    dims: tuple[int | str, ...]
    dtype: DType = DType.f32

    def __str__(self) -> str:
        return f"{self.name}={','.join(map(str, self.dims))}:{_LONG[self.dtype]}"


_MULTIPLE = re.compile(r"(\d+ *\* *)?([A-Za-z_]\w*)( *[+-] *\d+)?")
_LONG = {
    DType.bool: "bool", DType.u8: "uint8", DType.u16: "uint16", DType.u32: "uint32",
    DType.u64: "uint64", DType.i8: "int8", DType.i16: "int16", DType.i32: "int32",
    DType.i64: "int64", DType.f16: "float16", DType.bf16: "bfloat16", DType.f32: "float32",
    DType.f64: "float64", DType.c64: "complex64", DType.c128: "complex128",
}  # fmt: skip
_SHORT = {
    "bool_": DType.bool, "byte": DType.u8, "char": DType.i8, "short": DType.i16, "int": DType.i32,
    "long": DType.i64, "half": DType.f16, "float": DType.f32, "double": DType.f64,
    "cfloat": DType.c64, "cdouble": DType.c128,
}  # fmt: skip
DTYPE_NAMES = {**_SHORT, **{d.value: d for d in DType}, **{name: d for d, name in _LONG.items()}}


def parse_dtype(text: str) -> DType:
    """An element type by its torch, NumPy, MLX or IR name; BadRequest on any other."""
    name = text.strip().lower().removeprefix("torch.").removeprefix("mx.").removeprefix("np.")
    if name not in DTYPE_NAMES:
        raise BadRequest(
            f"unknown dtype {text!r}", where="--input", hint=f"one of {', '.join(_LONG.values())}"
        )
    return DTYPE_NAMES[name]


def parse_input(text: str) -> InputSpec:
    """One `NAME=DIMS[:DTYPE]`; BadRequest says what is wrong. No dims: a 0-d tensor."""
    name, equals, rest = text.partition("=")
    if not equals or not name.strip():
        raise BadRequest(f"{text!r} does not describe an input", where="--input", hint=_HINT)
    dims, _, dtype = rest.partition(":")
    parts = [part.strip() for part in dims.split(",")] if dims.strip() else []
    if parts[1:] and not parts[-1]:
        parts.pop()  # a trailing comma, as in a tuple of one
    return InputSpec(
        name.strip(),
        tuple(_parse_dim(part, text) for part in parts),
        parse_dtype(dtype) if dtype else DType.f32,
    )


def parse_inputs(texts: Sequence[str]) -> list[InputSpec]:
    """All of them; BadRequest where a name is given twice."""
    specs = [parse_input(text) for text in texts]
    names = [spec.name for spec in specs]
    for name in names:
        if names.count(name) > 1:
            raise BadRequest(f"the input {name!r} is described twice", where="--input")
    return specs


def multiple_of(dim: str) -> tuple[str, int, int]:
    """A dim that is no number: the name, what it is multiplied by, and what is added; ValueError
    where the text is something else.
    """
    found = _MULTIPLE.fullmatch(dim) if dim.isascii() else None
    if found is None:
        raise ValueError(f"{dim!r} is no multiple of a size")
    factor, name, start = found.groups("")
    return name, int(factor.rstrip("* ") or 1), int(start.replace(" ", "") or 0)


def _parse_dim(part: str, text: str) -> int | str:
    if re.fullmatch(r"[0-9]+", part):
        if int(part) == 0:
            raise BadRequest(f"a dim is 0 in {text!r}", where="--input", hint="sizes are positive")
        return int(part)
    if part.isascii() and _MULTIPLE.fullmatch(part):
        _, factor, start = multiple_of(part)
        if factor < 1 or factor + start < 1:
            what = f"the least size of {part!r} in {text!r} is {factor + start}"
            raise BadRequest(what, where="--input", hint="sizes are positive")
        return part.replace(" ", "")
    raise BadRequest(
        f"{part!r} in {text!r} is neither a size, a name of a free size, nor a multiple of one",
        where="--input",
        hint=_HINT,
    )
