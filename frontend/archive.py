"""Opens TorchScript archives: devices become the CPU, frozen and damaged ones are refused."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest, TranspileError
from .traced_inputs import read_traced_inputs


@dataclass
class Archive:
    """A loaded archive: torch's module, a lookup of functions, example inputs where it has any."""

    module: Any
    functions: Any
    examples: list[Any] | None

    @property
    def raw(self) -> Any:
        return self.module._c


_DEVICE = re.compile(rb'torch\.device\("(?!cpu)([a-z_]+(?::\d+)?)"\)')


def open_archive(path: str | Path) -> Archive:
    """The archive on the CPU; BadRequest if it cannot be read, TranspileError if it is frozen."""
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            examples = read_traced_inputs(archive)
            patched = _on_cpu(archive)
            attributes = _device_attributes(archive)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise BadRequest(
            f"{path.name!r} is no readable archive: {error}", hint="copy or download it again"
        ) from None
    module, unit = _load(path, patched)
    _refuse_frozen(module, path)
    _attributes_on_cpu(module, attributes)
    return Archive(module, unit.find_function, examples)


def _on_cpu(archive: zipfile.ZipFile) -> bytes | None:
    """The archive with device constants in its code replaced; None where there are none.

    The replacement keeps the length of the text: the archive's debug records count characters.
    """
    changed = {}
    for name in archive.namelist():
        if "/code/" in name and name.endswith(".py"):
            text = archive.read(name)
            new = _DEVICE.sub(lambda m: b'torch.device("cpu")'.ljust(len(m[0])), text)
            if new != text:
                changed[name] = new
    if not changed:
        return None
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
        for name in archive.namelist():
            copy.writestr(name, changed.get(name) or archive.read(name))
    return out.getvalue()


_DEVICE_ATTRIBUTE = re.compile(r"^  (\w+) : (?:Optional\[)?Device", re.MULTILINE)


def _device_attributes(archive: zipfile.ZipFile) -> set[str]:
    """Names of the attributes that hold devices, from the declarations of the classes."""
    code = [n for n in archive.namelist() if "/code/" in n and n.endswith(".py")]
    return {
        a for n in code for a in _DEVICE_ATTRIBUTE.findall(archive.read(n).decode(errors="replace"))
    }


def _attributes_on_cpu(module: Any, names: set[str]) -> None:
    import torch

    for child in module.modules() if names else ():
        for name in names:
            if child._c.hasattr(name) and child._c.getattr(name) is not None:
                child._c.setattr(name, torch.device("cpu"))


def _load(path: Path, patched: bytes | None) -> tuple[Any, Any]:
    import torch

    unit = torch._C.CompilationUnit()
    device = torch.device("cpu")
    try:
        if patched is None:
            raw = torch._C.import_ir_module(unit, str(path), device, {}, False)
        else:
            raw = torch._C.import_ir_module_from_buffer(unit, patched, device, {}, False)
    except Exception as error:  # torch raises RuntimeError, and others for odd archives
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadRequest(
            f"{path.name!r} cannot be loaded as TorchScript: {first}",
            hint="save it again with torch.jit.save, by a torch no newer than the installed one",
        ) from None
    return torch.jit._recursive.wrap_cpp_module(raw).eval(), unit


def _refuse_frozen(module: Any, path: Path) -> None:
    """Every module has a `training` flag, unless freezing took the attributes away."""
    if not module._c.hasattr("training"):
        raise TranspileError(
            f"{path.name!r} is frozen: torch.jit.freeze (or optimize_for_inference) took its "
            "modules and parameters away",
            hint="save the module before it is frozen: torch.jit.trace(model, inputs).save(...)",
        )
