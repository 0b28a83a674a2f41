"""`package.module:factory` with weights: models that ship as code and a state dict."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import BadRequest

_HINT = "package.module:factory, where factory() returns an nn.Module, or (module, example inputs)"


def is_factory(text: str) -> bool:
    """Whether the text names a callable: `package.module:name`."""
    module, colon, name = text.partition(":")
    dotted = [*module.split("."), *name.split(".")]
    return bool(colon) and all(part.isidentifier() for part in dotted)


def build(text: str, weights: str | os.PathLike[str] | None = None) -> tuple[Any, Any]:
    """The module in eval mode with its weights, and its example inputs or None."""
    import torch

    result = _call(_find(text), text)
    module, examples = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    if not isinstance(module, torch.nn.Module):
        raise BadRequest(f"{text} returned a {type(module).__name__}, not an nn.Module", hint=_HINT)
    if weights is not None:
        load_weights(module, weights)
    return module.eval(), examples


def _find(text: str) -> Any:
    name, _, attribute = text.partition(":")
    with _current_folder():
        try:
            found = importlib.import_module(name)
        except Exception as error:
            raise BadRequest(
                f"{name} cannot be imported: {type(error).__name__}: {error}", hint=_HINT
            ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BadRequest(f"{name} has no {attribute}", hint=_HINT)
        found = getattr(found, part)
    return found


def _call(found: Any, text: str) -> Any:
    if not callable(found):
        raise BadRequest(f"{text} is a {type(found).__name__}, which cannot be called", hint=_HINT)
    with _current_folder():
        try:
            return found()
        except Exception as error:
            raise BadRequest(
                f"{text}() failed: {type(error).__name__}: {error}",
                hint="the factory is called without arguments",
            ) from error


@contextmanager
def _current_folder() -> Iterator[None]:
    """Modules of the current folder can be imported, as with `python -m`."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


# ---- weights


def load_weights(module: Any, path: str | os.PathLike[str]) -> None:
    """Fills the module; BadRequest with all tensors that are missing, unknown or do not fit."""
    path = Path(path)
    found = read_weights(path)
    own = module.state_dict(keep_vars=True)
    missing = [n for n in own if n not in found and not _tied(n, own, found)]
    unknown = [n for n in found if n not in own]
    wrong = [
        f"{n} is {_size(found[n])}, the module has {_size(own[n])}"
        for n in own
        if n in found and tuple(found[n].shape) != tuple(own[n].shape)
    ]
    problems = [
        f"{len(names)} {what}: {_some(names)}"
        for what, names in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
        if names
    ]
    if problems:
        raise BadRequest(
            f"{path.name!r} does not fit the {type(module).__name__}: {'; '.join(problems)}",
            hint=_prefix_hint(unknown, missing),
        )
    module.load_state_dict(found, strict=False)


def _tied(name: str, own: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether a tensor that is the same one under another name is there."""
    return any(other in found and own[other] is own[name] for other in own)


def _size(tensor: Any) -> str:
    return "x".join(map(str, tensor.shape)) or "0-d"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _prefix_hint(unknown: list[str], missing: list[str]) -> str:
    for name in unknown[:1]:
        for wanted in missing:
            if name.endswith("." + wanted) or wanted.endswith("." + name):
                return (
                    f"the file says {name!r}, the module {wanted!r}: "
                    "return the part of the model that the file is for"
                )
    return ""


def read_weights(path: Path) -> dict[str, Any]:
    """Tensors by name from `.safetensors` (one file, or an index of shards) or a state dict."""
    if not path.exists():
        raise BadRequest(f"there is no file {str(path)!r}", hint="--weights FILE")
    if path.is_dir():
        return read_weights(_in_folder(path))
    with path.open("rb") as file:
        head = file.read(16)
    if head[:1] == b"{" or path.name.endswith(".index.json"):
        return _sharded(path)
    if head[8:9] == b"{":
        return _safetensors(path)
    return _state_dict(path)


def _in_folder(path: Path) -> Path:
    for name in (
        "model.safetensors.index.json",
        "model.safetensors",
        "pytorch_model.bin.index.json",
        "pytorch_model.bin",
    ):
        if (path / name).exists():
            return path / name
    raise BadRequest(f"{str(path)!r} holds no weights that are known here", hint="--weights FILE")


def _sharded(path: Path) -> dict[str, Any]:
    try:
        index = json.loads(path.read_text())["weight_map"]
    except (ValueError, KeyError, TypeError):
        raise BadRequest(
            f"{path.name!r} is no index of weight files (it lacks a weight_map)"
        ) from None
    out: dict[str, Any] = {}
    for shard in sorted(set(index.values())):
        if Path(shard).name != shard:
            raise BadRequest(f"{path.name!r} names a file outside of its folder: {shard!r}")
        out.update(read_weights(path.parent / shard))
    lacking = [name for name in index if name not in out]
    if lacking:
        raise BadRequest(f"the files of {path.name!r} lack {_some(lacking)}")
    return out


def _safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadRequest(f"{path.name!r} is a damaged safetensors file ({error})") from None


def _state_dict(path: Path) -> dict[str, Any]:
    import torch

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadRequest(
            f"{path.name!r} holds no plain state dict: {first}",
            hint="save it with torch.save(model.state_dict(), FILE); other pickles would run code",
        ) from None
    found = _tensors_in(loaded)
    if found is None:
        raise BadRequest(
            f"{path.name!r} holds no state dict", hint="torch.save(model.state_dict(), FILE)"
        )
    return found


def _tensors_in(loaded: Any) -> dict[str, Any] | None:
    """The state dict itself, or the one in a training checkpoint."""
    import torch

    if not isinstance(loaded, Mapping):
        return None
    tensors = {k: v for k, v in loaded.items() if isinstance(v, torch.Tensor)}
    if tensors and len(tensors) == len(loaded):
        return tensors
    inner = [
        k for k in ("state_dict", "model_state_dict", "model") if isinstance(loaded.get(k), Mapping)
    ]
    return _tensors_in(loaded[inner[0]]) if inner else None
