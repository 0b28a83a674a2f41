"""Reads a .pt2 archive without running anything that stands in it.

torch's own loader unpickles objects, evaluates the strings of symbolic sizes and imports what the
output structure names. Here the archive's JSON is checked first (operators, sizes, structures),
tensors are read as bytes, and pickles as weights only.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest, TranspileError
from .export_check import check_program
from .library_ops import replace_library_ops

_SAVE = "save it again with torch.export.save"
_GUARDS = "size_guards"


@dataclass
class _Archive:
    """The parts of a .pt2 archive: JSON of the program, and the tensors beside it."""

    program: dict[str, Any]
    state: dict[str, Any]
    constants: dict[str, Any]
    examples: Any


def load_exported(path: str | Path) -> Any:
    """The ExportedProgram in the archive; BadRequest where it is damaged or would run code."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as file:
            archive = _read_archive(file)
    except TranspileError:
        raise
    except (
        zipfile.BadZipFile,
        LookupError,
        ValueError,
        TypeError,
        RuntimeError,
        EOFError,
    ) as error:
        what = f"{path.name!r} is a damaged .pt2 archive ({_first_line(error)})"
        raise BadRequest(what, hint=_SAVE) from None
    guards = [g for g in archive.program.get("guards_code") or () if isinstance(g, str)]
    replace_library_ops(archive.program)
    check_program(archive.program, path.name)
    _settle_inner_sizes(archive.program["graph_module"]["graph"])
    exported = _deserialize(archive, path.name)
    exported.graph_module.meta[_GUARDS] = guards  # to be read: torch would compile its own
    return exported


def size_guards(program: Any) -> list[str]:
    """The conditions on input sizes that an ExportedProgram was made under, as text."""
    own = getattr(program, "_guards_code", None) or []
    return list(program.graph_module.meta.get(_GUARDS, own))


def _settle_inner_sizes(graph: dict[str, Any]) -> None:
    """Captured sizes in the place of symbolic ones for all but the inputs: torch is slow to read
    the latter, and a walk computes its own.
    """
    inputs = {i["as_tensor"]["name"] for i in graph["inputs"] if "as_tensor" in i}
    for name, tensor in graph["tensor_values"].items():
        if name not in inputs:
            for part in ("sizes", "strides"):
                tensor[part] = [_settled(size) for size in tensor[part]]


def _settled(size: dict[str, Any]) -> dict[str, Any]:
    hint = (size.get("as_expr") or {}).get("hint")
    return hint if isinstance(hint, dict) and "as_int" in hint else size


def _deserialize(archive: _Archive, name: str) -> Any:
    from torch._export.serde import schema
    from torch._export.serde.serialize import ExportedProgramDeserializer, _bytes_to_dataclass

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = _bytes_to_dataclass(
                schema.ExportedProgram, json.dumps(archive.program).encode()
            )
            exported = ExportedProgramDeserializer().deserialize(
                program, archive.state, archive.constants
            )
    except Exception as error:
        version = archive.program.get("torch_version", "unknown")
        what = f"{name!r} cannot be read by this torch: {_first_line(error)}"
        raise BadRequest(what, where=f"written by torch {version}", hint=_SAVE) from error
    exported._example_inputs = archive.examples
    return exported


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


# ---- the archive's parts


def _read_archive(file: zipfile.ZipFile) -> _Archive:
    names = set(file.namelist())
    if "serialized_exported_program.json" in names:
        return _read_old(file, names)
    root = _root(names)
    models = sorted(n for n in names if n.startswith(f"{root}models/") and n.endswith(".json"))
    if len(models) != 1:
        found = ", ".join(Path(m).stem for m in models) or "none"
        raise BadRequest(f"the archive holds {len(models)} programs ({found})", hint=_SAVE)
    model = Path(models[0]).stem
    sample = f"{root}data/sample_inputs/{model}.pt"
    return _Archive(
        json.loads(file.read(models[0])),
        _payload(file, names, f"{root}data/weights/", model, f"{model}_weights_config.json"),
        _payload(file, names, f"{root}data/constants/", model, f"{model}_constants_config.json"),
        _examples(file.read(sample)) if sample in names else None,
    )


def _root(names: set[str]) -> str:
    """The folder that everything in the archive stands in."""
    found = [n for n in names if n.endswith("archive_format")]
    if not found:
        raise KeyError("archive_format")
    return found[0].removesuffix("archive_format")


def _read_old(file: zipfile.ZipFile, names: set[str]) -> _Archive:
    """The layout of torch before 2.8: one pickle of tensors for each kind."""

    def tensors(kind: str) -> Any:
        found = [n for n in names if n in (f"{kind}.pt", f"{kind}.json")]
        return _weights_only(file.read(found[0]), kind) if found else {}

    program = json.loads(file.read("serialized_exported_program.json"))
    example = "serialized_example_inputs.pt"
    return _Archive(
        program,
        tensors("serialized_state_dict"),
        tensors("serialized_constants"),
        _examples(file.read(example)) if example in names else None,
    )


def _payload(
    file: zipfile.ZipFile, names: set[str], folder: str, model: str, config_name: str
) -> dict[str, Any]:
    """Tensors by name. Those that share a record share their storage."""
    if f"{folder}{model}.pt" in names:
        return dict(_weights_only(file.read(f"{folder}{model}.pt"), folder))
    if folder + config_name not in names:
        return {}
    storages: dict[str, Any] = {}
    return {
        name: _tensor(file, folder, entry, storages, name)
        for name, entry in json.loads(file.read(folder + config_name))["config"].items()
    }


def _tensor(
    file: zipfile.ZipFile,
    folder: str,
    entry: Mapping[str, Any],
    storages: dict[str, Any],
    name: str,
) -> Any:
    import torch
    from torch._export.serde.serialize import deserialize_scalar_type

    record, meta = entry["path_name"], entry["tensor_meta"]
    if entry["use_pickle"]:
        if not record.startswith(("weight_", "tensor_")):
            raise BadRequest(
                f"the archive holds {name!r} as a pickled object: reading it would run code"
            )
        return _weights_only(file.read(folder + record), name)
    dtype = deserialize_scalar_type(meta["dtype"])
    if record not in storages:
        data = bytearray(file.read(folder + record))
        storages[record] = (
            torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        )
    sizes, strides = ([s["as_int"] for s in meta[k]] for k in ("sizes", "strides"))
    out = torch.as_strided(storages[record], sizes, strides, meta["storage_offset"]["as_int"])
    return torch.nn.Parameter(out, requires_grad=False) if entry["is_param"] else out


def _weights_only(data: bytes, name: str) -> Any:
    import torch

    try:
        return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu") if data else {}
    except Exception as error:
        what = f"the archive pickles more than tensors in {name!r}: reading it would run code"
        raise BadRequest(what, where=_first_line(error), hint=_SAVE) from None


def _examples(data: bytes) -> Any:
    """The example inputs, or None where they are more than tensors: they are only a convenience."""
    try:
        value = _weights_only(data, "sample inputs")
    except BadRequest:
        return None
    return value if isinstance(value, tuple) and len(value) == 2 else None
