"""Which constant sizes are one and the same width, found by following the data.

The hidden size of a residual stream is the size of the embedding, of every norm and of one side of
many linears because values flow from one to the other, not because the numbers are equal. Sizes are
joined where an op ties them; a reshape that splits an axis records that the whole is a product of
its parts, a split into equal parts that it is so many times one of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from ..ir import Graph, Node, Param, Value
from ..ir.blocks import all_nodes, blocks
from .attentions import attentions

Element = Hashable  # (value, axis), or any other key that a slot stands for


class Widths:
    """Union-find over sizes. `find` gives the representative of a size's class."""

    def __init__(self) -> None:
        self._up: dict[Element, Element] = {}
        self.factors: dict[Element, tuple[Element, ...]] = {}
        self.multiples: dict[Element, tuple[int, Element]] = {}

    def find(self, element: Element) -> Element:
        root = element
        while self._up.get(root, root) != root:
            root = self._up[root]
        while self._up.get(element, element) != root:
            self._up[element], element = root, self._up[element]
        return root

    def join(self, a: Element, b: Element) -> None:
        a, b = self.find(a), self.find(b)
        if a != b:
            self._up[b] = a

    def product(self, element: Element) -> tuple[Element, ...] | None:
        """The parts whose product the size is, where a reshape split it."""
        root = self.find(element)
        for whole, parts in self.factors.items():
            if self.find(whole) == root:
                return parts
        return None

    def multiple(self, element: Element) -> tuple[int, Element] | None:
        """`(n, part)` where a split shows that the size is n times the part."""
        root = self.find(element)
        for whole, (count, part) in self.multiples.items():
            if self.find(whole) == root:
                return count, self.find(part)
        return None


def find_widths(graph: Graph) -> Widths:
    """Widths of all values and parameters of a graph."""
    widths = Widths()
    for node in all_nodes(graph):
        for (a, i), (b, j) in _ties(node):
            if _size(a, i) == _size(b, j) and isinstance(_size(a, i), int) and _size(a, i) != 1:
                widths.join(key(a, i), key(b, j))
        if node.op == "reshape":
            _split(node, widths)
        if node.op == "split":
            _equal_parts(node, widths)
    for q, _, v, out, weights in attentions(graph):
        widths.join(key(q, 1), key(out, 1))
        if _size(v, 3) == _size(out, 3):
            widths.join(key(v, 3), key(out, 3))
        if weights is not None:
            widths.join(key(q, 1), key(weights, 1))
    return widths


def key(value: Value, axis: int) -> Element:
    return (value.name if isinstance(value, Param) else value, axis % value.tensor.rank)


def _size(value: Value, axis: int) -> Any:
    shape = value.tensor.shape
    return shape[axis] if -len(shape) <= axis < len(shape) else None


Tie = tuple[tuple[Value, int], tuple[Value, int]]


def _ties(node: Node) -> Iterator[Tie]:
    """Pairs of axes that the op makes one size. Ops without an entry tie their first operand's
    axes.
    """
    out, values = node.out, node.values
    match node.op:
        case "branch" | "loop" | "read_size":
            yield from _block_ties(node)
        case "linear":
            x, w = values[:2]
            yield from _aligned(x, out, skip_last=True)
            yield (x, -1), (w, 1)
            yield (out, -1), (w, 0)
            for bias in values[2:]:
                yield (out, -1), (bias, 0)
        case "embedding":
            yield (out, -1), (values[0], 1)
        case "matmul":
            a, b = values
            if min(a.tensor.rank, b.tensor.rank) >= 2:
                yield from (((a, -1), (b, -2)), ((out, -2), (a, -2)), ((out, -1), (b, -1)))
        case "attention":
            q, k, v = values[:3]
            yield from (
                ((out, -1), (v, -1)),
                ((q, -1), (k, -1)),
                ((k, 1), (v, 1)),
                ((out, 1), (q, 1)),
            )
            for mask in values[3:]:
                yield (mask, -3), (q, 1)
        case "lstm" | "gru" | "rnn":
            weight = node.operands[4 if node.op == "lstm" else 3]
            if isinstance(weight, Value):  # the first after initial states and lengths
                yield (values[0], -1), (weight, 1)
        case "mean" | "sum" | "max" | "min" if not node["keepdims"]:
            kept = (i for i in range(values[0].tensor.rank) if i not in node["axes"])
            yield from (((out, j), (values[0], i)) for j, i in enumerate(kept))
        case "transpose":
            yield from (((out, i), (values[0], a)) for i, a in enumerate(node["axes"]))
        case "reshape":
            yield from _reshape_ties(node)
        case (
            "concatenate"
            | "stack"
            | "split"
            | "slice"
            | "pad"
            | "select"
            | "expand_dims"
            | "squeeze"
        ):
            yield from _kept_axes(node)
        case name if name.startswith("conv"):
            w = values[1]
            yield (out, -1), (w, 0)
            yield (values[0], -1), (w, -1)
            for bias in values[2:]:
                yield (out, -1), (bias, 0)
        case _:
            for value in values:
                if (
                    node.row.elementwise
                    or value.tensor.rank == out.tensor.rank
                    or value.tensor.rank == 1
                ):
                    yield from _aligned(value, out)


