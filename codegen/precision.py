"""Parameters that stay float32 whatever the weights are stored as: the angles of rotary embeddings.

MLX turns by float32 angles and gives the dtype of what is turned, so such a table costs nothing in
half precision and would lose all precision there (angles go up to the position).
"""

from __future__ import annotations

from ..ir import Graph, Node, Value

FREQS = 1  # the operand of `rope`


def precise_parameters(graph: Graph) -> set[str]:
    """The names of parameters that nothing but the angles of rotary embeddings reads."""
    uses = graph.uses()
    outputs = set(graph.outputs)
    known: dict[Value, bool] = {}

    def only_turns(value: Value) -> bool:
        if value not in known:
            users = uses.get(value, [])
            known[value] = (
                bool(users)
                and value not in outputs
                and all(
                    _turns(node, place)
                    or (node.op != "rope" and all(map(only_turns, node.results)))
                    for node, place in users
                )
            )
        return known[value]

    return {name for name, p in graph.params.items() if p.tensor.dtype.is_float and only_turns(p)}


def _turns(node: Node, place: int) -> bool:
    return node.op == "rope" and place == FREQS
