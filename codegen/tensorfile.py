"""Safetensors files, written tensor by tensor: only one tensor is in memory at a time."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.types import DType, dtype_of

_NAMES = {
    DType.bool: "BOOL", DType.u8: "U8", DType.u16: "U16", DType.u32: "U32", DType.u64: "U64",
    DType.i8: "I8", DType.i16: "I16", DType.i32: "I32", DType.i64: "I64",
    DType.f16: "F16", DType.bf16: "BF16", DType.f32: "F32", DType.c64: "C64",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: its type, known beforehand, and how to get its data."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    data: Callable[[], np.ndarray]

    @property
    def size(self) -> int:
        return self.dtype.numpy.itemsize * int(np.prod(self.shape, dtype=np.int64))


def entries(arrays: Mapping[str, np.ndarray]) -> list[Entry]:
    """Entries of arrays that are in memory already."""
    return [_entry(name, array) for name, array in arrays.items()]


def _entry(name: str, array: np.ndarray) -> Entry:
    return Entry(name, dtype_of(array), array.shape, lambda: array)


def write_tensors(
    path: Path,
    tensors: Iterable[Entry],
    metadata: Mapping[str, str],
    progress: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> None:
    """Write the file. The same entries give the same bytes in any order.

    ValueError where an entry's data is not of the type it states, or of one that the format or
    MLX lacks (f64, c128).
    """
    # Wide elements first, so that every tensor is aligned to its element.
    order = sorted(tensors, key=lambda e: (-e.dtype.numpy.itemsize, e.name))
    with path.open("wb") as file:
        file.write(_header(order, metadata))
        for done, entry in enumerate(order):
            progress(done, len(order), entry.name)
            file.write(_bytes(entry))


def _header(order: list[Entry], metadata: Mapping[str, str]) -> bytes:
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for entry in order:
        if entry.dtype not in _NAMES:
            raise ValueError(f"MLX cannot load {entry.name} from a file: it is {entry.dtype}")
        begin, end = end, end + entry.size
        header[entry.name] = {
            "dtype": _NAMES[entry.dtype],
            "shape": list(entry.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _bytes(entry: Entry) -> bytes:
    array = np.ascontiguousarray(entry.data())
    found = (dtype_of(array), array.shape if entry.shape else ())
    if found != (entry.dtype, entry.shape) or array.size * array.itemsize != entry.size:
        raise ValueError(
            f"{entry.name} is {found[0]}{list(found[1])}, not {entry.dtype}{list(entry.shape)}"
        )
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All tensors of a file. ValueError, KeyError or TypeError where it is no such file."""
    data = path.read_bytes()
    if len(data) < 8:
        raise ValueError("it is too short")
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    return {name: _array(row, memoryview(data)[start:]) for name, row in header.items()}


def _array(row: Mapping[str, Any], data: memoryview) -> np.ndarray:
    begin, end = row["data_offsets"]
    dtype = _TYPES[row["dtype"]].numpy
    flat = np.frombuffer(data[begin:end], dtype.newbyteorder("<")).astype(dtype)
    return flat.reshape(row["shape"])


# Files of others may hold double precision as well.
_TYPES = {**{name: dtype for dtype, name in _NAMES.items()}, "F64": DType.f64}
