"""The C++ files of a model: model.h and model.cpp from the structure that Python is printed from,
and nn.h from what they use.
"""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Graph
from ..ir.draws import draws
from ..runtime import cpp_closure
from .cpp_classes import CppClass, CppClassPrinter, print_cpp_class, print_method
from .cpp_methods import input_names
from .cpp_names import cpp_string, namespace_of, outputs_of, safe_cpp
from .emitted import Recovered
from .lines import MethodLines, cpp_lines
from .template import render

# MLX's own settings, as far as they matter for this code.
STYLE = (
    "{BasedOnStyle: Google, AccessModifierOffset: -1, AlignAfterOpenBracket: AlwaysBreak,"
    " AlignOperands: DontAlign, AllowShortBlocksOnASingleLine: Never,"
    " AllowShortFunctionsOnASingleLine: Empty, AllowShortIfStatementsOnASingleLine: Never,"
    " AllowShortLoopsOnASingleLine: false, BinPackArguments: false, BinPackParameters: false,"
    " BreakBeforeBinaryOperators: None, ColumnLimit: 80, ContinuationIndentWidth: 4,"
    " ConstructorInitializerIndentWidth: 4, PackConstructorInitializers: Never,"
    " DerivePointerAlignment: false, IncludeBlocks: Preserve, IndentWidth: 2,"
    " PenaltyReturnTypeOnItsOwnLine: 200, PointerAlignment: Left, ReflowComments: false,"
    " SortIncludes: Never, SpacesBeforeTrailingComments: 1}"
)


@dataclass(frozen=True)
class EmittedCpp:
    """The files of out/cpp by name, and where the lines of model.cpp come from."""

    files: dict[str, str]
    lines: list[MethodLines]


def emit_cpp(graph: Graph, recovered: Recovered, name: str) -> EmittedCpp:
    """The C++ project. `name` is what the namespace is called after."""
    structure, fields = recovered.structure, recovered.fields
    printers: dict[int, CppClassPrinter] = {}
    for group in recovered.order:
        config = dict(recovered.config)
        printers[group.index] = CppClassPrinter(group, printers, structure, fields, config)
    methods = {i: print_method(p, graph) for i, p in printers.items()}
    printed = [print_cpp_class(p, methods[i], "" in p.group.paths) for i, p in printers.items()]
    space = namespace_of(name)
    values = {
        "namespace": space,
        "title": name,
        "fields": [_field(key, value) for key, value in recovered.config.items()],
        "classes": printed,
        "run": _run(graph),
        "input_names": ", ".join(map(cpp_string, input_names(graph))),
    }
    header = render("model.h.j2", folder="cpp", **values)
    source = render("model.cpp.j2", folder="cpp", **values)
    header, source = (_with_includes(text) for text in (header, source))
    files = {
        "model.h": header,
        "model.cpp": source,
        "nn.h": nn_header(space, used_helpers(header + source)),
    }
    fixed = {"namespace": space, "title": name, "draws": bool(draws(graph))}
    static = {f: render(f"{f}.j2", folder="cpp", **fixed) for f in _STATIC}
    files = {f: formatted(text) for f, text in files.items()}
    made = [(methods[i], p.group, safe_cpp(p.group.name)) for i, p in printers.items()]
    return EmittedCpp({**files, **static}, cpp_lines(files["model.cpp"], made, structure))


_STATIC = ("CMakeLists.txt", "main.cpp", "README.md")


def used_helpers(code: str) -> list[str]:
    """The names behind `nn::`, sorted, less the types that the header itself declares."""
    found = set(re.findall(r"\bnn::(\w+)", _without_strings(code)))
    return sorted(found - {"Tensors"} | {"Weights"})


def _without_strings(code: str) -> str:
    return re.sub(r'"(\\.|[^"\\\n])*"', '""', code)


def nn_header(namespace: str, names: list[str]) -> str:
    """nn.h: the named helpers and what they depend on."""
    sources = cpp_closure(names)
    includes = dict.fromkeys(line for s in sources for line in s.includes)
    return render(
        "nn.h.j2",
        folder="cpp",
        namespace=namespace,
        includes=sorted(includes),
        helpers=[s.source.strip() for s in sources],
    )


# ---- pieces


def _field(key: str, value: Any) -> tuple[str, str, str]:
    """C++ type, name, and the reader of a value of config.json."""
    several = isinstance(value, list)
    whole = not isinstance(value[0] if several else value, float)
    kind = "int" if whole else "float"
    reader = {(True, False): "integer", (False, False): "number", (True, True): "integers"}.get(
        (whole, several), "numbers"
    )
    declared = f"std::vector<{kind}>" if several else kind
    return declared, safe_cpp(key), f"{reader}({cpp_string(key)})"


def _run(graph: Graph) -> list[str]:
    """The body of Model::run."""
    inputs = [f"nn::input(inputs, {cpp_string(n)})" for n in input_names(graph)]
    names = outputs_of(graph)
    call = f"(*this)({', '.join(inputs)})"
    if len(names) == 1:
        return [f"return {{{{{cpp_string(names[0])}, {call}}}}};"]
    pairs = ", ".join(f"{{{cpp_string(n)}, std::get<{i}>(results)}}" for i, n in enumerate(names))
    return [f"auto results = {call};", f"return {{{pairs}}};"]


_HEADERS = {
    "std::pow": "cmath",
    "std::min": "algorithm",
    "std::max": "algorithm",
    "std::numeric_limits": "limits",
    "std::optional": "optional",
    "std::nullopt": "optional",
    "std::span": "span",
    "std::string": "string",
    "std::to_string": "string",
    "std::tuple": "tuple",
    "std::get": "tuple",
    "std::tie": "tuple",
    "std::variant": "variant",
    "std::visit": "variant",
    "std::vector": "vector",
    "int64_t": "cstdint",
}


def _with_includes(text: str) -> str:
    """The standard headers of what the code names, in place of `@includes@`."""
    code = _without_strings(text)
    needed = {h for name, h in _HEADERS.items() if re.search(rf"(?<![\w:]){name}\b", code)}
    return text.replace("@includes@", "\n".join(f"#include <{h}>" for h in sorted(needed)))


@functools.cache
def _clang_format() -> str:
    import shutil
    import sys
    from pathlib import Path

    beside = Path(sys.executable).parent / "clang-format"
    found = str(beside) if beside.exists() else shutil.which("clang-format")
    if not found:
        raise TranspileError(
            "clang-format, which shapes the C++, is not installed", hint="pip install clang-format"
        )
    return found


def formatted(code: str) -> str:
    """The code as clang-format shapes it."""
    done = subprocess.run(
        [_clang_format(), f"--style={STYLE}", "--assume-filename=model.cpp"],
        input=code.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise TranspileError(f"clang-format failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


__all__ = ["CppClass", "emit_cpp", "formatted", "nn_header", "used_helpers"]
