"""Modules whose scopes are not tidy, and inputs and outputs that are not one tensor."""

import torch
from torch import Tensor, nn

from .case import Case, floats, seeded


class Pair(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.down = nn.Linear(dim, 2 * dim)
        self.up = nn.Linear(2 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.relu(self.down(x)))


class BorrowedChildren(nn.Module):
    """Calls a child's children itself, with its own work between them, and then the child too.

    `pair`'s nodes do not form one region, so `pair` cannot become one call.
    """

    def __init__(self, dim: int = 8):
        super().__init__()
        self.pair = Pair(dim)
        self.gate = nn.Linear(2 * dim, 2 * dim)

    def forward(self, x: Tensor) -> Tensor:
        wide = self.pair.down(x)
        wide = wide * torch.sigmoid(self.gate(wide))
        return self.pair.up(wide) + self.pair(x)


class Leaf(nn.Module):
    """A buffer that its parent reads directly, and a result that depends on the parent's."""

    def __init__(self, dim: int):
        super().__init__()
        self.proj = nn.Linear(dim, dim)
        self.register_buffer("offset", torch.zeros(dim))

    def forward(self, x: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        y = self.proj(x) * scale
        return y, y.mean(dim=-1, keepdim=True)


class Interleaved(nn.Module):
    """Two children that use each other's results in turn, each called twice."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.left = Leaf(dim)
        self.right = Leaf(dim)

    def forward(self, x: Tensor) -> Tensor:
        a, scale = self.left(x, torch.ones_like(x[..., :1]))
        b, scale = self.right(a, scale)
        c, scale = self.left(b + self.right.offset, scale)
        d, _ = self.right(c, scale)
        return a + d


class DictOutput(nn.Module):
    """A dict that holds a tensor, a tuple, and one tensor under two keys."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.body = nn.Linear(dim, dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = torch.tanh(self.body(x))
        logits = self.head(hidden)
        return {"logits": logits, "probs": logits.softmax(-1), "features": hidden, "last": hidden}


class NestedInput(nn.Module):
    """A tuple and a dict of tensors in, a tuple with a tuple in it out."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.query = nn.Linear(dim, dim)
        self.cell = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor], extra: dict[str, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h, c = state
        c = torch.tanh(self.cell(c)) + extra["bias"]
        h = self.query(h) * extra["scale"]
        return x + h[:, None], (h, c)


class ListLoop(nn.Module):
    """A list in which kinds of layers alternate, and a dict of layers."""

    def __init__(self, dim: int = 8, layers: int = 4):
        super().__init__()
        self.layers = nn.ModuleList(
            Pair(dim) if i % 2 else nn.LayerNorm(dim) for i in range(layers)
        )
        self.heads = nn.ModuleDict({"mean": nn.Linear(dim, 2), "scale": nn.Linear(dim, 2)})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self.layers:
            x = x + layer(x)
        return self.heads["mean"](x), self.heads["scale"](x).exp()


class BakedBatch(nn.Module):
    """Counts rows with Python's own loop, which a trace unrolls for the batch that it saw."""

    def __init__(self, dim: int = 8):
        super().__init__()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        rows = [self.proj(x[i]) * (i + 1) for i in range(int(x.shape[0]))]
        return torch.stack(rows)


def borrowed_children() -> Case:
    return Case(seeded(BorrowedChildren()), (floats(2, 5, 8),), ({0: "B", 1: "L"},))


def interleaved() -> Case:
    return Case(seeded(Interleaved()), (floats(2, 5, 8),), ({0: "B", 1: "L"},))


def dict_output() -> Case:
    return Case(seeded(DictOutput()), (floats(2, 5, 8),), ({0: "B", 1: "L"},))


def nested_input() -> Case:
    state = (floats(2, 8, seed=1), floats(2, 8, seed=2))
    extra = {"scale": floats(2, 1, seed=3), "bias": floats(8, seed=4)}
    rows = {0: "B"}
    dims = ({0: "B", 1: "L"}, (rows, rows), {"scale": rows, "bias": {}})
    return Case(seeded(NestedInput()), (floats(2, 5, 8), state, extra), dims)


def list_loop(layers: int = 4) -> Case:
    return Case(seeded(ListLoop(layers=layers)), (floats(2, 5, 8),), ({0: "B", 1: "L"},))


def baked_batch() -> Case:
    return Case(seeded(BakedBatch()), (floats(3, 5, 8),), ({1: "L"},))
