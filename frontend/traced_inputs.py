"""Reads types and sizes of a traced archive's example inputs; runs nothing of its pickle."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any
from zipfile import ZipFile

from ..ir import DType


@dataclass(frozen=True)
class Example:
    """An example tensor: its type and sizes. The archive holds no data of it."""

    dtype: DType
    shape: tuple[int, ...]


_STORAGES = {
    "Float": DType.f32, "Double": DType.f64, "Half": DType.f16, "BFloat16": DType.bf16,
    "Long": DType.i64,
    "Int": DType.i32, "Short": DType.i16, "Char": DType.i8, "Byte": DType.u8, "Bool": DType.bool,
    "ComplexFloat": DType.c64, "ComplexDouble": DType.c128,
}  # fmt: skip


class _Reader(pickle.Unpickler):
    """Builds containers and `Example`s; any other name is an error, and none is imported."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "torch" and name.endswith("Storage"):
            return _STORAGES[name.removesuffix("Storage")]
        try:
            return _BUILDERS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"{module}.{name} is nothing an input consists of"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        return pid[1]


def _tensor(storage: DType, offset: int, size: Any, stride: Any, *rest: Any) -> Example:
    return Example(storage, tuple(size))


def _value(value: Any, *type: Any) -> Any:
    return value


_BUILDERS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.jit._pickle", "restore_type_tag"): _value,
    ("torch.jit._pickle", "build_intlist"): list,
    ("torch.jit._pickle", "build_doublelist"): list,
    ("torch.jit._pickle", "build_boollist"): list,
    ("torch.jit._pickle", "build_tensorlist"): list,
    ("collections", "OrderedDict"): dict,
}


def read_traced_inputs(archive: ZipFile) -> list[Any] | None:
    """Nested `Example`s for each input of `forward`; None where none can be read."""
    names = [n for n in archive.namelist() if n.endswith("/traced_inputs.pkl")]
    if not names:
        return None
    try:
        stored = _Reader(io.BytesIO(archive.read(names[0]))).load()
        return list(stored["forward"])
    except Exception:
        return None  # written by another release, or damaged: the user states the inputs
