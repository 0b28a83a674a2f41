"""Checks a .pt2 archive's JSON: torch's own operators, arithmetic of sizes, plain structures."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from ..errors import BadRequest, TranspileError

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


def check_program(program: dict[str, Any], name: str) -> None:
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


@lru_cache(maxsize=4096)  # a deep model says the same sizes in every layer
def _is_size(text: str) -> bool:
    """Whether the text is arithmetic over named sizes: torch evaluates it as code."""
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
    """A serialized tree structure whose classes are replaced by dicts and tuples."""
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
        listed = list(names) if isinstance(names, list | tuple) else []
        if len(listed) == count and all(isinstance(n, str) for n in listed):
            return listed
    return None


_CONTEXTS: list[Callable[[Any, int], list[str] | None]] = [
    lambda context, count: field_names(_json(context), count),
]
