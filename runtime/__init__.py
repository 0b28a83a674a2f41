"""Helpers that are copied into emitted code when it uses them.

`python/` has one helper a file: a function or a class named as the file, which keeps the
semantics of a torch operator that MLX lacks. `cpp/` has them for the emitted C++, and
the layers and activations that only MLX's Python has. This module reads the files as text, so
that emitting code needs no MLX.
"""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

_FOLDER = Path(__file__).parent / "python"
_CPP_FOLDER = Path(__file__).parent / "cpp"


@dataclass(frozen=True)
class HelperSource:
    """One helper as text: what to import, what to paste, what to paste before it."""

    name: str
    imports: tuple[str, ...]
    source: str
    depends: tuple[str, ...]


def helper_names() -> list[str]:
    """The names of all helpers, sorted."""
    return sorted(p.stem for p in _FOLDER.glob("*.py") if not p.stem.startswith("_"))


def helper_source(name: str) -> HelperSource:
    """Read the helper `name`. Raises KeyError if there is none of that name."""
    if name not in helper_names():
        raise KeyError(name)
    text = (_FOLDER / f"{name}.py").read_text(encoding="utf-8")
    nodes = ast.parse(text).body
    siblings = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 1]
    outside = [
        n for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) and n not in siblings
    ]
    last_import = max((n.end_lineno or 0 for n in [*siblings, *outside]), default=0)
    return HelperSource(
        name,
        imports=tuple(ast.unparse(n) for n in outside),
        source="\n".join(text.splitlines()[last_import:]).strip() + "\n",
        depends=tuple(str(n.module) for n in siblings),
    )


def helper_closure(names: Iterable[str]) -> list[HelperSource]:
    """The helpers `names` and all that they depend on, each after what it depends on."""
    return _closure(names, helper_source)


@dataclass(frozen=True)
class CppSource:
    """One C++ helper as text: `#include <...>` lines, what to paste, what to paste before it."""

    name: str
    includes: tuple[str, ...]
    source: str
    depends: tuple[str, ...]


_Source = TypeVar("_Source", HelperSource, CppSource)


def cpp_helper_names() -> list[str]:
    """The names of all C++ helpers, sorted."""
    return sorted(_cpp_files())


def _cpp_files() -> dict[str, Path]:
    # Layers lie apart, as file systems that fold case cannot hold Conv2d.h beside conv2d.h.
    return {path.stem: path for path in _CPP_FOLDER.rglob("*.h")}


def cpp_helper_source(name: str) -> CppSource:
    """Read the C++ helper `name`. Raises KeyError if there is none of that name."""
    lines = _cpp_files()[name].read_text(encoding="utf-8").splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    siblings = [re.fullmatch(r'#include "(\w+)\.h"', line) for line in includes]
    return CppSource(
        name,
        includes=tuple(line for line in includes if "<" in line),
        source="\n".join(line for line in lines if line not in includes).strip() + "\n",
        depends=tuple(match[1] for match in siblings if match),
    )


def cpp_closure(names: Iterable[str]) -> list[CppSource]:
    """The C++ helpers `names` and all that they depend on, each after what it depends on."""
    return _closure(names, cpp_helper_source)


def _closure(names: Iterable[str], read: Callable[[str], _Source]) -> list[_Source]:
    found: dict[str, _Source] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        helper = read(name)
        for dependency in helper.depends:
            visit(dependency)
        found[name] = helper

    for name in names:
        visit(name)
    return list(found.values())
