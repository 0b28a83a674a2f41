"""Reads a .pt2 archive without running anything that stands in it.

torch's own loader unpickles objects, evaluates the strings of symbolic sizes and imports what the
output structure names. Here the archive's JSON is checked first (operators, sizes, structures),
tensors are read as bytes, and pickles as weights only.
"""

from __future__ import annotations

import ast
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest, TranspileError

_SAVE = "save it again with torch.export.save"


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
    _check_json(archive.program, path.name)
    return _deserialize(archive, path.name)


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


# ---- checks of the program's JSON

_NAMESPACES = "aten|prims|prim|higher_order|torchvision|mlx_transpile"
_TARGET = re.compile(
    rf"torch\.ops\.({_NAMESPACES})(\.\w+){{1,2}}|_operator\.[a-z]\w*|math\.[a-z]\w*"
    r"|torch\.sym_\w+|torch\._sym_\w+|torch\._check\w*|torch\.utils\._sympy\.functions\.\w+"
)
_SIZE_FUNCTIONS = frozenset(
    [
        "Symbol",
        "Integer",
        "Rational",
        "Float",
        "Add",
        "Mul",
        "Pow",
        "Mod",
        "PythonMod",
        "FloorDiv",
        "CleanDiv",
        "CeilDiv",
        "Max",
        "Min",
        "ModularIndexing",
        "Where",
        "TruncToInt",
        "FloorToInt",
        "CeilToInt",
        "RoundToInt",
        "ToFloat",
        "IntTrueDiv",
        "FloatTrueDiv",
        "PowByNatural",
        "FloatPow",
        "LShift",
        "RShift",
        "Identity",
        "floor",
        "ceiling",
        "Abs",
        "Eq",
        "Ne",
        "Lt",
        "Le",
        "Gt",
        "Ge",
        "Equality",
        "Unequality",
        "StrictLessThan",
        "LessThan",
        "StrictGreaterThan",
        "GreaterThan",
        "And",
        "Or",
        "Not",
        "BooleanTrue",
        "BooleanFalse",
        "IsNonOverlappingAndDenseIndicator",
        "Piecewise",
        "ExprCondPair",
    ]
)
_SIZE_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.Compare, ast.cmpop,
    ast.BoolOp, ast.boolop, ast.keyword, ast.Load, ast.Tuple,
)  # fmt: skip


def _check_json(program: dict[str, Any], name: str) -> None:
    """Raises where the program names anything but operators and sizes; drops what would be run."""
    program["guards_code"] = []  # Python source that the program's module would compile
    foreign: dict[str, int] = {}
    for key, text in _strings(program):
        if key == "target" and text.startswith(("torch", "_operator", "math", "#")):
            if not _TARGET.fullmatch(text):
                foreign[text] = foreign.get(text, 0) + 1
        elif key == "expr_str" and not _is_size(text):
            raise BadRequest(f"{name!r} holds a size that is no arithmetic: {text[:80]!r}")
    if foreign:
        counted = ", ".join(f"{op} ({n})" for op, n in sorted(foreign.items()))
        what = f"{name!r} calls operators that are not torch's own: {counted}"
        raise TranspileError(
            what, hint="export the model with torch's own operators in their place"
        )
    for entry in program["graph_module"]["module_call_graph"]:
        for side in ("in_spec", "out_spec"):
            if entry.get("signature"):
                entry["signature"][side] = plain_spec(entry["signature"][side])


def _strings(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """All strings of the JSON with the key they stand under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for k, item in value.items():
            yield from _strings(item, k)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item, key)


def _is_size(text: str) -> bool:
    """Whether the text is arithmetic over named sizes: torch gives it to a function that evaluates."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return all(_is_size_node(node, id(node) in called) for node in ast.walk(tree))


def _is_size_node(node: ast.AST, called: bool) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _SIZE_FUNCTIONS
        case ast.Name(id=name):
            return name in _SIZE_FUNCTIONS if called else bool(re.fullmatch(r"[a-z]+\d+|oo", name))
        case ast.Constant(value=str() as text):
            return bool(re.fullmatch(r"[a-z]+\d+|[\d.e+-]+", text))
        case ast.Constant(value=value):
            return isinstance(value, bool | int | float)
    return isinstance(node, _SIZE_NODES)


# ---- structures of inputs and outputs

_PLAIN = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}


def plain_spec(text: str) -> str:
    """A serialized tree structure with classes that torch does not know replaced by dicts and tuples."""
    version, spec = json.loads(text)
    return json.dumps([version, _plain(spec)])


def _plain(spec: dict[str, Any]) -> dict[str, Any]:
    kind, children = spec["type"], [_plain(c) for c in spec["children_spec"]]
    if kind is None:
        return spec
    if kind in _PLAIN and "__enum__" not in str(spec["context"]):
        return {**spec, "children_spec": children}
    for read in _CONTEXTS:
        names = read(spec["context"], len(children))
        if names is not None:
            context = json.dumps(names)
            return {"type": "builtins.dict", "context": context, "children_spec": children}
    return {"type": "builtins.tuple", "context": "null", "children_spec": children}


def _json(context: Any) -> Any:
    try:
        return json.loads(context) if isinstance(context, str) else context
    except ValueError:
        return None


def field_names(context: Any, count: int) -> list[str] | None:
    """Names of a structure's children where its context lists them: `[names]`, `[names, unset]`."""
    for names in (context, context[0] if isinstance(context, list | tuple) and context else None):
        if isinstance(names, list | tuple) and len(names) == count:
            if all(isinstance(n, str) for n in names):
                return list(names)
    return None


_CONTEXTS: list[Callable[[Any, int], list[str] | None]] = [
    lambda context, count: field_names(_json(context), count),
]
