"""One class as source text: its constructor, with every token resolved, around its method."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ..ir import Graph, Value
from .fields import Fields
from .init import OPTIONS, Repeat, Template
from .methods import Origins, print_call
from .names import ORDINALS, safe
from .render import scalar_text
from .slots import TOKEN
from .structure import Group, Structure
from .widths import key


@dataclass
class Printed:
    """A class's source, what it uses, and what the statements of its method compute."""

    name: str
    code: str
    helpers: list[str]
    group: Group
    origins: Origins


def helpers_of(structure: Structure) -> list[str]:
    """The names of all helpers that the classes use."""
    return [h for g in structure.groups for part in (g.inits[0], g.bodies[0]) for h in part.helpers]


class ClassPrinter:
    """Resolves the tokens of one class."""

    def __init__(self, group: Group, structure: Structure, fields: Fields, used: dict[str, Any]):
        self.group, self.structure, self.fields, self.used = group, structure, fields, used
        self.attributes: dict[str, str] = {}  # self.<name> -> expression in __init__
        self.kinds: dict[str, type] = {}  # self.<name> -> int or float
        self.taken = set(group.inits[0].attributes)
        self.reserved = set(helpers_of(structure))

    def field(self, element: Any) -> str:
        """`args.hidden_size`, or a product of fields."""
        root = self.structure.widths.find(element)
        parts = self.fields.product(root)
        if parts:
            return " * ".join(str(p) if isinstance(p, int) else self.field(p) for p in parts)
        name = self.fields.names[root]
        base = name.partition("[")[0]
        self.used.setdefault(base, self.fields.taken[base])
        return f"args.{name}"

    def init_slot(self, index: int) -> str:
        slot = self.group.init_slots[index]
        match slot[0]:
            case "literal":
                return self.literal(slot[1])
            case "param":
                return self.parameter(slot[1])
            case "multiple":
                return f"{slot[1]} * {self.parameter(slot[2])}"
            case _:
                return self.field(slot[1])

    # How the language writes arguments, numbers, powers and members; C++ has its own.

    def parameter(self, name: str) -> str:
        return name

    def literal(self, value: Any) -> str:
        return scalar_text(value).code

    def power(self, base: str, exponent: str) -> str:
        return f"({base})**{exponent}" if " " in base else f"{base}**{exponent}"

    def own(self, name: str) -> str:
        return f"self.{name}"

    def call_slot(self, index: int) -> str:
        """A number in a method: a literal, or an attribute set in the constructor."""
        resolved, slot = self.group.body_slots[index], self.group.bodies[0].slots[index]
        match resolved[0]:
            case "literal":
                return self.literal(resolved[1])
            case "param":
                return self._attribute(str(resolved[1]), str(resolved[1]), slot.value)
            case "derived":
                exponent = "-0.5" if resolved[1] == "rsqrt" else "0.5"
                code = self.power(self.field(resolved[2]), exponent)
                return self._attribute("scale", code, slot.value)
            case _:
                code = self.field(resolved[1])
                name = _attribute_name(code, f"{slot.role}_size")
                name = "eps" if name.endswith("norm_eps") else name
                return self._attribute(name, code, slot.value)

    def static(self, value: Value, axis: int) -> str:
        """A static size of an input: the field that is the same width, else the number."""
        root = self.structure.widths.find(key(value, axis))
        if root not in self.fields.names and not self.fields.product(root):
            return str(value.tensor.shape[axis])
        code = self.field(root)
        return self._attribute(_attribute_name(code, "input_size"), code, 0)

    def _attribute(self, name: str, code: str, value: int | float) -> str:
        while True:
            if self.attributes.get(name, code) != code or name in self.taken:
                name = f"{name}_"
            elif any(o != name and self.own(o) == self.own(name) for o in self.attributes):
                name = f"other_{name}"  # C++ writes the two as one
            else:
                break
        self.attributes[name] = code
        self.kinds[name] = type(value)
        return self.own(name)

    def template(self, template: Template) -> str:
        if isinstance(template, dict):
            return "{" + ", ".join(f"{k!r}: {self.template(v)}" for k, v in template.items()) + "}"
        if isinstance(template, Repeat):
            return self._repeat(template)
        return TOKEN.sub(self._token, template.text)

    def _repeat(self, repeat: Repeat) -> str:
        codes = [self.template(t) for t in repeat.templates]
        size = len(repeat.kinds)
        varies = self.group.init_slots[repeat.count][0] == "param"
        if len(codes) == 1 and (size > 1 or varies):
            return f"[{codes[0]} for _ in range({self.init_slot(repeat.count)})]"
        if repeat.condition:
            pick, first, other = repeat.condition
            count = self.init_slot(repeat.count)
            return f"[{codes[first]} if {pick} else {codes[other]} for i in range({count})]"
        return f"[{', '.join(codes[k] for k in repeat.kinds)}]"

    def _token(self, match: re.Match[str]) -> str:
        kind, index = match[1], int(match[2])
        if kind == "o":
            resolved, slot = self.group.init_slots[index], self.group.inits[0].slots[index]
            name = slot.role.rpartition(".")[2]
            default = resolved == ("literal", OPTIONS[name])
            return "" if default else f", {name}={self.init_slot(index)}"
        return self.init_slot(index) if kind == "i" else self.structure.groups[index].name


def _attribute_name(code: str, other: str) -> str:
    """The name for an attribute that holds a field or an item of one; `other` for a product."""
    item = re.fullmatch(r"args\.(\w+)\[(\d+)\]", code)
    if item and int(item[2]) < len(ORDINALS):
        return item[1] if item[2] == "0" else f"{ORDINALS[int(item[2])].lower()}_{item[1]}"
    name = code.removeprefix("args.")
    return name if name.isidentifier() else safe(other)


def print_class(
    group: Group, structure: Structure, fields: Fields, used: dict[str, Any], graph: Graph
) -> Printed:
    printer = ClassPrinter(group, structure, fields, used)
    init, body = group.inits[0], group.bodies[0]
    entries = [f"self.{name} = {printer.template(t)}" for name, t in init.attributes.items()]
    method, origins = print_call(group, body, printer, graph if "" in group.paths else None)
    numbers = [f"self.{name} = {code}" for name, code in printer.attributes.items()]
    if "" in group.paths:  # border checks may read fields, too
        group.needs_args = any("args" in line for line in [*numbers, *entries])
    parameters = [
        f"{p.name}: {'float' if isinstance(next(iter(p.values.values()))[0], float) else 'int'}"
        for p in group.parameters
    ]
    wants = (["args: ModelArgs"] if group.needs_args else []) + parameters
    lines = [
        f"class {group.name}(nn.Module):",
        f"    def __init__({', '.join(['self', *wants])}):",
        "        super().__init__()",
    ]
    lines += [f"        {line}" for line in [*numbers, *entries]]
    if not numbers and not entries and not wants:
        lines = lines[:1]
    code = "\n".join([*lines, "", *method])
    return Printed(group.name, code, [*init.helpers, *body.helpers], group, origins)
