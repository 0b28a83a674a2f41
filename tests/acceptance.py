"""What the acceptance tests share: whole runs from saved models, and emitted files read as syntax."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from models import Case

torch.set_num_threads(1)
AUTO = torch.export.Dim.AUTO
SOURCES = ("model.py", "remap_weights.py", "test_model.py")


def save(case: Case, route: str, path: Path) -> Path:
    """The model of a case as a TorchScript archive or as a .pt2 with automatic dims."""
    module: Any = case.module
    with torch.no_grad():
        if route == "pt2":
            torch.export.save(export(case), path)
            return path
        if not isinstance(module, torch.jit.ScriptModule):
            module = torch.jit.trace(module, case.inputs, strict=False, check_trace=False)
    # By way of bytes: torch's own writer names the folder in the archive after the file.
    path.write_bytes(module.save_to_buffer())
    return path


def export(case: Case) -> torch.export.ExportedProgram:
    dims = pytree.tree_map_only(torch.Tensor, lambda t: [AUTO] * t.dim(), case.inputs)
    return torch.export.export(case.module, case.inputs, dynamic_shapes=dims)


def described(case: Case) -> list[str] | None:
    """`--input` for scripted modules, which hold no example inputs; None for others."""
    if not isinstance(case.module, torch.jit.ScriptModule):
        return None
    names = [a.name for a in case.module.forward.schema.arguments[1:]]
    return [
        f"{name}={','.join(str(dims.get(axis, size)) for axis, size in enumerate(x.shape))}"
        for name, x, dims in zip(names, case.inputs, case.dims)
    ]


# ---- names that nobody wrote


def made_up_names(text: str, known: Iterable[str]) -> list[str]:
    """Names bound in the file that are another bound name and a number, unless the source has them.

    Sizes that the data decides are numbered: N1, N2.
    """
    bound, known = set(bound_names(ast.parse(text))), set(known)
    sizes = {name for name in bound if re.fullmatch(r"N\d+", name)}
    numbered = [(name, re.fullmatch(r"(.*?)_?\d+", name)) for name in bound - known - sizes]
    return sorted(name for name, match in numbered if match and match[1] in bound)


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Variables, arguments, attributes of self, fields, classes and functions of a file."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name


def source_names(module: nn.Module) -> set[str]:
    """Identifiers in the code of a model's classes, and the parts of its parameters' names."""
    names = {part for name in module.state_dict() for part in name.split(".")}
    names |= {part for name, _ in module.named_modules() for part in name.split(".")}
    for cls in {type(m) for m in module.modules()}:
        try:
            names |= set(re.findall(r"\w+", inspect.getsource(inspect.getmodule(cls) or cls)))
        except (OSError, TypeError):
            continue  # a class made at run time
    return names


# ---- what is code in an emitted file

_BUILTINS = frozenset(
    ["super", "range", "len", "str", "int", "float", "bool", "tuple", "list", "dict", "zip", "enumerate", "min", "max",
     "abs", "sum", "getattr", "hasattr", "setattr", "isinstance", "ValueError", "reversed", "sorted", "object", "round", "__file__"]
)  # fmt: skip
_IMPORTS = frozenset(["json", "math", "dataclasses", "pathlib", "mlx.core", "mlx.nn", "collections.abc", "typing"])  # fmt: skip
_STATEMENTS = (
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.For, ast.If, ast.Raise, ast.Expr, ast.FunctionDef,
    ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass,
)  # fmt: skip


def unexpected(text: str) -> list[str]:
    """What a model.py should not hold: other imports, statements, names, or calls for their effect."""
    tree = ast.parse(text)
    bound = {*bound_names(tree), *_imported(tree), *_BUILTINS}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(node, _STATEMENTS):
            found.append(f"statement {ast.unparse(node)}")
        if isinstance(node, ast.Name) and node.id not in bound:
            found.append(f"name {node.id}")
        if (
            isinstance(node, ast.Attribute)
            and node.attr.startswith("__")
            and node.attr != "__init__"
        ):
            found.append(f"attribute {node.attr}")
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            )
            found += [f"import {m}" for m in modules if m not in _IMPORTS]
    found += [f"at the top: {ast.unparse(s)}" for s in tree.body if not _is_declaration(s, tree)]
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((a.asname or a.name).partition(".")[0] for a in node.names)


def _is_declaration(statement: ast.stmt, tree: ast.Module) -> bool:
    if isinstance(statement, ast.Expr):  # the docstring
        return statement is tree.body[0] and isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
