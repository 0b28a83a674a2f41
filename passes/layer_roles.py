"""What layers do, read off the data around them: rows that name some of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ..ir import Graph, Node, Value
from .find_units import ACTIVATIONS, NORMS

Named = Iterator[tuple[Node, str]]
_VIEWS = frozenset(
    ["reshape", "transpose", "expand_dims", "squeeze", "cast", "slice", "split", "select"]
)
_FAR = 64  # nodes that are looked at to find where an operand comes from


class Context:
    """The graph with the users of its nodes."""

    def __init__(self, graph: Graph):
        self.graph, self.nodes = graph, graph.nodes
        self.users: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            for value in node.values:
                if value.node is not None:
                    self.users.setdefault(value.node, []).append(node)

    def before(self, value: Value, ops: frozenset[str], scope: object) -> list[Node]:
        """The nearest nodes with these ops that the value is made by, within a scope."""
        found: dict[Node, None] = {}
        seen: set[Node] = set()
        waiting = [value.node]
        while waiting and len(seen) < _FAR:
            node = waiting.pop(0)
            if node is None or node in seen or scope not in node.scope.chain():
                continue
            seen.add(node)
            if node.op in ops:
                found[node] = None
            else:
                waiting += [v.node for v in node.values]
        return list(found)

    def after(self, node: Node, op: str) -> Node | None:
        """The node with that op that the result goes to, through views alone."""
        for _ in range(_FAR):
            users = self.users.get(node, [])
            if len(users) != 1:
                return None
            node = users[0]
            if node.op == op:
                return node
            if node.op not in _VIEWS:
                return None
        return None


_LINEAR = frozenset(["linear"])


def attention(context: Context) -> Named:
    """Projections of queries, keys and values, norms of these, and the projection behind."""
    for node in context.nodes:
        if node.op != "attention":
            continue
        made = [context.before(v, _LINEAR, node.scope) for v in node.values[:3]]
        for linears, name in zip(made, ("q_proj", "k_proj", "v_proj"), strict=True):
            for linear in linears:
                several = sum(linear in other for other in made)
                yield linear, {1: name, 2: "kv_proj", 3: "qkv_proj"}[several]
        for value, name in zip(node.values[:2], ("q_norm", "k_norm"), strict=True):
            for norm in context.before(value, NORMS | _LINEAR, node.scope):
                if norm.op in NORMS:
                    yield norm, name
        out = context.after(node, "linear")
        if out is not None:
            yield out, "o_proj"


def gates(context: Context) -> Named:
    """Two projections whose results are multiplied, one of them behind an activation."""
    for node in context.nodes:
        sides = [v.node for v in node.values]
        if node.op not in ("multiply", "swiglu") or len(sides) != 2:
            continue
        gates = [s for s in sides if s is not None and _gated(s)]
        if len(gates) != 1:
            continue
        other = sides[1] if sides[0] is gates[0] else sides[0]
        gate = context.before(gates[0].out, _LINEAR, node.scope)
        up = context.before(other.out, _LINEAR, node.scope) if other is not None else []
        if len(gate) != 1 or len(up) != 1:
            continue
        if gate[0] is up[0]:
            yield gate[0], "gate_up_proj"
        elif gate[0].values[0] is up[0].values[0]:
            yield gate[0], "gate_proj"
            yield up[0], "up_proj"
        down = context.after(node, "linear")
        if down is not None:
            yield down, "down_proj"


def _gated(node: Node) -> bool:
    return node.op in ACTIVATIONS or (node.op == "multiply" and len(set(node.values)) == 2)


def feed_forward(context: Context) -> Named:
    """The layers of an MLP, in order."""
    for node in context.nodes:
        if node.op == "linear" and node.scope.cls == "MLP":
            yield node, "fc"


_BEFORE = {"Attention": "attention_norm", "CrossAttention": "cross_attention_norm",
           "MLP": "mlp_norm"}  # fmt: skip


def norms(context: Context) -> Named:
    """A norm in front of a part, or behind the sum that a part goes into."""
    for node in context.nodes:
        if node.op not in NORMS or node.scope.cls in _BEFORE:
            continue
        readers = {_BEFORE[u.scope.cls] for u in _inner(context, node) if u.scope.cls in _BEFORE}
        behind = _behind(context, node)
        if behind is not None:
            yield node, _BEFORE[behind]
        elif len(readers) == 1:
            yield node, readers.pop()


def _inner(context: Context, node: Node) -> list[Node]:
    return [u for u in context.users.get(node, []) if u.scope.parent is node.scope]


def _behind(context: Context, node: Node) -> str | None:
    """The class of the part whose sum the norm is of, where nothing else reads the sum."""
    total = node.values[0].node
    if total is None or total.op != "add" or total.scope is not node.scope:
        return None
    if len(context.users[total]) > 1:
        return None
    made = [v.node.scope.cls for v in total.values if v.node and v.node.scope.cls in _BEFORE]
    return made[0] if len(made) == 1 else None


def shortcuts(context: Context) -> Named:
    """A convolution beside the others of a residual block."""
    for node in context.nodes:
        if node.op != "add" or node.scope.cls != "ResidualBlock" or len(node.values) != 2:
            continue
        sides = [_straight(v, node) for v in node.values]
        if None in sides or len({len(s or ()) for s in sides}) != 2:
            continue
        short = min((s for s in sides if s is not None), key=len)
        for layer in short:
            if layer.op == "conv":
                yield layer, "downsample"
            elif layer.op in NORMS:
                yield layer, "downsample_norm"


def _straight(value: Value, joint: Node) -> list[Node] | None:
    """The nodes of the scope in a row that make the value; None where it is none."""
    row: list[Node] = []
    while value.node is not None and value.node.scope is joint.scope and len(row) < _FAR:
        row.append(value.node)
        if not value.node.values:
            break
        value = value.node.values[0]
    return row if any(n.op == "conv" for n in row) else None


def tables(context: Context) -> Named:
    """What an embedding looks up: named after the input, or positions."""
    found = [n for n in context.nodes if n.op == "embedding"]
    for node in found:
        name = _looked_up(node, {v: k for k, v in context.graph.arguments if isinstance(v, Value)})
        alone = sum(n.scope is node.scope for n in found) == 1
        if name == "word_embeddings" and alone and not node.scope.path:
            name = "embed_tokens"
        if name:
            yield node, name


def _looked_up(node: Node, inputs: dict[Value, str]) -> str:
    index = node.values[1] if len(node.values) > 1 else None
    while index is not None and index.node is not None and index.node.op in _VIEWS:
        index = index.node.values[0]
    name = inputs.get(index, "") if index is not None else ""
    if not name:
        return "position_embeddings"
    if "position" in name:
        return "position_embeddings"
    stem = re.sub(r"(_?(ids?|tokens?|index|indices))+$", "", name)
    if re.search("type|segment", name):
        return "token_type_embeddings"
    return (
        "word_embeddings" if stem in ("", "input", "decoder_input", "x") else f"{stem}_embeddings"
    )


def heads(context: Context) -> Named:
    """The last layer of the model: a language model's where it goes back to the vocabulary."""
    for value in context.graph.outputs:
        node = value.node
        activation = ""
        while node is not None and (node.op in _VIEWS or node.op in ACTIVATIONS):
            activation = node.op if node.op in ACTIVATIONS else activation
            node = node.values[0].node
        if node is None or node.op != "linear" or node.scope.path:
            continue
        sizes = {n.values[0].tensor.shape[0] for n in context.nodes if n.op == "embedding"}
        words = node.out.tensor.rank == 3 and node.out.tensor.shape[-1] in sizes
        yield node, "lm_head" if words else "pooler" if activation == "tanh" else "head"


RULES: tuple[Callable[[Context], Named], ...] = (
    attention, gates, feed_forward, norms, shortcuts, tables, heads,
)  # fmt: skip
