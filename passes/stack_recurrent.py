"""Recurrent layers as frameworks have them: stacked, from zeros, with the batch first.

Files that hold one layer a node (ONNX) run one after the other, give the states of each, and turn
the batch to the second axis around them.
"""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Node, Value
from .dce import sweep
from .index_analysis import Analysis
from .rebuild import make_node, producer
from .record import applies
from .recurrent_weights import name_weights

_STATES = {"lstm": 2, "gru": 1, "rnn": 1}
_TURN = (1, 0, 2)


def stack_recurrent(graph: Graph) -> bool:
    """Drop initial states of zeros, merge layers that feed each other, put the batch first.

    Then weights get torch's names, as recipes over what the file has.
    """
    found = [_drop_zeros(graph), _stack(graph), _batch_first(graph)]
    found.append(name_weights(graph, _layers(graph), _STATES))
    if any(found):
        sweep(graph)
    return any(found)


def _layers(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes if n.op in _STATES]


def _states(node: Node) -> list[Any]:
    return node.operands[1 : 1 + _STATES[node.op]]


def lengths_of(node: Node) -> Value | None:
    """The lengths of the rows that a recurrent layer runs over; None for other nodes, too."""
    found = node.operands[1 + _STATES[node.op]] if node.op in _STATES else None
    return found if isinstance(found, Value) else None


# ---- initial states


def _drop_zeros(graph: Graph) -> bool:
    analysis, changed = Analysis(), False
    for node in _layers(graph):
        states = _states(node)
        zero = all(isinstance(s, Value) and analysis.constant(s) == 0 for s in states)
        if zero and applies("zero_state", node):
            node.operands[1 : 1 + len(states)] = [None] * len(states)
            changed = True
    return changed


# ---- stacks


def _stack(graph: Graph) -> bool:
    """Merge pairs until none is left."""
    changed = False
    while (pair := _pair(graph)) is not None and applies("stack_layers", pair[1]):
        _merge(graph, *pair)
        changed = True
    return changed


def _pair(graph: Graph) -> tuple[Node, Node] | None:
    uses, outputs = graph.uses(), set(graph.outputs)
    place = {n: i for i, n in enumerate(graph.nodes)}
    for upper in _layers(graph):
        lower = producer(upper.operands[0], upper.op, scope=upper.scope)
        if lower is None or upper.operands[0] is not lower.results[0]:
            continue
        alone = len(uses[lower.results[0]]) == 1 and lower.results[0] not in outputs
        early = [
            u for v in lower.results[1:] for u, _ in uses.get(v, ()) if place[u] < place[upper]
        ]
        if alone and not early and _alike(lower, upper):
            return lower, upper
    return None


def _alike(lower: Node, upper: Node) -> bool:
    """Whether one layer may hold both: options, hidden sizes, states given to both or to none."""
    same = all(v == upper[k] for k, v in lower.attrs.items() if k != "layers")
    given = [[s is not None for s in _states(n)] for n in (lower, upper)]
    sizes = [[v.tensor.shape[-1] for v in n.results[1:]] for n in (lower, upper)]
    ends = lengths_of(lower) is lengths_of(upper)
    return same and ends and given[0] == given[1] and sizes[0] == sizes[1]


def _merge(graph: Graph, lower: Node, upper: Node) -> None:
    """One node in the place of the upper one; states stand below each other on their first axis."""
    count, new = _STATES[upper.op], []
    states: list[Any] = []
    for a, b in zip(_states(lower), _states(upper), strict=True):
        if a is not None:
            new.append(make_node("concatenate", [a, b], {"axis": 0}, upper, hint=""))
        states.append(None if a is None else new[-1].out)
    weights = [*lower.operands[2 + count :], *upper.operands[2 + count :]]
    attrs = {**upper.attrs, "layers": lower["layers"] + upper["layers"]}
    operands = [lower.operands[0], *states, lengths_of(upper), *weights]
    node = make_node(upper.op, operands, attrs, upper)
    new.append(node)
    replaced: dict[Value, Any] = {upper.results[0]: node.results[0]}
    for a, b, last in zip(lower.results[1:], upper.results[1:], node.results[1:], strict=True):
        middle = a.tensor.shape[0]
        for old, start, stop in ((a, 0, middle), (b, middle, None)):
            attrs = {"axis": 0, "start": start, "stop": stop}
            new.append(make_node("slice", [last], attrs, upper, hint=old.hint))
            replaced[old] = new[-1].out
    at = graph.nodes.index(upper)
    graph.nodes[at : at + 1] = new
    graph.nodes.remove(lower)
    graph.replace(replaced)
    sweep(graph)


# ---- batch first


def _batch_first(graph: Graph) -> bool:
    uses, outputs = graph.uses(), set(graph.outputs)
    changed = False
    for node in _layers(graph):
        out, before = node.results[0], producer(node.operands[0], "transpose")
        after = [u for u, _ in uses.get(out, ())]
        turned = all(u.op == "transpose" and u["axes"] == _TURN for u in after)
        if (
            before is not None
            and before["axes"] == _TURN
            and after
            and turned
            and out not in outputs
            and not node["batch_first"]
            and applies("batch_first", node)
        ):
            node.operands[0], node.attrs["batch_first"] = before.operands[0], True
            out.type = after[0].out.type
            graph.replace({u.out: out for u in after})
            graph.nodes = [n for n in graph.nodes if n not in after]
            changed = True
    return changed
