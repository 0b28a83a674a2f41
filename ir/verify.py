"""The verifier: what every graph must satisfy between passes."""

from __future__ import annotations

from .graph import Graph, Node, Param, Value
from .op import InferError
from .types import Tensor


class VerifyError(Exception):
    """The graph is malformed: a bug of the frontend or pass that made it. Says where."""


def verify(graph: Graph) -> None:
    """Every value is defined before its use and has the type that its op's `infer` gives;
    VerifyError otherwise.
    """
    defined: set[Value] = set(graph.inputs)
    for param in graph.params.values():
        if not isinstance(param.type, Tensor) or any(
            not isinstance(d, int) for d in param.type.shape
        ):
            raise VerifyError(
                f"parameter {param.name} has the type {param.type}; its shape must be known"
            )
    for node in graph.nodes:
        _check_node(node, graph, defined)
        defined.update(node.results)
    for value in graph.outputs:
        if value not in defined and graph.params.get(getattr(value, "name", "")) is not value:
            raise VerifyError(f"the graph returns {value!r}, which nothing defines")


def _check_node(node: Node, graph: Graph, defined: set[Value]) -> None:
    where = f"{node.op} in {node.scope.path or 'the root'}" + (
        f" ({node.source.at})" if node.source else ""
    )
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
