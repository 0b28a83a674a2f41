"""Dead code: nodes and parameters that no output needs."""

from __future__ import annotations

from ..ir import Graph, Node, Value
from ..ir.blocks import binds, blocks, reads
from ..ir.graph import Param


def dce(graph: Graph) -> bool:
    """Drop nodes that no output needs, and parameters that no node reads."""
    before = len(graph.nodes), len(graph.params)
    changed = trim_blocks(graph)
    live = sweep(graph)
    graph.params = {name: p for name, p in graph.params.items() if p in live}
    return changed or (len(graph.nodes), len(graph.params)) != before


def sweep(graph: Graph) -> set[Value]:
    """Drop nodes that no output needs; the values that are left in use."""
    live: set[Value] = set(graph.outputs)
    kept: list[Node] = []
    sizes: set[str] = set()
    bound = any(n.row.binds for n in graph.nodes)
    for node in reversed(graph.nodes):
        if any(r in live for r in node.results) or not sizes.isdisjoint(binds(node)):
            live.update(node.values)
            kept.append(node)
            if bound:
                sizes |= reads(node)
    graph.nodes = kept[::-1]
    _forget_names(graph, live)
    return live


def trim_blocks(graph: Graph) -> bool:
    """Drop operands that no block of their node reads."""
    changed = False
    for node in graph.nodes:
        inner = blocks(node)
        used = set().union(*map(_read, inner))
        for place in reversed(range(len(inner[0].inputs) if inner else 0)):
            if node.op == "loop" and place < node["state"]:
                continue
            if not any(block.inputs[place] in used for block in inner):
                del node.operands[len(node.operands) - len(inner[0].inputs) + place]
                for block in inner:
                    del block.arguments[place]
                changed = True
    return changed


def _read(graph: Graph) -> set[Value]:
    return {v for node in graph.nodes for v in node.values} | set(graph.outputs)


def _forget_names(graph: Graph, live: set[Value]) -> None:
    """Argument names of values that are gone go too."""
    defined = {r for n in graph.nodes for r in n.results} | set(graph.inputs)
    for scope in graph.scopes():
        gone = [
            v for v in scope.names if v not in defined and not (isinstance(v, Param) and v in live)
        ]
        for value in gone:
            del scope.names[value]
