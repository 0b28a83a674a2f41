"""Classes: module calls with the same constructor and the same body become one class.

Bodies are compared as text over tokens, so that a merge is exact by construction. Numbers that
differ between instances become constructor arguments; those that agree become fields of ModelArgs,
or stay literals.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..ir import Graph, Node, Param, Value
from .body import Body, BodyBuilder, Hints
from .control import nested_values
from .fields import parameter_name, width_roles
from .init import Init, Repeat, build_init, counts, template_key
from .modules import Modules
from .names import attention_names
from .regions import Plan, Region, build_regions, dissolve, relink
from .slots import TOKEN, Slot
from .widths import Widths, find_widths


@dataclass
class Parameter:
    """A constructor argument: one number that instances have differently."""

    name: str
    role: str
    literal: bool
    values: dict[str, tuple[Any, Any]]  # path -> (value, element)

    def of(self, path: str) -> tuple[Any, Any]:
        return self.values[path]


@dataclass
class Group:
    """A class: its instances by path, and what each slot is: ("literal", v), ("field", element),
    ("param", name), ("multiple", n, name) or ("derived", kind, element)."""

    index: int
    cls: str
    paths: list[str]
    inits: list[Init]
    bodies: list[Body]
    name: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    init_slots: list[tuple[Any, ...]] = field(default_factory=list)
    body_slots: list[tuple[Any, ...]] = field(default_factory=list)
    needs_args: bool = False


@dataclass
class Structure:
    """All classes of a graph in the order in which they are written."""

    plan: Plan
    modules: Modules
    widths: Widths
    groups: list[Group]
    log: list[str]
    roles: dict[Any, str]  # of widths that attention shows

    def kind(self, element: Any) -> Any:
        """What a width stands for: its role, or itself."""
        root = self.widths.find(element)
        return self.roles.get(root, root)


def recover(graph: Graph) -> Structure:
    """Classes of a graph."""
    plan = build_regions(graph)
    while True:
        structure, conflict = _try(graph, plan)
        if conflict is None:
            return structure
        dissolve(plan, conflict, "is called again with another body than the first time")
        relink(plan)


def _try(graph: Graph, plan: Plan) -> tuple[Structure, Any]:
    widths = find_widths(graph)
    modules = Modules(plan)
    heads = width_roles(graph, widths)
    structure = Structure(plan, modules, widths, [], list(plan.log), heads)
    bodies: dict[Any, Body] = {}
    roles = attention_names(graph)
    for paths in _by_height(modules):
        built = []
        for path in paths:
            init = build_init(path, modules, widths)
            own = [_body(r, graph, widths, modules, bodies, roles) for r in modules.classes[path]]
            for region, body in zip(modules.classes[path][1:], own[1:], strict=True):
                if body.text() != own[0].text():
                    return structure, region
            bodies.update(zip(modules.classes[path], own, strict=True))
            built.append((path, init, own[0]))
        for group in _group(built, structure):
            region = group.bodies[0].region
            hints = _hints([b.region for b in group.bodies])
            named = _body(region, graph, widths, modules, bodies, roles, hints)
            group.bodies[0] = named
    return structure, None


def _hints(regions: list[Region]) -> Hints:
    """The names that the calls of one class have for corresponding values: the most frequent one.

    The first call's arguments are often special (embeddings, where the others get hidden states):
    its names for them come last.
    """
    made = [_made(region) for region in regions]
    like = [m for m in made if len(m) == len(made[0])]  # loops may have other numbers of turns
    values = {column[0]: _frequent([v.hint for v in column]) for column in zip(*like, strict=True)}
    order = [*regions[1:], regions[0]]
    inputs = [
        [r.scope.names.get(r.inputs[i], "") for r in order] for i in range(len(regions[0].inputs))
    ]
    for i, names in enumerate(inputs):
        names += [r.inputs[i].hint for r in order if not isinstance(r.inputs[i], Param)]
    return Hints(values, inputs)


def _made(region: Region) -> list[Value]:
    """The values that the items of a region make, in order."""
    made: list[Value] = []
    for item in region.items:
        if isinstance(item, Region) and item.layer is not None:
            made += [v for node in item.nodes() for v in node.results]
        else:
            made += item.outputs if isinstance(item, Region) else item.results
            made += nested_values(item) if isinstance(item, Node) else ()
    return made


def _frequent(names: list[str]) -> str:
    """The most frequent of the names, the first of several; "" only if there is no other."""
    counted = Counter(n for n in names if n)
    return max(counted, key=counted.__getitem__) if counted else ""


def _body(
    region: Any,
    graph: Graph,
    widths: Widths,
    modules: Modules,
    bodies: dict[Any, Body],
    roles: dict[Any, str],
    hints: Hints | None = None,
) -> Body:
    root = region.parent is None
    builder = BodyBuilder(region, widths, modules, bodies, roles, hints)
    return builder.build(graph.arguments if root else None, graph.result)


def _by_height(modules: Modules) -> list[list[str]]:
    """Class paths by how deep classes nest below them."""
    heights: dict[str, int] = {}

    def height(path: str) -> int:
        if path not in heights:
            heights[path] = 1 + max((height(c) for c in modules.class_children(path)), default=0)
        return heights[path]

    levels: dict[int, list[str]] = {}
    for path in modules.classes:
        levels.setdefault(height(path), []).append(path)
    return [levels[h] for h in sorted(levels)]


def _group(built: list[tuple[str, Init, Body]], structure: Structure) -> list[Group]:
    """Put like instances together; say why instances of one source class did not merge."""
    groups: dict[tuple[str, str, str], list[tuple[str, Init, Body]]] = {}
    for path, init, body in built:
        attributes = tuple((k, template_key(v)) for k, v in init.attributes.items())
        key = (body.region.scope.cls, repr(attributes), body.text() + body.axes_read())
        groups.setdefault(key, []).append((path, init, body))
    made = []
    for key, members in groups.items():
        paths, inits, bodies = map(list, zip(*members, strict=True))
        group = Group(len(structure.groups), key[0], paths, inits, bodies)
        _resolve(group, structure)
        structure.groups.append(group)
        structure.modules.groups.update(dict.fromkeys(paths, group))
        structure.log += _explain(key, {k: m[0][0] for k, m in groups.items()}, paths)
        made.append(group)
    return made


def _explain(key: tuple[str, str, str], first: dict[Any, str], paths: list[str]) -> list[str]:
    """What merged into the class of that key, and why another class of the same source did not."""
    cls, attributes, text = key
    lines = []
    if len(paths) > 1:
        lines.append(f"{cls}: {len(paths)} instances are one class ({paths[0]} ... {paths[-1]})")
    other = next((k for k in first if k[0] == cls and k != key), None)
    if other is not None:
        constructors = other[1] != attributes
        why = "their constructors differ" if constructors else _difference(text, other[2])
        lines.append(f"{cls}: {paths[0]} and {first[other]} are different classes: {why}")
    return lines


def _difference(a: str, b: str) -> str:
    lines = zip(a.splitlines() + [""] * 99, b.splitlines() + [""] * 99, strict=False)
    left, right = next(((x, y) for x, y in lines if x != y), ("", ""))
    clean = re.compile("\ue000[a-z]|\ue001")
    return f"{clean.sub('', left).strip()!r} against {clean.sub('', right).strip()!r}"


def _resolve(group: Group, structure: Structure) -> None:
    """Decide for every slot whether it is a literal, a field, derived from one, or a constructor
    argument.
    """
    known: dict[tuple[Any, ...], Parameter] = {}
    for kind, holders in (("i", group.inits), ("s", group.bodies)):
        columns = [list(c) for c in zip(*(h.slots for h in holders), strict=True)]
        if kind == "i":
            group.init_slots = _resolve_slots(group, columns, structure, known)
        else:
            group.body_slots = [_resolve_slot(group, c, structure, known) for c in columns]
    _shorten(group)
    children = {
        int(m)
        for t in group.inits[0].attributes.values()
        for m in re.findall("\ue000c(\\d+)\ue001", repr_template(t))
    }
    group.needs_args = _reads_fields(group) or any(structure.groups[c].needs_args for c in children)


def _shorten(group: Group) -> None:
    """Arguments that are passed on keep their names where no two have the same."""
    passed = {
        p.name: p.role.removeprefix("arg.") for p in group.parameters if p.role.startswith("arg.")
    }
    words = Counter([*passed.values(), *(p.name for p in group.parameters if p.name not in passed)])
    short = {name: word for name, word in passed.items() if words[word] == 1}
    for parameter in group.parameters:
        parameter.name = short.get(parameter.name, parameter.name)
    for slots in (group.init_slots, group.body_slots):
        slots[:] = [
            (*s[:-1], short.get(s[-1], s[-1])) if s[0] in ("param", "multiple") else s
            for s in slots
        ]


def _reads_fields(group: Group) -> bool:
    """Whether the class's code has a slot that is a field of ModelArgs."""
    init = "".join(map(repr_template, group.inits[0].attributes.values()))
    used = [group.init_slots[int(m[2])] for m in TOKEN.finditer(init) if m[1] in "io"]
    used += [group.init_slots[c] for t in group.inits[0].attributes.values() for c in counts(t)]
    used += [
        group.body_slots[int(m[2])] for m in TOKEN.finditer(group.bodies[0].text()) if m[1] == "s"
    ]
    return any(s[0] in ("field", "derived") for s in used)


