"""Where values flow together: the tree of post-dominators of a graph, and the chains in it.

The parent of a node is the first node through which everything that it computes must pass. A chain
goes from a node back through the values that all of it comes from: in a residual network, the sums.
Between two of them lies a segment. Time is about linear in the size of the graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..ir import Graph, Node, Param

_CANDIDATES = 12  # children of one node that are compared as the way back
_HEAVIER = 8  # a branch with this many times the weights of all others is the way back


@dataclass(eq=False)
class Segment:
    """What lies between two values of a chain, in graph order; `end` computes the second."""

    end: int
    nodes: list[int]
    entry: int | None
    branches: list[int]  # the last nodes of what `end` joins


@dataclass(eq=False)
class Chain:
    """Segments in the order of the data; `shared` are last nodes of what several of them read."""

    segments: list[Segment] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)


class FlowTree:
    """Nodes by number, the inputs first; the exit of the graph has the number `len(nodes)`.

    An input stands as a node of the op `input`, which is in no graph.
    """

    def __init__(self, graph: Graph):
        entries = [Node("input", [], {}, [v.type], graph.root) for v in graph.inputs]
        self.nodes = [*entries, *graph.nodes]
        self.number = {node: i for i, node in enumerate(self.nodes)}
        self.maker = {v: i for i, v in enumerate(graph.inputs)}
        self.maker |= {v: i for node, i in self.number.items() for v in node.results}
        self.users: list[list[int]] = [[] for _ in self.nodes]
        for i in range(len(self.nodes)):
            for maker in self.operands(i):
                self.users[maker].append(i)
        self.exit = len(self.nodes)
        self.outputs = {self.maker[v] for v in graph.outputs if v in self.maker}
        self.weights = [sum(map(is_weight, set(node.values))) for node in self.nodes]
        self._grow()

    def _grow(self) -> None:
        count = self.exit
        self.parent, self.depth = [count] * (count + 1), [0] * (count + 1)
        self.jump = [count] * (count + 1)
        main = self._main()
        for i in reversed(range(count)):
            self._hang(i, main)
        self.children: list[list[int]] = [[] for _ in range(count + 1)]
        self.heavy = [*self.weights, 0]
        self.entries = [*(int(node.op == "input") for node in self.nodes), 0]
        for i in range(count):
            self.children[self.parent[i]].append(i)
            self.heavy[self.parent[i]] += self.heavy[i]
            self.entries[self.parent[i]] += self.entries[i]

    def _hang(self, i: int, main: set[int]) -> None:
        """Values that are outputs as well as steps on the way to the main output are steps."""
        users = [u for u in self.users[i] if (u in main) == (i in main)]
        if not users or (i not in main and i in self.outputs):
            users.append(self.exit)
        joint = users[-1]
        for user in reversed(users[:-1]):
            joint = self.nearest(joint, user)
        self.parent[i], self.depth[i] = joint, self.depth[joint] + 1
        above = self.jump[joint]
        even = (
            self.depth[joint] - self.depth[above]
            == self.depth[above] - self.depth[self.jump[above]]
        )
        self.jump[i] = self.jump[above] if even else joint

    def _main(self) -> set[int]:
        """The output at the end of the longest way, and all that it needs."""
        length = [0] * self.exit
        for i in range(self.exit):
            length[i] = 1 + max((length[m] for m in self.operands(i)), default=0)
        waiting = [max(sorted(self.outputs), key=length.__getitem__)] if self.outputs else []
        found: set[int] = set()
        while waiting:
            i = waiting.pop()
            if i not in found:
                found.add(i)
                waiting += self.operands(i)
        return found

    def operands(self, i: int) -> list[int]:
        """The nodes that make the operands."""
        return list(dict.fromkeys(self.maker[v] for v in self.nodes[i].values if v in self.maker))

    def nearest(self, a: int, b: int) -> int:
        """The deepest node above both, or one of them."""
        while self.depth[a] != self.depth[b]:
            if self.depth[a] < self.depth[b]:
                a, b = b, a
            a = self.lift(a, self.depth[b])
        while a != b:
            apart = self.jump[a] != self.jump[b]
            a, b = (self.jump[a], self.jump[b]) if apart else (self.parent[a], self.parent[b])
        return a

    def lift(self, a: int, depth: int) -> int:
        """The node above at that depth."""
        while self.depth[a] > depth:
            a = self.jump[a] if self.depth[self.jump[a]] >= depth else self.parent[a]
        return a

    def below(self, roots: Iterable[int]) -> list[int]:
        """The nodes of these subtrees, in graph order."""
        found = []
        waiting = list(roots)
        while waiting:
            i = waiting.pop()
            found.append(i)
            waiting += self.children[i]
        return sorted(found)

    # ---- chains

    def chain(self, end: int) -> Chain:
        """The chain that leads to a node."""
        chain = Chain()
        at: int | None = end
        while at is not None:
            feeds = self._feeds(at)
            back = self._back(at, feeds)
            kids = [c for c in self.children[at] if c != back]
            before = set() if back is None else _reached(_turned(feeds), back)
            chain.shared += [c for c in kids if c in before]
            own = [c for c in kids if c not in before]
            chain.segments.append(Segment(at, [*self.below(own), at], back, own))
            at = back
        chain.segments.reverse()
        return chain

    def _feeds(self, at: int) -> dict[int, set[int]]:
        """For each child, those that read it; the node itself where it does."""
        level = self.depth[at] + 1
        return {
            c: {u if u == at else self.lift(u, level) for u in self._own_users(c, at)}
            for c in self.children[at]
        }

    def _own_users(self, c: int, at: int) -> list[int]:
        """The users of a child that are below the node, or the node itself."""
        return [u for u in self.users[c] if u == at or self._is_below(u, at)]

    def _is_below(self, u: int, at: int) -> bool:
        return self.depth[u] > self.depth[at] and self.lift(u, self.depth[at]) == at

    def _back(self, at: int, feeds: dict[int, set[int]]) -> int | None:
        """The child that the chain goes back to: the one that most operands come from.

        Of several the last, which is the stream of a residual sum, where masks and the like came
        before. None where independent branches meet.
        """
        heavy = [c for c in feeds if self.heavy[c]] or list(feeds)
        if len(heavy) == 1 and not self.entries[heavy[0]]:
            heavy = list(feeds)  # the model's input may be the stream
        if len(heavy) < 2:
            return heavy[0] if heavy else None
        ends = {c for c, users in feeds.items() if at in users}
        near = heavy[-_CANDIDATES:] + heavy[:_CANDIDATES]
        scores = {c: len(ends & {c, *_reached(feeds, c)}) for c in sorted(set(near))}
        best = max(scores, key=lambda c: (scores[c], c))
        if scores[best] > 1:
            return best
        largest = max(heavy, key=self.heavy.__getitem__)
        rest = sum(self.heavy[c] for c in heavy) - self.heavy[largest]
        return largest if self.heavy[largest] >= _HEAVIER * rest else None


def _turned(feeds: dict[int, set[int]]) -> dict[int, set[int]]:
    turned: dict[int, set[int]] = {}
    for c, users in feeds.items():
        for user in users:
            turned.setdefault(user, set()).add(c)
    return turned


def _reached(feeds: dict[int, set[int]], start: int) -> set[int]:
    """All that reads the child, or what was made from it."""
    found: set[int] = set()
    waiting = list(feeds.get(start, ()))
    while waiting:
        i = waiting.pop()
        if i not in found:
            found.add(i)
            waiting += feeds.get(i, ())
    return found


def is_weight(value: object) -> bool:
    """Whether the value is a matrix or a larger array that was trained."""
    if not isinstance(value, Param) or not value.tensor.dtype.is_float:
        return False
    return sum(d != 1 for d in value.tensor.shape) > 1
