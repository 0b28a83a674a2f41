"""The Python file: classes, ModelArgs and load, printed from the recovered structure."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Any

from ..ir import Graph, Program, Value
from ..ir import dims as d
from ..ir.dims import Expr
from .body import TOKEN, Body
from .emitted import Emitted
from .init import OPTIONS, Repeat, Template
from .names import Fields, class_names, inner_widths, local_names, safe, width_roles
from .structure import Group, Structure, recover
from .widths import key

DIM_NAMES = {"B", "L"}


@dataclass
class Printed:
    """A class's source and what it uses."""

    name: str
    code: str
    helpers: list[str] = field(default_factory=list)


def emit(program: Program, name: str) -> Emitted:
    """model.py for a program. `name` is what the docstring calls the model."""
    graph = program.forward
    structure = recover(graph)
    class_names(structure.groups, ("ModelArgs", "Path", *helpers_of(structure)))
    fields = _fields(graph, structure)
    used: dict[str, Any] = {}
    printed = [_print_class(g, structure, fields, used, graph) for g in _ordered(structure)]
    config = {k: used[k] for k in used}
    helpers = [h for p in printed for h in p.helpers]
    source = assemble(
        name, printed, config, list(dict.fromkeys(helpers)), structure.groups[-1].needs_args
    )
    modules = structure.modules
    paths = {n: modules.emitted(n) for n in graph.params}
    return Emitted(
        source,
        config,
        {paths[n]: p for n, p in graph.params.items()},
        {(r.path, r.scope.call): modules.emitted(r.path) for r in structure.plan.root.walk()},
        [p.name for p in printed],
        structure.log,
    )


def helpers_of(structure: Structure) -> list[str]:
    return [
        h for g in structure.groups for holder in (g.inits[0], g.bodies[0]) for h in holder.helpers
    ]


def _ordered(structure: Structure) -> list[Group]:
    """Classes before their users, otherwise in the order in which the model calls them."""
    out: dict[int, Group] = {}

    def visit(path: str) -> None:
        group = structure.modules.groups[path]
        if group.index in out:
            return
        for child in structure.modules.class_children(path):
            visit(child)
        out.setdefault(group.index, group)

    visit("")
    return list(out.values())


def _fields(graph: Graph, structure: Structure) -> Fields:
    heads = width_roles(graph, structure.widths)
    entering = [
        key(v, a)
        for v in graph.inputs
        for a, size in enumerate(v.tensor.shape)
        if isinstance(size, int)
    ]
    fields = Fields(structure.widths, heads, inner_widths(graph, structure.widths), entering)
    for group in structure.groups:
        for holder, slots in (
            (group.inits[0], group.init_slots),
            (group.bodies[0], group.body_slots),
        ):
            for slot, resolved in zip(holder.slots, slots, strict=True):
                if resolved[0] == "field":
                    fields.note(resolved[1], slot.value, slot.role, slot.attr)
                elif resolved[0] == "derived":
                    fields.note(resolved[2], _width_value(resolved[2], graph), "shape", slot.attr)
    for root in list(fields.values):
        for part in structure.widths.product(root) or ():
            if structure.widths.find(part) in fields.heads:
                fields.note(part, _width_value(part, graph), "shape", "")
    fields.assign()
    return fields


def _width_value(element: Any, graph: Graph) -> int:
    """The size that a (value, axis) element stands for."""
    owner, axis = element
    value = graph.params[owner] if isinstance(owner, str) else owner
    size = value.tensor.shape[axis]
    assert isinstance(size, int)
    return size


