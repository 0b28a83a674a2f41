"""Weights that are named as if they were a layer's, which the layer does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..ir import Param

if TYPE_CHECKING:
    from .regions import Plan, Region


def move_strays(plan: Plan) -> bool:
    """Such weights become members of the class that holds the layer; whether there were any.

    The `dense.bias` that is added after something else came behind `dense` is no bias of an
    `nn.Linear`: the class has it as `dense_bias`.
    """
    layers = {r.path: r for r in plan.root.walk() if r.layer and not r.made}
    strays: dict[str, str] = {}
    for name, param in plan.graph.params.items():
        owner = next((p for p in _prefixes(name) if p in layers), None)
        if owner is not None and not _has(layers[owner], param):
            strays[name] = owner
    for name, owner in strays.items():
        _rename(plan, name, f"{owner}_{name[len(owner) + 1 :].replace('.', '_')}")
    if strays:
        plan.graph.params = {p.name: p for p in plan.graph.params.values()}
        plan.log += [f"{n} is no weight of the layer {owner}" for n, owner in strays.items()]
    return bool(strays)


def _prefixes(name: str) -> list[str]:
    """The module paths around a weight, the innermost first."""
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1)]


def _has(region: Region, param: Param) -> bool:
    return any(value is param for node in region.nodes() for value in node.values)


def _rename(plan: Plan, name: str, wanted: str) -> None:
    taken = {p.name for p in plan.graph.params.values()}
    taken |= {scope.path for scope in plan.graph.scopes()}
    while wanted in taken:
        wanted += "_"
    plan.graph.params[name].name = wanted
