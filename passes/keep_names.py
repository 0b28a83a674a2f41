"""Names that the file itself has for weights, where it states no modules: they name the modules."""

from __future__ import annotations

import re

from ..ir import Graph, Node, Param, Scope
from ..ir.recipe import reads


def is_named(param: Param) -> bool:
    """Whether the parameter is called as the tensor in the file is, by a path."""
    sources = reads(param.recipe)
    return "." in param.name and any(_plain(s) == _plain(param.name) for s in sources)


def _plain(name: str) -> str:
    return re.sub(r"\W+", ".", name).strip(".")


def keep_names(graph: Graph) -> None:
    """Modules are called by what the names of their weights have in common.

    A part whose weights have names that belong to the module around it is dissolved.
    """
    inside = _names_inside(graph)
    made = {scope: scope.path for scope in inside}
    done: dict[Scope, str] = {graph.root: ""}
    taken: set[str] = set()
    gone: dict[Scope, Scope] = {}
    for scope in graph.scopes():
        if scope.parent is None:
            continue
        outer, old = done[scope.parent], made.get(scope, scope.path)
        last = old[len(made.get(scope.parent, "")) :].lstrip(".")
        common = _common(inside.get(scope, []))
        path = f"{outer}.{last}" if outer else last
        under = not outer or common.startswith(f"{outer}.")
        if common and under and common not in taken and _same_kind(common, last):
            path = common
        elif len(inside[scope]) > 1 and not last.rpartition(".")[2].isdigit():
            gone[scope] = scope.parent
            done[scope] = outer
            continue
        while path in taken and not scope.call:
            path = _other(path)
        taken.add(path)
        done[scope] = path
    for scope, path in done.items():
        scope.path = path
        while scope.parent in gone:
            scope.parent = gone[scope.parent]
    for node in graph.nodes:
        while node.scope in gone:
            node.scope = gone[node.scope]


def _names_inside(graph: Graph) -> dict[Scope, list[str]]:
    """The modules of the named weights that the nodes of each scope read, those below too.

    A weight that several nodes read names none: exporters keep one of several equal tensors.
    """
    single = {v for v, uses in graph.uses().items() if len(uses) == 1}
    found: dict[Scope, list[str]] = {scope: [] for scope in graph.scopes()}
    for node in graph.nodes:
        params = [v for v in node.values if isinstance(v, Param) and v in single]
        names = [p.name for p in params if is_named(p)]
        for scope in node.scope.chain() if names else []:
            found[scope] += [n.rpartition(".")[0] for n in names]
    return found


def _common(modules: list[str]) -> str:
    """The path that all begin with; "" for fewer than two modules."""
    if len(set(modules)) < 2:
        return ""
    columns = zip(*(m.split(".") for m in modules), strict=False)
    parts: list[str] = []
    for column in columns:
        if len(set(column)) > 1:
            break
        parts.append(column[0])
    return ".".join(parts)


def _other(path: str) -> str:
    """Another path: of an element of a list, in another list."""
    head, _, last = path.rpartition(".")
    return f"{head}_.{last}" if last.isdigit() else f"{path}_"


def _same_kind(common: str, last: str) -> bool:
    """An element of a list stays one, and nothing else becomes one."""
    return common.rpartition(".")[2].isdigit() == last.rpartition(".")[2].isdigit()


def own_name(node: Node, attrs: dict[int, str]) -> str:
    """The name of a layer, below its scope, that the file has for its weights; "" if none."""
    prefix = f"{node.scope.path}." if node.scope.path else ""
    for index, attr in attrs.items():
        param = node.operands[index]
        if not isinstance(param, Param) or not is_named(param):
            continue
        module, _, last = param.name.rpartition(".")
        if last == attr and module.startswith(prefix):
            return module[len(prefix) :]
    return ""