class _ClassPrinter:
    """Resolves the tokens of one class."""

    def __init__(self, group: Group, structure: Structure, fields: Fields, used: dict[str, Any]):
        self.group, self.structure, self.fields, self.used = group, structure, fields, used
        self.attributes: dict[str, str] = {}  # self.<name> -> expression in __init__
        self.taken = set(group.inits[0].attributes)

    def field(self, element: Any) -> str:
        """`args.hidden_size`, or a product of fields."""
        root = self.structure.widths.find(element)
        parts = self.fields.product(root)
        if parts:
            return " * ".join(self.field(p) for p in parts)
        name = self.fields.names[root]
        base = name.partition("[")[0]
        self.used.setdefault(base, self.fields.taken[base])
        return f"args.{name}"

    def init_slot(self, index: int) -> str:
        slot = self.group.init_slots[index]
        match slot[0]:
            case "literal":
                return repr(slot[1])
            case "param":
                return str(slot[1])
            case _:
                return self.field(slot[1])

    def call_slot(self, index: int) -> str:
        """A number in a method: a literal, or an attribute set in the constructor."""
        resolved, slot = self.group.body_slots[index], self.group.bodies[0].slots[index]
        match resolved[0]:
            case "literal":
                return repr(resolved[1])
            case "param":
                return self._attribute(str(resolved[1]), str(resolved[1]))
            case "derived":
                power = "-0.5" if resolved[1] == "rsqrt" else "0.5"
                base = self.field(resolved[2])
                base = f"({base})" if " " in base else base
                return self._attribute("scale", f"{base}**{power}")
            case _:
                code = self.field(resolved[1])
                name = (
                    code.removeprefix("args.")
                    if code[5:].isidentifier()
                    else safe(f"{slot.role}_size")
                )
                return self._attribute(
                    name.removeprefix("rms_norm_").removeprefix("layer_norm_")
                    if name.endswith("eps")
                    else name,
                    code,
                )

    def static(self, value: Value, axis: int) -> str:
        """A static size of an input: the field that is the same width, else the number."""
        root = self.structure.widths.find(key(value, axis))
        if root not in self.fields.names and not self.fields.product(root):
            return str(value.tensor.shape[axis])
        code = self.field(root)
        return self._attribute(
            code.removeprefix("args.") if code[5:].isidentifier() else "input_size", code
        )

    def _attribute(self, name: str, code: str) -> str:
        while self.attributes.get(name, code) != code or name in self.taken:
            name = f"{name}_"
        self.attributes[name] = code
        return f"self.{name}"

    def template(self, template: Template, loop: bool = False) -> str:
        if isinstance(template, str):
            return TOKEN.sub(self._token, template)
        if isinstance(template, dict):
            return "{" + ", ".join(f"{k!r}: {self.template(v)}" for k, v in template.items()) + "}"
        return self._repeat(template)

    def _repeat(self, repeat: Repeat) -> str:
        codes = [self.template(t) for t in repeat.templates]
        size = len(repeat.kinds)
        if (size > 1 and len(codes) == 1) or self.group.init_slots[repeat.count][0] == "param":
            return f"[{codes[0]} for _ in range({self.init_slot(repeat.count)})]"
        condition = _condition(repeat.kinds, len(codes))
        if size > 2 and condition:
            pick, first, other = condition
            count = self.init_slot(repeat.count)
            return f"[{codes[first]} if {pick} else {codes[other]} for i in range({count})]"
        return f"[{', '.join(codes[k] for k in repeat.kinds)}]"

    def _token(self, match: re.Match[str]) -> str:
        kind, index = match[1], int(match[2])
        if kind == "o":
            resolved, slot = self.group.init_slots[index], self.group.inits[0].slots[index]
            name = slot.role.rpartition(".")[2]
            return (
                ""
                if resolved == ("literal", OPTIONS[name])
                else f", {name}={self.init_slot(index)}"
            )
        return self.init_slot(index) if kind == "i" else self.structure.groups[index].name


def _condition(kinds: list[int], count: int) -> tuple[str, int, int] | None:
    """How the kind follows from the index: the first or last is special, or two kinds alternate."""
    if count != 2:
        return None
    if kinds[0] != kinds[1] and len(set(kinds[1:])) == 1:
        return "i == 0", kinds[0], kinds[1]
    if len(set(kinds[0::2])) == 1 and len(set(kinds[1::2])) == 1:
        return "i % 2 == 0", kinds[0], kinds[1]
    return None


def _print_class(
    group: Group, structure: Structure, fields: Fields, used: dict[str, Any], graph: Graph
) -> Printed:
    printer = _ClassPrinter(group, structure, fields, used)
    init, body = group.inits[0], group.bodies[0]
    entries = [f"self.{name} = {printer.template(t)}" for name, t in init.attributes.items()]
    method = _print_call(group, body, printer, graph if "" in group.paths else None)
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
    return Printed(group.name, "\n".join([*lines, "", *method]), [*init.helpers, *body.helpers])