def repr_template(template: Any) -> str:
    """All text of a template, for searching."""
    if isinstance(template, dict):
        return "".join(map(repr_template, template.values()))
    if isinstance(template, Repeat):
        return "".join(map(repr_template, template.templates))
    return str(template.text)


def _resolve_slots(
    group: Group,
    columns: list[list[Slot]],
    structure: Structure,
    known: dict[tuple[Any, ...], Parameter],
) -> list[tuple[Any, ...]]:
    """Sizes that are so many times others come after those."""
    resolved: dict[int, tuple[Any, ...]] = {}
    widths = structure.widths
    late = [i for i, column in enumerate(columns) if widths.multiple(column[0].element)]
    for i in [i for i in range(len(columns)) if i not in late] + late:
        resolved[i] = _multiple(columns[i], structure, known) or _resolve_slot(
            group, columns[i], structure, known
        )
    return [resolved[i] for i in range(len(columns))]


def _multiple(
    column: list[Slot], structure: Structure, known: dict[tuple[Any, ...], Parameter]
) -> tuple[Any, ...] | None:
    """`2 * dims`, where every instance's size is twice its argument `dims`."""
    found = [structure.widths.multiple(slot.element) for slot in column]
    counts_found = {multiple[0] for multiple in found if multiple}
    if None in found or len(counts_found) > 1:
        return None
    count = counts_found.pop()
    vector = tuple(
        (s.value // count, structure.kind(m[1])) for s, m in zip(column, found, strict=True) if m
    )
    return ("multiple", count, known[vector].name) if vector in known else None


def _resolve_slot(
    group: Group,
    column: list[Slot],
    structure: Structure,
    known: dict[tuple[Any, ...], Parameter],
) -> tuple[Any, ...]:
    first = column[0]
    if any(s.value != first.value for s in column):
        literal = all(s.literal for s in column)
        kinds = [None if literal else structure.kind(s.element) for s in column]
        vector = tuple((s.value, kind) for s, kind in zip(column, kinds, strict=True))
        if vector not in known:
            role = kinds[0] if isinstance(kinds[0], str) and len(set(kinds)) == 1 else ""
            name = parameter_name(first, [p.name for p in group.parameters], role)
            values = {p: (s.value, s.element) for p, s in zip(group.paths, column, strict=True)}
            known[vector] = Parameter(name, first.role, literal, values)
            group.parameters.append(known[vector])
        return ("param", known[vector].name)
    if first.derived and all(s.derived and s.derived[0] == first.derived[0] for s in column):
        for slot in column[1:]:
            structure.widths.join(first.derived[1], slot.derived[1])  # type: ignore[index]
        return ("derived", *first.derived)
    if first.literal:
        return ("literal", first.value)
    for slot in column[1:]:
        structure.widths.join(first.element, slot.element)
    return ("field", first.element)
