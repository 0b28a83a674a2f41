"""The output folder: its files, and how it comes into being whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRequest
from ..ir import Graph, Value
from . import tensorfile
from .emitted import Emitted
from .quantize import Choice
from .template import render
from .weights import Rules, narrow, remap_script

GENERATOR = "mlx-transpile"


# ---- the folder


def check_target(out: Path) -> None:
    """BadRequest unless `out` is new, an empty folder, or a folder that this tool made."""
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise BadRequest(f"{str(out)!r} exists and is no folder", where="-o", hint="another -o")
    if any(out.iterdir()) and _manifest(out) is None:
        raise BadRequest(
            f"the folder {str(out)!r} exists and was not made by this tool",
            where="-o",
            hint="another -o, or remove the folder",
        )


def _manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder that this tool made."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return found if found["generator"]["name"] == GENERATOR else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextlib.contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A temporary sibling of `out` that takes its place when the block ends well.

    Otherwise it leaves no trace. Files in `out` that this tool did not write are kept.
    BadRequest where nothing can be written there.
    """
    out = out.resolve()
    check_target(out)
    missing = [p for p in out.parents if not p.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    except OSError as error:
        raise BadRequest(f"{str(out)!r} cannot be written: {error.strerror}", where="-o") from None
    done = False
    try:
        folder.chmod(0o777 & ~_umask())
        yield folder
        _replace(out, folder)
        done = True
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for parent in missing if not done else []:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _replace(out: Path, folder: Path) -> None:
    """Put `folder` in the place of `out`; on failure `out` is as it was."""
    if not out.exists():
        os.rename(folder, out)
        return
    written = {
        *(_manifest(out) or {}).get("files", []),
        *(p.name for p in folder.iterdir()),
        "__pycache__",
    }
    kept = [p.name for p in out.iterdir() if p.name not in written]
    parent = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    old = parent / "old"
    moved: list[tuple[Path, Path]] = []
    try:
        for before, after in [(out, old), *((old / n, folder / n) for n in kept), (folder, out)]:
            os.rename(before, after)
            moved.append((before, after))
    except BaseException:
        for before, after in reversed(moved):
            os.rename(after, before)
        parent.rmdir()
        raise
    shutil.rmtree(parent, ignore_errors=True)


# ---- the files


def write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=2, default=_plain) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _plain(value: Any) -> Any:
    """Numbers of NumPy as Python's; the rest by its text."""
    return value.item() if isinstance(value, np.generic) else str(value)


def write_code(
    folder: Path,
    emitted: Emitted,
    rules: Rules,
    dtype: Any = None,
    choice: Choice | None = None,
    options: tuple[str | None, Sequence[str]] = (None, ()),
    draws: bool = False,
) -> None:
    """model.py, config.json, remap_weights.py and test_model.py. `options` are defaults of the
    script's --quantize and --keep-float; `draws`: random numbers.
    """
    write_text(folder / "model.py", emitted.source)
    quantized = {"quantization": choice.config} if choice else {}
    write_json(folder / "config.json", {**emitted.config, **quantized})
    write_text(folder / "remap_weights.py", remap_script(rules, dtype, *options))
    write_text(folder / "test_model.py", render("test_model.py.j2", draws=draws))


def write_cpp(folder: Path, graph: Graph, emitted: Emitted, name: str) -> None:
    """cpp/: the C++ project. Adds to `emitted` where its lines come from."""
    from .cpp import emit_cpp

    assert emitted.recovered is not None
    target = folder / "cpp"
    target.mkdir()
    made = emit_cpp(graph, emitted.recovered, name)
    for file, text in made.files.items():
        write_text(target / file, text)
    emitted.lines["cpp/model.cpp"] = made.lines


def write_constants(folder: Path, constants: Mapping[str, np.ndarray]) -> None:
    """constants.safetensors, where there are any."""
    if constants:
        entries = tensorfile.entries(constants)
        tensorfile.write_tensors(
            folder / "constants.safetensors", entries, {"generator": GENERATOR}
        )