def _print_call(group: Group, body: Body, printer: _ClassPrinter, root: Graph | None) -> list[str]:
    """The `__call__` method, indented as in its class."""
    lines = [code for _, code in body.lines]
    spans = _spans(body, lines)
    used_dims = [
        i
        for i in range(len(body.dims))
        if any(f"\ue000d{i}\ue001" in line for line in lines)
        or (root is not None and body.dims[i][0] >= 0 and _checked(root))
    ]
    dim_names = _dim_names(body)
    reserved = {dim_names[i] for i in used_dims} | set(helpers_of(printer.structure))
    merged = [_merged_hints(group, i) for i in range(len(body.locals))]
    names = local_names(merged, spans, reserved)

    def resolve(match: re.Match[str]) -> str:
        kind, index = match[1], int(match[2])
        return {
            "v": lambda: names[index],
            "d": lambda: dim_names[index],
            "s": lambda: printer.call_slot(index),
        }[kind]()

    arguments = [names[i] for i in body.input_locals]
    ints = [dim_names[i] for i, (source, _, _) in enumerate(body.dims) if source < 0]
    kinds = _annotations(body, root, names)
    head = ", ".join(
        [
            "self",
            *(f"{a}: {k}" for a, k in zip(arguments, kinds, strict=True)),
            *(f"{i}: int" for i in ints),
        ]
    )
    out = [f"    def __call__({head}) -> {_result_annotation(body, root)}:"]
    value_names = {
        v: names[body.input_locals[i]]
        for i, v in enumerate(body.inputs)
        if i < len(body.input_locals)
    }
    opening = _shape_lines(body, used_dims, dim_names, value_names)
    opening += _border(root, body, value_names, dim_names, printer) if root is not None else []
    out += [f"        {line}" for line in opening]
    out += [""] if opening and len(body.lines) > 2 else []
    out += [f"        {'    ' * depth}{TOKEN.sub(resolve, code)}" for depth, code in body.lines]
    return out


def _merged_hints(group: Group, index: int) -> Any:
    """Hints of all instances, the first instance's first."""
    from .body import Local

    bodies = (
        group.bodies[1:] + group.bodies[:1]
        if index in group.bodies[0].input_locals
        else group.bodies
    )
    return Local(list(dict.fromkeys(h for b in bodies for h in b.locals[index].hints)))


def _spans(body: Body, lines: list[str]) -> dict[int, tuple[int, int]]:
    """First and last line of every local; arguments live from before the first."""
    spans: dict[int, tuple[int, int]] = {}
    for i in body.input_locals:
        spans[i] = (-1, -1)
    for number, line in enumerate(lines):
        for match in TOKEN.finditer(line):
            if match[1] == "v":
                first, _ = spans.get(int(match[2]), (number, number))
                spans[int(match[2])] = (first, number)
    for i in range(len(body.locals)):
        spans.setdefault(i, (len(lines), len(lines)))
    return spans


def _dim_names(body: Body) -> list[str]:
    """Names of local sizes: the graph's symbol, else by place."""
    names: list[str] = []
    for source, axis, name in body.dims:
        candidates = [name] if name.isidentifier() else []
        candidates += ["B"] if axis == 0 and source >= 0 else []
        candidates += ["L", "T", "S", "N", "M", "H", "W", "K", "P", "Q", "R"]
        names.append(
            next((c for c in candidates if c not in names), f"size_{'i' * (len(names) + 1)}")
        )
    return names


def _shape_lines(
    body: Body, used: list[int], names: list[str], value_names: dict[Value, str]
) -> list[str]:
    """`B, L, _ = x.shape` for the sizes that are used."""
    lines = []
    for i, value in enumerate(body.inputs):
        here = {body.dims[k][1]: names[k] for k in used if body.dims[k][0] == i}
        if not here:
            continue
        rank = value.tensor.rank
        if len(here) == 1 and rank > 1:
            ((axis, name),) = here.items()
            place = axis if axis < rank - 1 or axis == 0 else -1
            lines.append(f"{name} = {value_names[value]}.shape[{place}]")
        else:
            targets = ", ".join(here.get(a, "_") for a in range(rank)) + ("," if rank == 1 else "")
            lines.append(f"{targets} = {value_names[value]}.shape")
    return lines


