"""The Python file: classes, ModelArgs and load, printed from the recovered structure."""

from __future__ import annotations

import functools
from typing import Any

from ..ir import Graph, Program
from ..ir.draws import draws
from .classes import Printed, helpers_of, print_class
from .emitted import Emitted, Recovered
from .fields import Fields, field_order, inner_widths, width_roles
from .init import counts
from .lines import python_lines
from .names import class_names, safe
from .packing import graph_schemes
from .precision import precise_parameters
from .structure import Group, Structure, recover
from .widths import key


def emit(program: Program, name: str) -> Emitted:
    """model.py for a program. `name` is what the docstring calls the model."""
    graph = program.forward
    structure = recover(graph)
    class_names(structure.groups, ("ModelArgs", "Path", *helpers_of(structure)))
    fields = _fields(graph, structure)
    used: dict[str, Any] = {}
    order = _ordered(structure)
    printed = [print_class(g, structure, fields, used, graph) for g in order]
    config = {k: used[k] for k in field_order(used)}
    helpers = [h for p in printed for h in p.helpers]
    source = assemble(
        name, printed, config, list(dict.fromkeys(helpers)), structure.groups[-1].needs_args,
        bool(draws(graph)), len(set(graph_schemes(graph).values())) > 1,
    )  # fmt: skip
    modules = structure.modules
    paths = {n: modules.emitted(n) for n in graph.params}
    precise = precise_parameters(graph)
    return Emitted(
        source,
        config,
        {paths[n]: p for n, p in graph.params.items()},
        {(r.path, r.scope.call): modules.emitted(r.path) for r in structure.plan.root.walk()},
        [p.name for p in printed],
        structure.log,
        {modules.emitted(p): r.layer.cls for p, r in modules.layers.items() if r.layer},
        [paths[n] for n in graph.params if n in precise],
        Recovered(structure, fields, order, config),
        {"model.py": python_lines(source, printed, structure)},
    )


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
            printed = {c for t in group.inits[0].attributes.values() for c in counts(t)}
            for index, (slot, resolved) in enumerate(zip(holder.slots, slots, strict=True)):
                if slot.role == "count" and index not in printed:
                    continue
                if resolved[0] == "field":
                    fields.note(resolved[1], slot.value, slot.role, slot.attr)
                elif resolved[0] == "derived":
                    fields.note(resolved[2], _width_value(resolved[2], graph), "shape", slot.attr)
    for root in list(fields.values):
        multiple = structure.widths.multiple(root)
        for part in structure.widths.product(multiple[1] if multiple else root) or ():
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
    name: str,
    classes: list[Printed],
    config: dict[str, Any],
    helpers: list[str],
    root_args: bool,
    draws: bool = False,
    mixed: bool = False,
) -> str:
    """The file from its parts, formatted. `mixed`: layers may be packed in several ways."""
    import black

    from ..runtime import helper_closure

    code = "\n\n\n".join(p.code for p in classes)
    known = ("check_multiple", "check_shape", "check_size")
    checks = [check for check in known if f"{check}(" in code]
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
            draws=draws,
            mixed=mixed,
            quantizable="nn.Linear(" in code or "nn.Embedding(" in code,
        )
    )
    return black.format_str(text, mode=black.Mode(line_length=88))


def _kind(value: Any) -> str:
    """The annotation of a field of ModelArgs."""
    return f"list[{_kind(value[0])}]" if isinstance(value, list) else type(value).__name__


__all__ = ["emit"]
