"""A saved graph read once into plain Python: instructions that a walk can execute many times."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .schema import Schema, parse


@dataclass
class Instruction:
    """One node: its kind, names of inputs and outputs, constant or attribute, sub-blocks.

    `names` gives the hint of every value of the graph.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    names: dict[str, str]
    at: str = ""
    constant: Any = None
    attribute: str = ""
    schema_text: str = ""
    blocks: list[Block] = field(default_factory=list)

    @property
    def hint(self) -> str:
        """The source's name for the first result, or ""."""
        return self.names[self.outputs[0]] if self.outputs else ""

    @cached_property
    def schema(self) -> Schema:
        return parse(self.schema_text)

    @property
    def name(self) -> str:
        return self.kind.partition("::")[2]


@dataclass
class Block:
    """Instructions with inputs and outputs: a graph, or a branch or body in it."""

    inputs: list[str]
    outputs: list[str]
    code: list[Instruction] = field(default_factory=list)
    hints: dict[str, str] = field(default_factory=dict)
    input_types: list[Any] = field(default_factory=list)


def read_graph(graph: Any) -> Block:
    """The plan of a `torch._C.Graph`."""
    names: dict[str, str] = {}
    block = _block(graph.inputs(), graph.outputs(), graph.nodes(), names)
    bases = {_base(n) for n in names}
    for name in names:
        names[name] = hint(name, bases)
    return block


def _block(inputs: Any, outputs: Any, nodes: Any, names: dict[str, str]) -> Block:
    """A block whose value names are entered in `names`, for their hints to be filled in later."""
    inputs = list(inputs)
    input_names = [v.debugName() for v in inputs]
    names.update(dict.fromkeys(input_names, ""))
    code = [_instruction(n, names) for n in nodes]
    outputs = [v.debugName() for v in outputs]
    return Block(input_names, outputs, code, names, [v.type() for v in inputs])


def _instruction(node: Any, names: dict[str, str]) -> Instruction:
    kind = node.kind()
    inputs, outputs = list(node.inputs()), list(node.outputs())
    output_names = [v.debugName() for v in outputs]
    names.update(dict.fromkeys(output_names, ""))
    out = Instruction(kind, [v.debugName() for v in inputs], output_names, names)
    if kind == "prim::Constant":
        out.constant = _constant(outputs[0])
        return out
    if kind == "prim::GetAttr":
        out.attribute = node.s("name")
        return out
    out.at = source_line(node.sourceRange())
    if kind in ("prim::CallMethod", "prim::SetAttr"):
        out.attribute = node.s("name")
    elif kind == "prim::isinstance":
        out.attribute = " ".join(t.kind() for t in node.tys("types"))
    elif kind == "prim::CallFunction":
        out.attribute = inputs[0].type().annotation_str
    elif not kind.startswith("prim::"):
        schema = node.schema()
        out.schema_text = schema if schema != "(no schema)" else ""
    out.blocks = [_block(b.inputs(), b.outputs(), b.nodes(), names) for b in node.blocks()]
    return out


def _constant(value: Any) -> Any:
    kind = value.type().kind()
    return None if kind in ("NoneType", "FunctionType") else value.toIValue()


_SCRIPTED = re.compile(r'^\s*File "([^"\n]+)", line (\d+)')
_TRACED = re.compile(r"^([^\n(]+)\((\d+)\): ")


def source_line(text: str) -> str:
    """ "file.py:31" of the innermost frame; "" where the graph does not tell."""
    found = _SCRIPTED.match(text) or _TRACED.match(text)
    if not found:
        return ""
    return f"{found[1].replace(chr(92), '/').rsplit('/', 1)[-1]}:{found[2]}"


# ---- names

_VERSION = re.compile(r"\.\d+$")
_MADE_UP = re.compile(r"_?\d*|argument_?\d*|_+\w?\d*")


def _base(name: str) -> str:
    return _VERSION.sub("", name)


def hint(name: str, others: set[str]) -> str:
    """The source's own name for a value, or "": less the version (`q.1`) and the digits by which a
    name
    was kept apart from an equal one (`x10` is `x1` with 0 appended)."""
    base = _base(name)
    if _MADE_UP.fullmatch(base):
        return ""
    base = _without_uniquifier(base, others)
    return "" if _MADE_UP.fullmatch(base) or not base.isidentifier() else base


def _without_uniquifier(name: str, others: set[str]) -> str:
    """Numbers are counted up for each name that is taken; the longest such name is the base."""
    for cut in range(len(name) - 1, 0, -1):
        digits = name[cut:]
        if not digits.isdigit():
            return name
        if name[:cut] in others and (digits == "0" or digits[0] != "0"):
            return _without_uniquifier(name[:cut], others)
    return name
