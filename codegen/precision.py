"""Parameters that stay float32 whatever the weights are stored as: the angles of rotary embeddings.

MLX turns by float32 angles and gives the dtype of what is turned, so such a table costs nothing in
half precision and would lose all precision there (angles go up to the position).
"""

from __future__ import annotations

from ..ir import Graph, Node, Value

FREQS = 1  # the operand of `rope`


def precise_parameters(graph: Graph) -> set[str]:
    """The names of parameters that nothing but the angles of rotary embeddings reads."""
    read: set[Value] = set()
    otherwise = set(graph.outputs)

    def only_turns(value: Value) -> bool:
        return value in read and value not in otherwise

    for node in reversed(graph.nodes):  # readers first
        leads = node.op != "rope" and all(map(only_turns, node.results))
        for place, operand in enumerate(node.operands):
            if isinstance(operand, Value):
                read.add(operand)
                if not leads and not _turns(node, place):
                    otherwise.add(operand)
    return {name for name, p in graph.params.items() if p.tensor.dtype.is_float and only_turns(p)}


def _turns(node: Node, place: int) -> bool:
    return node.op == "rope" and place == FREQS
