"""Linear layers side by side that read one value become one layer and a split (-O2)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from ..ir import Graph, Node, Param, Scope, Value
from ..ir.graph import joined
from ..ir.recipe import Concatenate, Zeros
from .dce import dce
from .make_params import Uses, owner, put_all, used_once
from .rebuild import make_node
from .record import Log, applies, entry

Group = list[Node]


@dataclass(frozen=True)
class Merged:
    """A group, and the layer and the split that take its place."""

    group: Group
    params: list[Param]
    layer: Node
    split: Node


def merge_linears(graph: Graph, log: Log | None = None) -> bool:
    """q_proj, k_proj and v_proj of one value become qkv_proj: their weights are stacked.

    They must be modules of one module, each called once, with weights of their own.
    """
    log = log if log is not None else []
    uses, taken = graph.uses(), _paths(graph.params)
    merged: list[Merged] = []
    for group in _siblings(graph):
        name = _name([_last(n) for n in group])
        reason = _refusal(graph, group, name, uses, taken)
        log.append(entry("merge_linears", group[0], reason))
        if reason is None and applies("merge_linears", group[0]):
            merged.append(_merge(group, name))
            taken.add(_path(group[0], name))
    if merged:
        _place(graph, merged)
        dce(graph)
    return bool(merged)


def _paths(params: Iterable[str]) -> set[str]:
    """Every parameter's and every module's path that has one."""
    return {
        ".".join(parts[:end])
        for parts in (name.split(".") for name in params)
        for end in range(1, len(parts) + 1)
    }


def _siblings(graph: Graph) -> list[Group]:
    """Linear layers by the value that they read and the module that holds them."""
    alone: dict[Scope, int] = {}
    for node in graph.nodes:
        for scope in node.scope.chain():
            alone[scope] = alone.get(scope, 0) + 1
    found: dict[tuple[Value, Scope | None], Group] = {}
    for node in graph.nodes:
        if node.op == "linear" and alone[node.scope] == 1 and node.scope.parent is not None:
            found.setdefault((node.values[0], node.scope.parent), []).append(node)
    return [group for group in found.values() if len(group) > 1]


def _last(node: Node) -> str:
    return node.scope.path.rpartition(".")[2]


def _refusal(
    graph: Graph, group: Group, name: str, uses: Uses, taken: Container[str]
) -> str | None:
    weights = [n.operands[1] for n in group]
    biases = [n.operands[2] for n in group]
    for operand in (*weights, *(b for b in biases if b is not None)):
        if not used_once(operand, uses, graph.outputs):
            return "a weight is computed or used elsewhere"
    if any(owner(n.operands[1]) != n.scope.path for n in group):
        return "a weight belongs to another module"
    if any(n.type(1).dtype is not group[0].type(1).dtype for n in group):
        return "the weights differ in dtype"
    if _path(group[0], name) in taken:
        return f"there is a {name} already"
    return None


def _name(names: list[str]) -> str:
    """q_proj, k_proj, v_proj: qkv_proj. gate_proj, up_proj: gate_up_proj. to_q, to_k: to_qk."""
    if all(n.isdigit() for n in names):
        return "merged"
    start = _whole(_common(names), -1)
    end = _whole(_common([n[len(start) :][::-1] for n in names])[::-1], 0)
    inner = [n[len(start) : len(n) - len(end)] for n in names]
    glue = "" if all(len(part) == 1 and part.isalpha() for part in inner) else "_"
    return start + glue.join(part.strip("_") for part in inner) + end


def _common(names: list[str]) -> str:
    """The letters that all names begin with."""
    equal = [len(set(letters)) == 1 for letters in zip(*names, strict=False)]
    return names[0][: [*equal, False].index(False)]


def _whole(common: str, side: int) -> str:
    """The common letters up to an underscore: a part of a word is not shared."""
    if "_" not in common:
        return ""
    return common[: common.rindex("_") + 1] if side else common[common.index("_") :]


def _path(node: Node, name: str) -> str:
    return ".".join([*node.scope.path.split(".")[:-1], name])


def _merge(group: Group, name: str) -> Merged:
    first = group[0]
    scope = Scope(_path(first, name), first.scope.cls, first.scope.parent)
    params = [
        _stacked(group, place, f"{scope.path}.{attr}")
        for place, attr in ((1, "weight"), (2, "bias"))
        if any(n.operands[place] is not None for n in group)
    ]
    bias = params[1] if len(params) > 1 else None
    layer = make_node("linear", [first.operands[0], params[0], bias], {}, first, scope, hint="")
    layer.by = (*first.by, "merge_linears")
    layer.source = joined(n.source for n in group)
    sizes = tuple(n.out.tensor.shape[-1] for n in group)
    attrs = {"sizes": sizes, "axis": layer.out.tensor.rank - 1}
    split = make_node("split", [layer.out], attrs, first, first.scope.parent, hint="")
    split.by = layer.by
    for part, node in zip(split.results, group, strict=True):
        part.hint = node.out.hint or _role(_last(node))
    return Merged(group, params, layer, split)


def _place(graph: Graph, merged: Sequence[Merged]) -> None:
    """Put the layers where the first of each group was, in one walk of the graph."""
    put_all(graph, {str(owner(m.group[0].operands[1])) + ".weight": m.params for m in merged})
    placed: dict[Node, list[Node]] = {n: [] for m in merged for n in m.group}
    placed |= {m.group[0]: [m.layer, m.split] for m in merged}
    graph.nodes = [new for n in graph.nodes for new in placed.get(n, [n])]
    graph.replace({n.out: p for m in merged for n, p in zip(m.group, m.split.results, strict=True)})


_ROLES = {"q": "queries", "k": "keys", "v": "values"}


def _role(name: str) -> str:
    """What a layer's result is called where the source has no name for it."""
    plain = name.removesuffix("_proj").removeprefix("to_").removesuffix("_lin")
    return _ROLES.get(plain, plain)


def _stacked(group: Group, place: int, name: str) -> Param:
    """The operands below each other; where one layer has no bias, zeros."""
    parts = [n.operands[place] for n in group]
    sizes = [int(str(n.out.tensor.shape[-1])) for n in group]
    like = next(p for p in parts if isinstance(p, Param)).tensor
    recipes = tuple(
        p.recipe if isinstance(p, Param) else Zeros((size,), like.dtype)
        for p, size in zip(parts, sizes, strict=True)
    )
    return Param(name, like.with_shape(sum(sizes), *like.shape[1:]), Concatenate(recipes, 0))
