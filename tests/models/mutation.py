"""Writes in place and through views; each would be wrong if a write were lost or came too late."""

import torch
from torch import Tensor, nn

from .case import Case, floats, seeded, tokens


class SetColumn(nn.Module):
    """`x[:, 0] = y`, with the tensor read before and after the write."""

    def __init__(self, dim: int = 6):
        super().__init__()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        h = self.proj(x)
        before = h.sum(dim=1)
        h[:, 0] = y
        return before, h * 2


class CopyIntoSlice(nn.Module):
    """copy_ into a strided slice of a buffer of zeros, and fill_ into another."""

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros(x.shape[0], x.shape[1], 12, dtype=x.dtype)
        out[:, :, 0:12:2].copy_(x)
        out[:, -1, 1::2].fill_(3.0)
        return out + 1


class AddThroughTranspose(nn.Module):
    """add_ on a transposed view of a part; base and a second view of it are read afterwards."""

    def __init__(self, dim: int = 6):
        super().__init__()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        base = self.proj(x)
        other = base[:, :, :3]
        base.transpose(1, 2)[:, 2:].add_(10.0)
        return base, other


class IndexPut(nn.Module):
    """index_put_ at given rows: once replacing, once accumulating over repeated rows."""

    def forward(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        replaced = x.clone()
        replaced[index] = torch.ones((), dtype=x.dtype)
        added = x * 0.5
        added.index_put_((index,), torch.ones_like(x[index]), accumulate=True)
        return replaced, added


class MaskedFill(nn.Module):
    def forward(self, scores: Tensor, keep: Tensor) -> Tensor:
        scores = scores / 2
        scores.masked_fill_(keep.unsqueeze(1) == 0, -1e9)
        return scores.softmax(dim=-1)


class InplaceChain(nn.Module):
    """One value under several in-place operations; every alias sees each of them."""

    def __init__(self, dim: int = 6):
        super().__init__()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.proj(x)
        alias = h
        h.mul_(2.0).add_(x).relu_()
        h += 1
        flat = h.view(-1)
        flat.sub_(0.5)
        return alias, torch.sigmoid_(h.clone())


class WriteHalves(nn.Module):
    """chunk, an in-place change of one part, and the whole read again."""

    def __init__(self, dim: int = 6):
        super().__init__()
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.proj(x)
        first, second = h.chunk(2, dim=-1)
        second *= first
        first.zero_()
        return h, second.cumsum(dim=1)


class WriteInCallee(nn.Module):
    """A child writes into its argument; the parent reads it afterwards."""

    class Scale(nn.Module):
        def __init__(self, dim: int):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(dim))

        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(self.weight)

    def __init__(self, dim: int = 6):
        super().__init__()
        self.scale = self.Scale(dim)

    def forward(self, x: Tensor) -> Tensor:
        h = x + 1
        scaled = self.scale(h)
        return h + scaled


class BufferWrite(nn.Module):
    """Counts its calls in a buffer: state, which is refused for now."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1)
        return x * self.calls


_BL = {0: "B", 1: "L"}


def set_column() -> Case:
    inputs = (floats(2, 5, 6), floats(2, 6, seed=1))
    return Case(seeded(SetColumn()), inputs, (_BL, {0: "B"}))


def copy_into_slice() -> Case:
    return Case(CopyIntoSlice().eval(), (floats(2, 5, 6),), (_BL,))


def add_through_transpose() -> Case:
    return Case(seeded(AddThroughTranspose()), (floats(2, 5, 6),), (_BL,))


def index_put() -> Case:
    inputs = (floats(8, 6), tokens(4, vocabulary=8))
    return Case(IndexPut().eval(), inputs, ({}, {0: "N"}))


def masked_fill() -> Case:
    keep = tokens(2, 5, vocabulary=2)
    inputs = (floats(2, 4, 5), keep)
    return Case(MaskedFill().eval(), inputs, ({0: "B", 1: "Q", 2: "L"}, _BL))


def inplace_chain() -> Case:
    return Case(seeded(InplaceChain()), (floats(2, 5, 6),), (_BL,))


def write_halves() -> Case:
    return Case(seeded(WriteHalves()), (floats(2, 5, 6),), (_BL,))


def write_in_callee() -> Case:
    return Case(seeded(WriteInCallee()), (floats(2, 5, 6),), (_BL,))


def buffer_write() -> Case:
    return Case(BufferWrite().eval(), (floats(2, 5),), (_BL,))
