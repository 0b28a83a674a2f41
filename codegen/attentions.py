"""Where a graph attends: as one op, or written out because scores are capped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..ir import Graph, Node, Value

VIEWS = ("reshape", "transpose", "expand_dims", "squeeze", "cast", "slice", "broadcast_to")
Uses = dict[Value, list[tuple[Node, int]]]


class Attention(NamedTuple):
    """What an attention reads and gives by heads, `(B, heads, L, size)`.

    `weights` are `(B, heads, L, S)` where they are written out.
    """

    queries: Value
    keys: Value
    values: Value
    out: Value
    weights: Value | None = None


def attentions(graph: Graph) -> Iterator[Attention]:
    """Every attention of the graph."""
    uses: Uses | None = None
    for node in graph.nodes:
        if node.op == "attention":
            q, k, v = node.values[:3]
            yield Attention(q, k, v, node.out)
        elif node.op == "softmax" and node.out.tensor.rank >= 4:
            uses = graph.uses() if uses is None else uses
            if found := _composed(node, uses):
                yield found


def _composed(softmax: Node, uses: Uses) -> Attention | None:
    """An attention that is written out, as with soft caps."""
    product = _product_of(softmax.out, uses)
    scores = _made_of(softmax.values[0])
    if product is None or scores is None:
        return None
    q, k, v = [_by_heads(v) for v in (*scores, product.values[1])]
    out = _joined(product.out, uses)
    if q is None or k is None or v is None or out is None:
        return None
    shapes = [value.tensor.shape for value in (q, k, v, out)]
    fits = shapes[0][3] == shapes[1][3] and shapes[1][2] == shapes[2][2]
    weights = softmax.out if softmax.out.tensor.shape[:-1] == shapes[0][:-1] else None
    same = fits and shapes[0][1:3] == shapes[3][1:3]
    return Attention(q, k, v, out, weights) if same else None


def _joined(value: Value, uses: Uses) -> Value | None:
    """The output by heads, where groups of them are joined behind the product."""
    users = uses.get(value, ())
    if value.tensor.rank == 4 or len(users) != 1 or users[0][0].op != "reshape":
        return value if value.tensor.rank == 4 else None
    out = users[0][0].out
    return out if out.tensor.rank == 4 else None


def _product_of(value: Value, uses: Uses) -> Node | None:
    """The product with the value, behind views."""
    for _ in range(8):
        users = uses.get(value, ())
        if len(users) != 1:
            return None
        node, place = users[0]
        if node.op == "matmul" and place == 0:
            return node
        if node.op not in VIEWS:
            return None
        value = node.out
    return None


def _made_of(value: Value) -> tuple[Value, Value] | None:
    """The factors of the product that scores are made of, by arithmetic and views."""
    for _ in range(16):
        node = value.node
        if node is None:
            return None
        if node.op == "matmul":
            return node.values[0], node.values[1]
        alike = [v for v in node.values if v.tensor.rank >= 4]
        if (not node.row.elementwise and node.op not in VIEWS) or not alike:
            return None
        value = alike[0]
    return None


def _by_heads(value: Value) -> Value | None:
    """The value as `(B, heads, L, size)`, where views spread heads over groups, or turn keys."""
    for _ in range(8):
        node = value.node
        if node is None:
            return None
        heads_first = node.op == "transpose" and node["axes"] == (0, 2, 1, 3)
        if value.tensor.rank == 4 and (heads_first or node.op not in VIEWS):
            return value
        if node.op not in VIEWS:
            return None
        value = node.values[0]
    return None