def _block_ties(node: Node) -> Iterator[Tie]:
    """What enters a block and leaves it."""
    for block in blocks(node):
        first = len(node.operands) - len(block.inputs)
        pairs = list(zip(node.operands[first:], block.inputs, strict=True))
        kept = block.outputs[len(block.outputs) - len(node.results) :]
        pairs += [(a, b) for a, b in zip(node.results, kept, strict=False)]
        for a, b in pairs:
            if isinstance(a, Value) and a.tensor.rank == b.tensor.rank:
                yield from (((a, i), (b, i)) for i in range(b.tensor.rank))


def _aligned(value: Any, out: Value, skip_last: bool = False) -> Iterator[Tie]:
    for back in range(2 if skip_last else 1, min(value.tensor.rank, out.tensor.rank) + 1):
        yield (value, -back), (out, -back)


def _kept_axes(node: Node) -> Iterator[Tie]:
    """Axes that pass through ops which change one axis."""
    for value in node.values:
        for out in node.results:
            before, after = list(value.tensor.shape), list(out.tensor.shape)
            i = j = 0
            while i < len(before) and j < len(after):
                if before[i] == after[j]:
                    yield (value, i), (out, j)
                    i, j = i + 1, j + 1
                elif len(before) == len(after):
                    i, j = i + 1, j + 1
                elif len(before) > len(after):
                    i += 1
                else:
                    j += 1


def _reshape_ties(node: Node) -> Iterator[Tie]:
    x, out = node.values[0], node.out
    longer = [[i for i, d in enumerate(v.tensor.shape) if d != 1] for v in (x, out)]
    if [x.tensor.shape[i] for i in longer[0]] == [out.tensor.shape[j] for j in longer[1]]:
        yield from (((x, i), (out, j)) for i, j in zip(*longer, strict=True))
        return
    front = _common(x.tensor.shape, out.tensor.shape)
    back = _common(x.tensor.shape[front:][::-1], out.tensor.shape[front:][::-1])
    yield from (((x, i), (out, i)) for i in range(front))
    yield from (((x, -i), (out, -i)) for i in range(1, back + 1))


def _common(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    count = 0
    for left, right in zip(a, b, strict=False):
        if left != right:
            break
        count += 1
    return count


def _split(node: Node, widths: Widths) -> None:
    """Record that one axis is the product of several, on either side of the reshape."""
    x, out = node.values[0], node.out
    for whole, parts in ((x, out), (out, x)):
        a, b = whole.tensor.shape, parts.tensor.shape
        front = _common(a, b)
        back = _common(a[front:][::-1], b[front:][::-1])
        middle = list(range(front, len(b) - back))
        if (
            len(a) - front - back == 1
            and len(middle) > 1
            and all(isinstance(b[i], int) and b[i] != 1 for i in middle)
        ):
            widths.factors.setdefault(key(whole, front), tuple(key(parts, i) for i in middle))


def _equal_parts(node: Node, widths: Widths) -> None:
    """Record that the axis is so many times one of the parts, where they are all of one size."""
    axis, parts = node["axis"], node.results
    if isinstance(_size(node.values[0], axis), int) and len({_size(p, axis) for p in parts}) == 1:
        for part in parts[1:]:
            widths.join(key(parts[0], axis), key(part, axis))
        widths.multiples.setdefault(key(node.values[0], axis), (len(parts), key(parts[0], axis)))
