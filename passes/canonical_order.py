"""An order of the nodes that depends on the flow of data alone, not on the order in the file."""

from __future__ import annotations

from ..ir import Graph, Node
from ..ir.draws import draws


def canonical_order(graph: Graph) -> list[Node]:
    """Every node after what it needs, in the order of its operands; back from the outputs.

    What the outputs do not need comes last, in the order it has. Sizes that a node finds out are
    no operands, nor is the order of draws: where there are such, all nodes stay where they are.
    """
    if any(node.row.binds for node in graph.nodes) or draws(graph):
        return list(graph.nodes)
    known = set(graph.nodes)
    done: dict[Node, None] = {}
    ends = [v.node for v in graph.outputs if v.node is not None]
    for end in [*ends, *graph.nodes]:
        waiting: list[tuple[Node, bool]] = [(end, False)]
        while waiting:
            node, ready = waiting.pop()
            if node in done or node not in known:
                continue
            if ready:
                done[node] = None
                continue
            waiting.append((node, True))
            needed = [v.node for v in node.values if v.node is not None]
            waiting += [(n, False) for n in reversed(needed) if n not in done]
    return list(done)
