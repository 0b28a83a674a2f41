"""What a group of nodes is, by what it holds: attention, a feed-forward part, convolutions."""

from __future__ import annotations

from collections.abc import Iterator

from .find_units import NORMS, Unit
from .flow_tree import FlowTree

# The first row whose ops a group has says its role.
ROLES: tuple[tuple[str, frozenset[str]], ...] = (
    ("attention", frozenset(["attention", "softmax"])),
    ("conv", frozenset(["conv", "conv_transpose"])),
    ("recurrent", frozenset(["lstm", "gru", "rnn"])),
    ("linear", frozenset(["linear", "matmul"])),
)


def role_of(ops: set[str]) -> str:
    return next((role for role, names in ROLES if ops & names), "")


def parts_of(unit: Unit, tree: FlowTree) -> Iterator[tuple[str, str, list[int]]]:
    """(name, class, nodes) of the parts of a unit: what is connected once its sums are away.

    The norms in front of the parts, the residual sums and the activation behind stay outside.
    """
    glue = _glue(unit, tree)
    for nodes in _connected([i for i in unit.nodes if i not in glue], tree):
        ops = {tree.nodes[i].op for i in nodes}
        weights = sum(bool(tree.weights[i]) for i in nodes)
        if weights < 2:
            continue
        if role_of(ops) == "attention":
            cross = _is_cross(nodes, glue, unit, tree)
            yield (
                "cross_attn" if cross else "self_attn",
                "CrossAttention" if cross else "Attention",
                nodes,
            )
        elif role_of(ops) == "linear":
            yield "mlp", "MLP", nodes


def _glue(unit: Unit, tree: FlowTree) -> set[int]:
    """Norms of the incoming value, the sums at the end, and what follows them."""
    inside = set(unit.nodes)
    glue = {i for i in unit.nodes if i > unit.joint}
    entry = {unit.entry}
    for i in unit.nodes:
        if tree.nodes[i].op in NORMS and set(tree.operands(i)) <= entry:
            glue.add(i)
    waiting = [unit.joint]
    while waiting:
        i = waiting.pop()
        makers = tree.operands(i)
        sums = tree.nodes[i].op == "add" and len(tree.nodes[i].values) == 2
        if i in inside and sums and (i == unit.joint or unit.entry in makers):
            glue.add(i)
            waiting += makers
    return glue


def _connected(nodes: list[int], tree: FlowTree) -> list[list[int]]:
    """The nodes in groups that data flows within."""
    group = {i: i for i in nodes}

    def find(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for i in nodes:
        for maker in tree.operands(i):
            if maker in group:
                group[find(maker)] = find(i)
    found: dict[int, list[int]] = {}
    for i in nodes:
        found.setdefault(find(i), []).append(i)
    return list(found.values())


def _is_cross(nodes: list[int], glue: set[int], unit: Unit, tree: FlowTree) -> bool:
    """Whether keys come from elsewhere than the value that the unit works on."""
    inside = set(nodes)
    own = {*glue, unit.entry}
    for i in nodes:
        node = tree.nodes[i]
        if node.op != "attention" or len(node.values) < 2:
            continue
        maker = tree.maker.get(node.values[1])
        waiting = [maker] if maker is not None else []
        seen: set[int] = set()
        while waiting:
            at = waiting.pop()
            if at in own:
                return False
            if at in inside and at not in seen:
                seen.add(at)
                waiting += tree.operands(at)
        return bool(seen) or maker is not None
    return False
