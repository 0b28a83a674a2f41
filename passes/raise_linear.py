"""Products with a parameter become `linear`, the layer that they are."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Param, Value
from .rebuild import Rebuild
from .rewrite import Bind, Is, Log, Match, Rewrite, rewrite

_TRANSPOSED = Is("transpose", (Bind("weight"),), name="turned")


def _guard_transposed(match: Match) -> str | None:
    weight = match["weight"]
    if not isinstance(weight, Param) or weight.tensor.rank != 2:
        return "the weight is no parameter of rank 2"
    return None


def _build_transposed(out: Rebuild, match: Match, like: Node) -> Any:
    return out.emit("linear", match["x"], match["weight"], None, like=like)


def _is_bias(bias: Any, result: Value) -> bool:
    return isinstance(bias, Param) and bias.tensor.shape == result.tensor.shape[-1:]


def _guard_bias(match: Match) -> str | None:
    layer = match["layer"]
    if layer.operands[2] is not None:
        return "the layer has a bias already"
    if not _is_bias(match["bias"], layer.out):
        return "what is added is no bias"
    return None if layer.scope is match.root.scope else "the bias belongs to another module"


def _build_bias(out: Rebuild, match: Match, like: Node) -> Any:
    x, weight, _ = match["layer"].operands
    return out.emit("linear", x, weight, match["bias"], like=like)


def _guard_product(single: set[Value]) -> Any:
    def guard(match: Match) -> str | None:
        weight, product = match["weight"], match["product"]
        if not isinstance(weight, Param) or weight.tensor.rank != 2:
            return "the weight is no parameter of rank 2"
        if not _is_bias(match["bias"], product.out):
            return "what is added is no bias"
        return None if weight in single else "the weight is used elsewhere, in its own layout"

    return guard


def _build_product(out: Rebuild, match: Match, like: Node) -> Any:
    weight = out.emit("transpose", match["weight"], like=like, hint="", axes=(1, 0))
    return out.emit("linear", match["x"], weight, match["bias"], like=like)


def raise_linear(graph: Graph, log: Log | None = None) -> bool:
    """x @ W.T and x @ W + b, with parameters, become linear layers."""
    single = {value for value, uses in graph.uses().items() if len(uses) == 1}
    rows = [
        Rewrite(
            "linear", Is("matmul", (Bind("x"), _TRANSPOSED)), _guard_transposed, _build_transposed
        ),
        Rewrite(
            "linear_bias",
            Is("add", (Is("linear", (Bind("x"), Bind("weight")), name="layer"), Bind("bias"))),
            _guard_bias,
            _build_bias,
        ),
        Rewrite(
            "addmm",
            Is("add", (Is("matmul", (Bind("x"), Bind("weight")), name="product"), Bind("bias"))),
            _guard_product(single),
            _build_product,
        ),
    ]
    return rewrite(graph, rows, log)
