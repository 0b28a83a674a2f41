"""Parameters made of others: what the passes share that merge and fold weights."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from ..ir import DType, Graph, Node, Param, Value
from ..ir.graph import Operand
from ..ir.recipe import Add, Cast, Multiply, Product, Recipe, Reshape
from ..ir.types import Tensor

Uses = dict[Value, list[tuple[Node, int]]]


def recipe_of(param: Param) -> Recipe:
    """The recipe in at least float32, in which weights are folded."""
    half = param.tensor.dtype in (DType.f16, DType.bf16)
    return Cast(param.recipe, DType.f32) if half else param.recipe


def made(name: str, like: Tensor, shape: Sequence[int], recipe: Recipe) -> Param:
    """A parameter of that dtype; the recipe computes in `recipe_of`'s."""
    half = like.dtype in (DType.f16, DType.bf16)
    return Param(
        name, Tensor(like.dtype, tuple(shape)), Cast(recipe, like.dtype) if half else recipe
    )


def scaled_rows(weight: Recipe, scale: Recipe, rank: int) -> Recipe:
    """The weight [O, ...] times a factor [O]."""
    column = Reshape(scale, (-1, *(1 for _ in range(rank - 1)))) if rank > 1 else scale
    return Multiply(weight, column)


def shifted(weight: Recipe, shift: Recipe, bias: Recipe | None) -> Recipe:
    """The bias of a layer whose input was shifted: weight @ shift + bias."""
    product = Product(weight, shift)
    return product if bias is None else Add(product, bias)


def owner(param: Operand) -> str | None:
    """The module path of a parameter called `weight` there."""
    if not isinstance(param, Param) or not param.name.endswith(".weight"):
        return None
    return param.name.removesuffix(".weight")


def bias_name(weight: Operand, bias: Operand, known: Container[str]) -> str | None:
    """What the bias of a layer is called: as it is, or `bias` beside the weight if that is free."""
    if isinstance(bias, Param):
        return bias.name
    path = owner(weight)
    return None if path is None or f"{path}.bias" in known else f"{path}.bias"


def used_once(param: Operand, uses: Uses, outputs: Iterable[Value]) -> bool:
    """Whether the operand is a parameter that one operand of one node reads."""
    return isinstance(param, Param) and len(uses.get(param, ())) == 1 and param not in set(outputs)


def put(graph: Graph, new: Sequence[Param], after: str) -> None:
    """Add the parameters, new ones behind the one of that name: attributes keep their order."""
    put_all(graph, {after: new})


def put_all(graph: Graph, new: Mapping[str, Sequence[Param]]) -> None:
    """Add parameters behind those of several names."""
    params: dict[str, Param] = {}
    for name, param in graph.params.items():
        params[name] = param
        params.update((p.name, p) for p in new.get(name, ()) if p.name not in graph.params)
    params.update((p.name, p) for ps in new.values() for p in ps)
    graph.params = params
