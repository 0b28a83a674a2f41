"""The draws of a graph: nodes that make random numbers, in the order in which they run."""

from __future__ import annotations

from .blocks import all_nodes, blocks
from .graph import Graph, Node, Value


def draws(graph: Graph) -> list[Node]:
    """The nodes that draw, those in blocks where the blocks stand."""
    return [node for node in all_nodes(graph) if node.row.random]


def number_draws(graph: Graph) -> int:
    """Give every draw its number; how many there are. Whoever makes a graph does it once."""
    found = draws(graph)
    for number, node in enumerate(found):
        node.attrs["draw"] = number
    return len(found)


def draws_inside(node: Node) -> bool:
    """Whether running the node draws: itself, or in its blocks."""
    return node.row.random or any(draws(block) for block in blocks(node))


def repeated_draws(graph: Graph) -> bool:
    """Whether blocks draw: how often, the data may decide."""
    return any(not node.row.random and draws_inside(node) for node in graph.nodes)


def drawn_values(graph: Graph) -> set[Value]:
    """The values that depend on random numbers."""
    found: set[Value] = set()
    for node in graph.nodes:
        if draws_inside(node) or not found.isdisjoint(node.values):
            found.update(node.results)
    return found
