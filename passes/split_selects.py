"""All indices of an axis that a reshape has parted off become a split."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node, Value
from ..ir.dims import Expr, product
from .dce import sweep
from .layout import Axes, compress, identity
from .rebuild import make_node
from .record import applies

Uses = dict[Value, list[tuple[Node, int]]]


def split_selects(graph: Graph) -> bool:
    """`x.reshape(B, L, 3, H, D)` read at 0, 1, 2 of its axis 2 is `split(x, 3)`, each viewed.

    A transpose may stand between the reshape and the indices; all must stand in one scope.
    """
    uses, outputs = graph.uses(), set(graph.outputs)
    replaced: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(node)
        if node.op == "reshape" and node.out not in outputs:
            new = _split(node, uses, outputs, replaced)
            nodes += new
    if replaced:
        gone = set(replaced)
        graph.nodes = [n for n in nodes if n.out not in gone]
        graph.replace(replaced)
        sweep(graph)
    return bool(replaced)


def _split(node: Node, uses: Uses, outputs: set[Value], replaced: dict[Value, Value]) -> list[Node]:
    turn = _only_user(node, "transpose", uses)
    last = turn or node
    selects = _covering_selects(last, uses) if last.out not in outputs else None
    if not selects:
        return []
    axes = turn["axes"] if turn else identity(node.out.tensor.rank)
    place = axes[selects[0]["axis"]]
    end = _parted(node.type(0).shape, node.out.tensor.shape, place)
    if end is None or not applies("split_selects", node):
        return []
    shape = node.out.tensor.shape
    count, width = shape[place], product(shape[place + 1 : end])
    attrs = {"sizes": (width,) * int(str(count)), "axis": place}
    split = make_node("split", [node.operands[0]], attrs, node, hint="")
    new = [split]
    order = compress([a for a in axes if a != place])
    for part, select in zip(split.results, selects, strict=True):
        part.hint = select.out.hint
        replaced[select.out] = _viewed(
            part, (*shape[:place], *shape[place + 1 :]), order, select, new
        )
    return new


def _only_user(node: Node, op: str, uses: Uses) -> Node | None:
    users = uses.get(node.out, [])
    if len(users) != 1 or users[0][0].op != op or users[0][0].scope is not node.scope:
        return None
    return users[0][0]


def _covering_selects(node: Node, uses: Uses) -> list[Node] | None:
    """The indices in order, if they are all of one axis, once each, and nothing else reads."""
    users = [user for user, _ in uses.get(node.out, [])]
    if not users or any(u.op != "select" or u.scope is not node.scope for u in users):
        return None
    axis = users[0]["axis"]
    count = node.out.tensor.shape[axis]
    if not isinstance(count, int) or count < 2 or any(u["axis"] != axis for u in users):
        return None
    by_index = {u["index"] % count: u for u in users if isinstance(u["index"], int)}
    return [by_index[i] for i in range(count)] if len(by_index) == len(users) == count else None


def _parted(before: Sequence[int | Expr], after: Sequence[int | Expr], place: int) -> int | None:
    """The end of those axes of `after` that axis `place` of `before` was parted into."""
    if len(before) <= place or tuple(before[:place]) != tuple(after[:place]):
        return None
    for end in range(place + 2, len(after) + 1):
        if product(after[place:end]) == before[place]:
            return end if tuple(before[place + 1 :]) == tuple(after[end:]) else None
    return None


def _viewed(
    x: Value, shape: Sequence[int | Expr], order: Axes, like: Node, new: list[Node]
) -> Value:
    """The part in the shape that the index gave, transposed as it was."""
    if x.tensor.shape != tuple(shape):
        new.append(make_node("reshape", [x], {"shape": tuple(shape)}, like))
        x = new[-1].out
    if order != identity(len(order)):
        new.append(make_node("transpose", [x], {"axes": order}, like))
        x = new[-1].out
    return x
