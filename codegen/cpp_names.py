"""Names and strings in C++."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..ir import Graph, Value
from ..ir.text import identifier

_RESERVED = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t
char32_t class compl concept const consteval constexpr constinit const_cast continue co_await
co_return co_yield decltype default delete do double dynamic_cast else enum explicit export extern
false float for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr
operator or or_eq private protected public register reinterpret_cast requires return short signed
sizeof static static_assert static_cast struct switch template this thread_local throw true try
typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq main
assert errno stdin stdout stderr NULL EOF INFINITY NAN std mx nn mlx weights prefix args i j k
"""
KEYWORDS = frozenset(_RESERVED.split())


def safe_cpp(name: str) -> str:
    """The name, unless C++ keeps it or a name with two underscores for itself."""
    name = re.sub("__+", "_", name).lstrip("_") or "value"
    return f"{name}_" if name in KEYWORDS else name


def unique_cpp(names: Sequence[str]) -> list[str]:
    """The names, made safe; those that differ still do."""
    found: dict[str, str] = {}
    for name in names:
        safe = safe_cpp(name)
        while found.setdefault(safe, name) != name:
            safe = f"other_{safe}"
    by_name = {name: safe for safe, name in found.items()}
    return [by_name[name] for name in names]


def namespace_of(name: str) -> str:
    """`llama_for_causal_lm` for `LlamaForCausalLM`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", identifier(name))
    snake = safe_cpp(re.sub("_+", "_", words).strip("_").lower() or "model")
    return f"model_{snake}" if snake[0].isdigit() else snake


def cpp_string(text: str) -> str:
    """A string literal: whatever the text holds stays text."""
    out = ""
    for byte in text.encode("utf-8", "surrogatepass"):
        char = chr(byte)
        plain = char.isascii() and char.isprintable() and char not in '"\\?'
        out += char if plain else f"\\{byte:03o}"
    return f'"{out}"'


def outputs_of(graph: Graph) -> list[str]:
    """The names of the arrays in the result: `output`, or their path in it."""
    names: list[str] = []

    def visit(path: str, tree: Any) -> None:
        if isinstance(tree, Value):
            names.append(path or "output")
        elif isinstance(tree, dict):
            for key, item in tree.items():
                visit(f"{path}.{key}" if path else str(key), item)
        elif isinstance(tree, tuple | list):
            for i, item in enumerate(tree):
                visit(f"{path or 'output'}.{i}", item)

    visit("", graph.result)
    return names
