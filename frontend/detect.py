"""What a file is, by its content. What is no source is refused with what it is and the way out.

Nothing is unpickled: pickles are read as a list of opcodes.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import BadRequest
from .pickles import PickleFacts, pickle_facts

TORCHSCRIPT, EXPORT, ONNX = "torchscript", "export", "onnx"

CODE = "give the code with the weights: `transpile package.module:factory --weights {file}`"
TRACE = (
    "save the model with torch.export.save(torch.export.export(model, inputs), ...) "
    "or torch.jit.trace(model, inputs).save(...)"
)


def detect(path: str | os.PathLike[str]) -> str:
    """`torchscript`, `export` or `onnx`; BadRequest for all else, with what the file is."""
    path = Path(path)
    if path.is_dir():
        raise _directory(path)
    if not path.exists():
        raise BadRequest(
            f"there is no file {str(path)!r}", hint="a path, or package.module:factory"
        )
    try:
        with path.open("rb") as file:
            return _by_content(file, path)
    except OSError as error:
        raise BadRequest(f"{str(path)!r} cannot be read: {error.strerror}") from None


def _by_content(file: BinaryIO, path: Path) -> str:
    head = file.read(4096)
    if not head:
        raise _refuse(path, "is empty", "download or save it again")
    if head[:4] == b"PK\x03\x04":
        return _zip(path)
    for known, what, hint in _MAGIC:
        if known(head):
            raise _refuse(path, what, hint)
    if head[:1] == b"\x80":
        file.seek(0)
        raise _legacy_pickle(path, file)
    if _is_safetensors(head):
        raise _refuse(path, "is a safetensors file: weights without code", CODE)
    if _is_onnx(file, path):
        return ONNX
    raise _refuse(path, "is in no format that is known here", _FORMATS)


_FORMATS = (
    "a TorchScript archive, a torch.export archive (.pt2), an ONNX model, or package.module:factory"
)
ORIGIN = (
    "the checkpoint that it was made from, with its code: "
    "`transpile package.module:factory --weights FILE`"
)
_GGML = {b"lmgg", b"fmgg", b"tjgg", b"algg"}  # little-endian ggml, ggmf, ggjt, ggla
_MAGIC: list[tuple[Callable[[bytes], bool], str, str]] = [
    (lambda h: h[:4] == b"GGUF", "is a GGUF file: quantized weights, no graph", ORIGIN),
    (lambda h: h[:4] in _GGML, "is a GGML file: quantized weights, no graph", ORIGIN),
    (lambda h: h[4:8] == b"TFL3", "is a TensorFlow Lite model", "convert it to ONNX (tf2onnx)"),
    (lambda h: h[:4] == b"\x89HDF", "is an HDF5 file (Keras?)", "convert it to ONNX (tf2onnx)"),
    (lambda h: h[:6] == b"\x93NUMPY", "is a NumPy array", _FORMATS),
    (lambda h: h[:2] == b"\x1f\x8b", "is compressed with gzip", "unpack it first"),
    (lambda h: h[257:262] == b"ustar", "is a tar archive", "unpack it first"),
    (lambda h: h[:4] in (b"PK\x05\x06", b"PK\x07\x08"), "is an empty zip archive", "save it again"),
    (lambda h: h.startswith(b"version https://git-lfs"), "is a Git LFS pointer", "git lfs pull"),
    (lambda h: h.lstrip()[:1] == b"<", "is HTML or XML, not a model", "download the file itself"),
]  # fmt: skip


def _refuse(path: Path, what: str, hint: str = "") -> BadRequest:
    return BadRequest(f"{path.name!r} {what}", hint=hint.format(file=path.name))


# ---- zip archives


def _zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            return _zip_kind(archive, names, path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        raise _refuse(
            path,
            f"is a damaged zip archive, perhaps cut short ({error})",
            "copy or download it again",
        ) from None


def _zip_kind(archive: zipfile.ZipFile, names: list[str], path: Path) -> str:
    inner = {name.partition("/")[2] for name in names}
    if "serialized_exported_program.json" in names:
        return EXPORT
    if "archive_format" in inner:
        return _pt2(inner, path)
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return TORCHSCRIPT
    pickles = [name for name in names if name.partition("/")[2] == "data.pkl"]
    if pickles:
        raise _pickled(path, pickle_facts(archive.read(pickles[0])))
    if any(name.endswith(".npy") for name in names):
        raise _refuse(path, "holds NumPy arrays: weights without code", CODE)
    if not names:
        raise _refuse(path, "is an empty zip archive", "save it again")
    raise _refuse(
        path,
        f"is a zip archive without a model (it holds {names[0]!r} and {len(names) - 1} more)",
        _FORMATS,
    )


def _pt2(inner: set[str], path: Path) -> str:
    if any(name.startswith("models/") and name.endswith(".json") for name in inner):
        return EXPORT
    if any("aotinductor/" in name for name in inner):
        raise _refuse(path, "is an AOTInductor package: machine code, without a graph", TRACE)
    raise _refuse(path, "is a .pt2 archive without an exported program", TRACE)


# ---- pickles


def _legacy_pickle(path: Path, file: BinaryIO) -> BadRequest:
    """A pickle that is no zip: torch.save before 1.6, or plain pickle.dump."""
    return _pickled(path, pickle_facts(file.read()))


def _pickled(path: Path, facts: PickleFacts) -> BadRequest:
    if facts.truncated:
        return _refuse(path, "is a damaged pickle, perhaps cut short", "copy or download it again")
    if facts.module:
        what = f"is a pickled module ({facts.module}): loading it would run code from the file"
        return _refuse(path, what, f"{TRACE}; or save model.state_dict() and {CODE}")
    if facts.foreign:
        others = ", ".join(facts.foreign[:3])
        what = f"is a pickled checkpoint that holds other objects ({others}), not a graph"
        return _refuse(path, what, f"save model.state_dict() alone and {CODE}")
    if facts.tensors:
        return _refuse(path, "is a bare state dict: weights without code", CODE)
    return _refuse(path, "is a pickle without a model", TRACE)


# ---- others


def _directory(path: Path) -> BadRequest:
    inside = {entry.name for entry in path.iterdir()}
    if "saved_model.pb" in inside:
        return BadRequest(
            f"{path.name!r} is a TensorFlow SavedModel", hint="convert it to ONNX (tf2onnx)"
        )
    weights = sorted(
        n for n in inside if n.endswith((".safetensors", ".index.json", "pytorch_model.bin"))
    )
    if weights:
        index = [n for n in weights if n.endswith(".index.json")]
        file = f"{path.name}/{(index or weights)[0]}"
        return BadRequest(
            f"{path.name!r} is a checkpoint folder: weights without code",
            hint=CODE.format(file=file),
        )
    if path.suffix == ".mlpackage" or "Manifest.json" in inside:
        return BadRequest(f"{path.name!r} is a Core ML package", hint=_FORMATS)
    return BadRequest(f"{path.name!r} is a directory", hint=_FORMATS)


def _is_safetensors(head: bytes) -> bool:
    if len(head) < 10 or head[8:9] != b"{":
        return False
    size = int.from_bytes(head[:8], "little")
    if size > 1 << 32:
        return False
    if 8 + size <= len(head):
        try:
            return isinstance(json.loads(head[8 : 8 + size]), dict)
        except ValueError:
            return False
    return b'"dtype"' in head or b'"__metadata__"' in head


# Field numbers of ONNX's ModelProto with their wire types (0 varint, 2 length-delimited).
_MODEL_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}


def _is_onnx(file: BinaryIO, path: Path) -> bool:
    """Whether the top level reads as a ModelProto with a graph; BadRequest if it is cut short."""
    size, position, seen = path.stat().st_size, 0, set()
    while position < size:
        file.seek(position)
        tag, used = _varint(file.read(10))
        number, wire = tag >> 3, tag & 7
        if not used or _MODEL_FIELDS.get(number) != wire:
            return False
        value, width = _varint(file.read(10) if file.seek(position + used) >= 0 else b"")
        if not width:
            return False
        position += used + width + (value if wire == 2 else 0)
        seen.add(number)
    if position > size and {1, 7} <= seen:
        raise _refuse(path, "is an ONNX model that was cut short", "copy or download it again")
    return position == size and 7 in seen


def _varint(data: bytes) -> tuple[int, int]:
    """Value and width of a protobuf varint; width 0 where there is none."""
    value = 0
    for i, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, i + 1
    return 0, 0
