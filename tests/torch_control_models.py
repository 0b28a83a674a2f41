"""Modules whose control flow or shapes depend on data, with inputs for several runs of each."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Model:
    """`specs` describe the inputs as `--input` does; `runs` are inputs that take different ways."""

    module: nn.Module
    specs: tuple[str, ...]
    runs: tuple[tuple[Tensor, ...], ...]


def _numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _integers(seed: int, high: int, *shape: int) -> Tensor:
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


# ---- sizes


class Masks(nn.Module):
    """Selection by masks, written in several ways: one size."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = x[:, 0] > 0
        return x[x > 0] + torch.masked_select(x, x > 0), x[rows], x[rows, 1:3] * 2


class Places(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = torch.nonzero(x > 1)
        rows, columns = torch.where(x > 1)
        return found, rows + columns, torch.argwhere(x[0] > 0)


class Durations(nn.Module):
    """Each step as often as its duration says, by an alignment and by repetition."""

    def forward(self, durations: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        index = torch.repeat_interleave(torch.arange(durations.shape[0]), durations)
        alignment = torch.zeros(durations.shape[0], index.shape[0])
        alignment[index, torch.arange(index.shape[0])] = 1
        return alignment.t() @ x, x.repeat_interleave(durations, 0)


class LengthMask(nn.Module):
    def forward(self, lengths: Tensor) -> Tensor:
        positions = torch.arange(lengths.max()).unsqueeze(0)
        return torch.lt(positions, lengths.unsqueeze(1))


class Distinct(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        values, inverse, counts = torch.unique(x, return_inverse=True, return_counts=True)
        runs = torch.unique_consecutive(x)
        return values, inverse * counts.sum(), torch.bincount(x), runs


class Item(nn.Module):
    """A number of the data as a size, as a bound of slices, in arithmetic."""

    def forward(self, x: Tensor, n: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        k = n.item()
        return torch.zeros([k + 1, 2]), x[:, :k], x[:, k:] * k, torch.arange(k) + 0.5


class Padded(nn.Module):
    """The longest length is the size of the input, which only a run can tell."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(lengths.max())[None, :] < lengths[:, None]
        return x * mask.unsqueeze(-1)


# ---- branches


class Branch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            y = torch.relu(self.first(x))
        else:
            y = self.second(x) - 1
        return y * 2


class EarlyReturn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x * 2
        z = x - 1
        if z.max() > 1:
            return z + 3
        return z


class Writes(nn.Module):
    """A side writes to a tensor that is read through a view afterwards."""

    def forward(self, x: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
        y = x.clone()
        column = y[:, 0]
        if bool(n > 1) and x.size(0) > 0 and bool(x.max() > 0):
            y[:, 1] = 5.0
            y += 1
        k = 3
        if n > 2:
            k = 7
        return y * k, column


class Assertion(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if torch.isnan(x).any():
            raise ValueError("no numbers")
        return x + 1


class SizeBranch(nn.Module):
    """Sizes of the input decide."""

    def forward(self, x: Tensor) -> Tensor:
        if x.size(1) > 10:
            x = x * 2
        if x.size(1) % 4 != 0:
            x = torch.nn.functional.pad(x, [0, 4 - x.size(1) % 4])
        return x.view(x.size(0), -1, 4).sum(-1)


class Number(nn.Module):
    """Returns a number."""

    def forward(self, x: Tensor) -> int:
        n = int(x.sum())
        if n > 0 and n < 10:
            return n
        return -1


class Flag(nn.Module):
    """A number decides; a size that differs from side to side."""

    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        if int(n) > 2:
            y = x[:, :2]
        else:
            y = x[:, 1:]
        return y * 2


class Chosen(nn.Module):
    """torch.cond: both sides are sub-graphs of an export."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        a, b = torch.cond(
            x.sum() > 0, lambda x: (self.proj(x), x + 1), lambda x: (x - 1, x * 2), (x,)
        )
        return a * b


# ---- loops


class WhileLoop(nn.Module):
    """torch's while_loop: condition and body are sub-graphs of an export."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch._higher_order_ops.while_loop(
            lambda n, y: y.abs().max() > 1, lambda n, y: (n + 1, y / 2), (torch.tensor(0), x)
        )


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.of_input, self.of_state = nn.Linear(5, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.of_input(x) + self.of_state(h))


class Steps(nn.Module):
    """As many turns as the input is long; what each gives is stacked."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = Cell()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.zeros(x.size(0), 4)
        outputs: list[Tensor] = []
        for t in range(x.size(1)):
            h = self.cell(x[:, t], h)
            outputs.append(h)
        return torch.stack(outputs, 1), h


class OptionalState(nn.Module):
    """The first turn is unlike the others."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor | None = None
        outputs: list[Tensor] = []
        for t in range(x.size(1)):
            if h is None:
                h = torch.ones(x.size(0), 4)
            h = self.cell(x[:, t : t + 1].squeeze(1), h)
            outputs.append(h.unsqueeze(1))
        return torch.cat(outputs, 1)


class Halve(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, int]:
        n = 0
        while bool(x.abs().max() > 1):
            x = x / 2
            n += 1
        return x, n


class Greedy(nn.Module):
    """Decodes until a token ends it, or for twelve turns."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head, self.mix = nn.Embedding(7, 6), nn.Linear(6, 7), nn.Linear(6, 6)

    def forward(self, token: Tensor) -> Tensor:
        h = torch.zeros(6)
        outputs: list[Tensor] = []
        for _ in range(12):
            h = torch.tanh(self.mix(h) + self.embedding(token))
            token = self.head(h).argmax()
            outputs.append(token)
            if int(token) == 3:
                break
        return torch.stack(outputs)


class Buffers(nn.Module):
    """Writes to a tensor and to items of a list, turn by turn."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        state = [x[0] * 0, x[0]]
        for i in range(1, x.size(0)):
            y[i] = x[i] * (i + 1) + state[0]
            state[0] = y[i] * 0.5
            state[1] = state[1] + state[0]
        return y + state[1]


class Turns(nn.Module):
    def forward(self, x: Tensor, n: Tensor) -> Tensor:
        for i in range(int(n)):
            x = x * 1.5 + i
        return x


class CountedWhile(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        i = 0
        total = torch.zeros(x.size(0))
        while i < x.size(1) and bool(total.sum() < 3):
            total = total + x[:, i].abs()
            i += 1
        return total * i


class Long(nn.Module):
    """Too long to be written out turn by turn."""

    def forward(self, x: Tensor) -> Tensor:
        for i in range(200):
            x = torch.tanh(x * 1.01) + x.mean() * 0.01 + i * 0.001
            x = x - x.amax(0) + torch.sin(x) * 0.1
        return x


class Chunks(nn.Module):
    """Parts of the input, the last of which may be shorter."""

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for i in range(0, x.size(1), 4):
            outputs.append(x[:, i : i + 4].sum(1))
        return torch.stack(outputs, 1)


class Nested(nn.Module):
    """Loops and branches in each other, and `continue`."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros(x.size(0), x.size(1))
        n = 0
        for i in range(x.size(0)):
            if bool(x[i].sum() < 0):
                continue
            for j in range(x.size(1)):
                y[i, j] = x[i, : j + 1].sum()
                if bool(y[i, j] > 1):
                    n += 1
        return y / (n + 1)


class Stacked(nn.Module):
    """Layers whose states are items of a list; numbers read as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.GRUCell(5, 5) for _ in range(2))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        states: list[Tensor] = [torch.zeros(x.size(0), 5) for _ in range(2)]
        scale: list[float] = weights.tolist()
        outputs: list[Tensor] = []
        for t in range(x.size(1)):
            h = x[:, t] * scale[0]
            for i, cell in enumerate(self.cells):
                states[i] = cell(h, states[i])
                h = states[i]
            outputs += [h * scale[1]]
        return torch.stack(outputs).transpose(0, 1)


class FindFirst(nn.Module):
    """Returns from inside of a loop."""

    def forward(self, x: Tensor) -> Tensor:
        for i in range(x.size(0)):
            if bool(x[i].sum() > 1.0):
                return x[i]
        return x[0] * 0


def _batches(*shape: int) -> tuple[tuple[Tensor, ...], ...]:
    return tuple((_numbers(i, b, *shape) + (i - 1) / 2,) for i, b in enumerate((2, 1, 5)))


def _with(numbers: tuple[int, ...], *shape: int) -> tuple[tuple[Tensor, ...], ...]:
    return tuple((_numbers(i, i + 1, *shape), torch.tensor(n)) for i, n in enumerate(numbers))


_DURATIONS = tuple((_integers(i, 4, n), _numbers(i, n, 3)) for i, n in enumerate((5, 1, 9)))
_LENGTHS = tuple((torch.tensor(v),) for v in ([3, 1, 4], [2], [1, 1]))
_PADDED = tuple(
    (_numbers(i, len(v), max(v), 3), torch.tensor(v))
    for i, v in enumerate(([3, 1, 4], [2], [5, 5]))
)
_WORDS = tuple((_integers(i, 4, n),) for i, n in enumerate((9, 1, 5)))

# Sizes: all routes capture these.
SIZES: dict[str, Model] = {
    "masks": Model(Masks(), ("x=B,5",), _batches(5)),
    "places": Model(Places(), ("x=B,5",), _batches(5)),
    "durations": Model(Durations(), ("durations=L:int64", "x=L,3"), _DURATIONS),
    "length_mask": Model(LengthMask(), ("lengths=B:int64",), _LENGTHS),
    "distinct": Model(Distinct(), ("x=L:int64",), _WORDS),
    "padded": Model(Padded(), ("x=B,L,3", "lengths=B:int64"), _PADDED),
}
# A trace or an export fixes what these read on the host.
SCRIPTED: dict[str, Model] = {
    "branch": Model(Branch(), ("x=B,5",), _batches(5)),
    "early_return": Model(EarlyReturn(), ("x=B,5",), _batches(5)),
    "writes": Model(Writes(), ("x=B,5", "n=:int64"), _with((1, 2, 3), 5)),
    "assertion": Model(Assertion(), ("x=B,5",), _batches(5)),
    "size_branch": Model(
        SizeBranch(), ("x=B,L",), tuple((_numbers(n, 2, n),) for n in (6, 12, 17))
    ),
    "number": Model(Number(), ("x=B,5",), _batches(5)),
    "flag": Model(Flag(), ("x=B,5", "n=:int64"), _with((1, 3, 2), 5)),
    "steps": Model(Steps(), ("x=B,L,5",), tuple((_numbers(n, 2, n, 5),) for n in (6, 1, 3))),
    "optional_state": Model(
        OptionalState(), ("x=B,L,5",), tuple((_numbers(n, 2, n, 5),) for n in (6, 1, 3))
    ),
    "halve": Model(Halve(), ("x=B,5",), tuple((_numbers(i, 2, 5) * 4**i,) for i in range(3))),
    "greedy": Model(Greedy(), ("token=:int64",), tuple((torch.tensor(n),) for n in (0, 1, 6))),
    "buffer_writes": Model(Buffers(), ("x=L,5",), tuple((_numbers(n, n, 5),) for n in (6, 1, 3))),
    "turns": Model(Turns(), ("x=B,5", "n=:int64"), _with((3, 0, 1), 5)),
    "counted_while": Model(
        CountedWhile(), ("x=B,L",), tuple((_numbers(n, 2, n),) for n in (6, 1, 3))
    ),
    "long": Model(Long(), ("x=B,5",), _batches(5)),
    "chunks": Model(Chunks(), ("x=B,L",), tuple((_numbers(n, 2, n),) for n in (6, 1, 8))),
    "nested": Model(Nested(), ("x=B,L",), tuple((_numbers(n, 3, n),) for n in (6, 1, 3))),
    "stacked": Model(
        Stacked(),
        ("x=B,L,5", "weights=2"),
        tuple((_numbers(n, 2, n, 5), _numbers(n, 2)) for n in (6, 1, 3)),
    ),
    "find_first": Model(FindFirst(), ("x=L,5",), tuple((_numbers(n, n, 5),) for n in (6, 1, 3))),
}
EXPORTED: dict[str, Model] = {
    "chosen": Model(Chosen(), ("x=B,5",), _batches(5)),
    "while_loop": Model(
        WhileLoop(), ("x=B,5",), tuple((_numbers(i, 2, 5) * 4**i,) for i in range(3))
    ),
    "item": Model(
        Item(),
        ("x=B,L", "n=:int64"),
        tuple((_numbers(n, 2, 9), torch.tensor(n)) for n in (4, 0, 9)),
    ),
}


class Holder(nn.Module):
    def __init__(self, parts: dict[str, Model]):
        super().__init__()
        for name, model in parts.items():
            setattr(self, name, model.module)


def joined(models: dict[str, Model]) -> tuple[torch.jit.ScriptModule, list[str]]:
    """One scripted module of all models, each with inputs of its own, and descriptions of them."""
    arguments, calls, specs = [], [], []
    for name, model in models.items():
        own = [f"{name}_{s.partition('=')[0]}" for s in model.specs]
        arguments += [f"{a}: Tensor" for a in own]
        calls.append(f"self.{name}({', '.join(own)})")
        specs += [f"{name}_{_apart(name, s)}" for s in model.specs]
    module = torch.jit.script(Holder(models).eval())
    module.define(f"def forward(self, {', '.join(arguments)}):\n    return ({', '.join(calls)},)\n")
    return module, specs


def _apart(name: str, spec: str) -> str:
    """The description with sizes of its own."""
    return re.sub(r"(?<=[=,])([A-Z])(?=[,:]|$)", lambda m: f"{name}_{m[1]}", spec)
