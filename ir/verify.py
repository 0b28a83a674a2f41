"""The verifier: what every graph must satisfy between passes."""

from __future__ import annotations

from itertools import pairwise

from .blocks import binds, blocks, data_sizes, own_sizes, reads
from .draws import draws
from .graph import Graph, Node, Param, Value
from .op import InferError
from .types import Tensor


class VerifyError(Exception):
    """The graph is malformed: a bug of the frontend or pass that made it. Says where."""


def verify(graph: Graph) -> None:
    """Every value is defined before its use and has the type that its op's `infer` gives, and so
    is every size that depends on data; draws stand in their order. VerifyError otherwise.
    """
    _verify(graph, set(data_sizes(graph)))
    _check_draws(graph)


def _verify(graph: Graph, unknown: set[str]) -> None:
    """`unknown` are the sizes from data that no node before the graph has found out."""
    defined: set[Value] = set(graph.inputs)
    unknown = set(unknown)
    for param in graph.params.values():
        if not isinstance(param.type, Tensor) or any(
            not isinstance(d, int) for d in param.type.shape
        ):
            raise VerifyError(
                f"parameter {param.name} has the type {param.type}; its shape must be known"
            )
    for node in graph.nodes:
        _check_node(node, graph, defined)
        if unknown:
            _check_sizes(node, unknown)
        for block in blocks(node):
            _check_block(node, block, unknown)
        defined.update(node.results)
    for value in graph.outputs:
        if value not in defined and graph.params.get(getattr(value, "name", "")) is not value:
            raise VerifyError(f"the graph returns {value!r}, which nothing defines")


def _check_sizes(node: Node, unknown: set[str]) -> None:
    """Sizes that depend on data are found out once, before their use."""
    early = sorted(reads(node) & unknown)
    if early:
        raise VerifyError(f"{_where(node)}: the size {early[0]} is not known there")
    again = [name for name in binds(node) if name not in unknown]
    if again:
        raise VerifyError(f"{_where(node)}: the size {again[0]} is known already")
    unknown.difference_update(binds(node))


def _check_draws(graph: Graph) -> None:
    """No draw is there twice, and none before an earlier one."""
    found = draws(graph)
    for before, after in pairwise(found):
        if before["draw"] >= after["draw"]:
            raise VerifyError(
                f"{_where(after)}: draw {after['draw']} comes after draw {before['draw']}"
            )


def _check_block(node: Node, block: Graph, unknown: set[str]) -> None:
    if block.params or not isinstance(block.result, tuple):
        raise VerifyError(f"{_where(node)}: a block has parameters, or one result that is no tuple")
    if len(block.outputs) != len(block.result):
        raise VerifyError(f"{_where(node)}: a block returns what is no value")
    _verify(block, unknown - set(own_sizes(node)))


def _where(node: Node) -> str:
    place = node.scope.path or "the root"
    return f"{node.op} in {place}" + (f" ({node.source.at})" if node.source else "")


def _check_node(node: Node, graph: Graph, defined: set[Value]) -> None:
    where = _where(node)
    if node.scope.chain()[0] is not graph.root:
        raise VerifyError(f"{where}: its scope is not in the graph's scope tree")
    for operand in node.values:
        if isinstance(operand, Param):
            if graph.params.get(operand.name) is not operand:
                raise VerifyError(
                    f"{where}: reads the parameter {operand.name}, which the graph does not list"
                )
        elif operand not in defined:
            raise VerifyError(f"{where}: reads {operand!r} before anything defines it")
    try:
        attrs = node.row.complete(node.attrs)
        types = node.row.infer_types(
            [o.type if isinstance(o, Value) else o for o in node.operands], attrs
        )
    except InferError as error:
        raise VerifyError(f"{where}: {error}") from None
    if types != [r.type for r in node.results]:
        found = ", ".join(str(r.type) for r in node.results)
        raise VerifyError(
            f"{where}: has the type {found}, its operands give {', '.join(map(str, types))}"
        )