def write_reference(
    folder: Path,
    arguments: Sequence[tuple[str, Any]],
    cases: Iterable[Any],
    tolerances: Mapping[str, tuple[float, float]],
    unseen: Sequence[str] | None = None,
) -> None:
    """reference.safetensors: inputs and results as `Model.__call__` nests them.

    `tolerances` gives atol and rtol by the element type of the weights. Cases of a model that draws
    hold its random numbers; `unseen` are the results that depend on them, None for another model.
    """
    arrays: dict[str, np.ndarray] = {}
    described = []
    for number, case in enumerate(cases):
        trees = fill_arguments(arguments, case.inputs)
        described.append(
            {
                "sizes": case.sizes,
                "arguments": [
                    _describe(t, f"{number}.inputs.{i}", arrays) for i, t in enumerate(trees)
                ],
                "result": _describe(case.result, f"{number}.outputs", arrays),
                **({} if unseen is None else _draws(case.draws, number, unseen, arrays)),
            }
        )
    metadata = {
        "generator": GENERATOR,
        "cases": json.dumps(described),
        "tolerance": json.dumps(tolerances),
    }
    entries = tensorfile.entries(arrays)
    tensorfile.write_tensors(folder / "reference.safetensors", entries, metadata)


def _draws(
    draws: Sequence[np.ndarray] | None,
    number: int,
    unseen: Sequence[str],
    arrays: dict[str, np.ndarray],
) -> dict[str, Any]:
    """The keys of what the case drew; without them, the results that nothing can be said of."""
    if draws is None:
        return {"draws": None, "unseen": list(unseen)}
    keys = [f"{number}.draws.{i}" for i in range(len(draws))]
    arrays.update(zip(keys, map(narrow, draws), strict=True))
    return {"draws": keys, "unseen": []}


def fill_arguments(arguments: Sequence[tuple[str, Any]], inputs: Iterable[np.ndarray]) -> list[Any]:
    """The nested arguments of `Graph.arguments` with arrays for their values."""
    flat = iter(inputs)
    return [_fill(tree, flat) for _, tree in arguments]


def _fill(tree: Any, flat: Iterator[np.ndarray]) -> Any:
    """The nested argument with arrays for its values."""
    if isinstance(tree, Mapping):
        return {k: _fill(v, flat) for k, v in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_fill(v, flat) for v in tree)
    return next(flat) if isinstance(tree, Value) else tree


def _describe(tree: Any, key: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The nesting as JSON; arrays go into `arrays` under keys that begin with `key`."""
    if isinstance(tree, Mapping):
        return {
            "dict": {k: _describe(v, f"{key}.{i}", arrays) for i, (k, v) in enumerate(tree.items())}
        }
    if isinstance(tree, tuple | list):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [_describe(v, f"{key}.{i}", arrays) for i, v in enumerate(tree)]}
    if isinstance(tree, np.ndarray | np.generic):
        arrays[key] = narrow(np.asarray(tree))
        return {"array": key}
    return {"value": tree}


def files_of(folder: Path) -> list[str]:
    """The names in the folder, for the manifest; with the manifest's own."""
    return sorted({p.name for p in folder.iterdir()} | {"manifest.json"})


def write_ir(
    folder: Path, dumps: Sequence[tuple[int, str, str]], constants: Mapping[str, np.ndarray]
) -> None:
    """ir/NN-pass.ir, and the data of the constants that they name."""
    target = folder / "ir"
    target.mkdir()
    for number, name, text in dumps:
        write_text(target / f"{number:02}-{name}.ir", text)
    if constants:
        entries = tensorfile.entries({k: narrow(v) for k, v in constants.items()})
        tensorfile.write_tensors(
            target / "constants.safetensors", entries, {"generator": GENERATOR}
        )