def _checked(graph: Graph) -> bool:
    """Whether the inputs' shapes must satisfy more than their own ranks."""
    seen: set[str] = set()
    for value in graph.inputs:
        for dim in value.tensor.shape:
            if not isinstance(dim, Expr) or str(dim) in seen or not str(dim).isidentifier():
                return True
            seen.add(str(dim))
    return any(s.high is not None or s.low > 1 for s in graph.symbols())


def _border(
    graph: Graph, body: Body, names: dict[Value, str], dim_names: list[str], printer: _ClassPrinter
) -> list[str]:
    """Checks of ties, static sizes and bounds at the model's border."""
    if not _checked(graph):
        return []
    lines = []
    symbols = {body.dims[i][2]: dim_names[i] for i in range(len(body.dims))}
    mapping = {s: d.symbol(n) for s, n in symbols.items() if s}
    bound: set[str] = set()
    for value in graph.inputs:
        if value not in names:
            continue
        needs = False
        for dim in value.tensor.shape:
            fresh = isinstance(dim, Expr) and str(dim).isidentifier() and str(dim) not in bound
            needs |= not fresh
            if fresh:
                bound.add(str(dim))
        if needs:
            shape = ", ".join(
                printer.static(value, axis) if isinstance(x, int) else str(d.substitute(x, mapping))
                for axis, x in enumerate(value.tensor.shape)
            )
            shape += "," if value.tensor.rank == 1 else ""
            lines.append(f"check_shape({names[value]!r}, {names[value]}, ({shape}))")
    for sym in graph.symbols():
        name = symbols.get(sym.name)
        if name and (sym.low > 1 or sym.high is not None):
            lines.append(f"check_size({name!r}, {name}, {sym.low}, {sym.high})")
    return lines


def _annotations(body: Body, root: Graph | None, names: list[str]) -> list[str]:
    if root is None:
        return ["mx.array"] * len(body.input_locals)
    kinds = {dict: "dict[str, mx.array]", tuple: "tuple", list: "list"}
    return [kinds.get(type(tree), "mx.array") for _, tree in root.arguments]


def _result_annotation(body: Body, root: Graph | None) -> str:
    result: Any = (
        root.result
        if root
        else tuple(body.region.outputs)
        if len(body.region.outputs) != 1
        else body.region.outputs[0]
    )
    return _annotation_of(result)


def _annotation_of(tree: Any) -> str:
    if isinstance(tree, dict):
        kinds = {_annotation_of(v) for v in tree.values()}
        return f"dict[str, {kinds.pop()}]" if len(kinds) == 1 else "dict"
    if isinstance(tree, tuple):
        return f"tuple[{', '.join(map(_annotation_of, tree))}]" if tree else "tuple"
    if isinstance(tree, list):
        return "list"
    return (
        "mx.array" if isinstance(tree, Value) else "None" if tree is None else type(tree).__name__
    )


# ---- the file


@functools.cache
def _environment() -> Any:
    import jinja2

    loader = jinja2.PackageLoader("mlx_transpile.templates", "python")
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def assemble(
    name: str, classes: list[Printed], config: dict[str, Any], helpers: list[str], root_args: bool
) -> str:
    """The file from its parts, formatted."""
    import black

    from ..runtime import helper_closure

    code = "\n\n\n".join(p.code for p in classes)
    checks = [check for check in ("check_shape", "check_size") if f"{check}(" in code]
    sources = helper_closure([*checks, *helpers])
    imports = dict.fromkeys(line for helper in sources for line in helper.imports)
    standard = [i for i in imports if "mlx" not in i]
    text = (
        _environment()
        .get_template("model.py.j2")
        .render(
            name=safe(name, "Model"),
            imports=standard,
            helpers=[helper.source.rstrip() for helper in sources],
            fields=[(k, _kind(v)) for k, v in config.items()],
            classes=code,
            args=root_args,
        )
    )
    return black.format_str(text, mode=black.Mode(line_length=88))


def _kind(value: Any) -> str:
    """The annotation of a field of ModelArgs."""
    return f"list[{_kind(value[0])}]" if isinstance(value, list) else type(value).__name__


__all__ = ["emit"]
