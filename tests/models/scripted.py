"""Scripted modules: control flow that is known at compile time, and some that data decides."""

from typing import Final

import torch
from torch import Tensor, nn

from .case import Case, floats, seeded


class Block(nn.Module):
    def __init__(self, dim: int, use_norm: bool):
        super().__init__()
        self.use_norm = use_norm
        self.norm = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        h = self.proj(x)
        if shift is not None:
            h = h + shift
        if self.use_norm:
            h = self.norm(h)
        return x + torch.relu(h)


class StaticControl(nn.Module):
    """Loops over a constant count and over modules; branches on attributes, on None, on a rank."""

    steps: Final[int]

    def __init__(self, dim: int = 8, steps: int = 3):
        super().__init__()
        self.steps = steps
        self.blocks = nn.ModuleList(Block(dim, use_norm=i % 2 == 0) for i in range(2))
        self.out = nn.Linear(dim, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            x = x.unsqueeze(1)
        for block in self.blocks:
            x = block(x)
        total = torch.zeros_like(x)
        for i in range(self.steps):
            total = total + x * (i + 1)
        if self.training:
            total = total * 0.0
        return self.out(total)


class DataDependentBranch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            return x * 2
        return x - 1


class DataDependentLoop(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        while bool(x.abs().max() > 1):
            x = x / 2
        return x


_BL = {0: "B", 1: "L"}


def scripted_static() -> Case:
    return Case(torch.jit.script(seeded(StaticControl())), (floats(2, 5, 8),), (_BL,))


def scripted_branch() -> Case:
    return Case(torch.jit.script(DataDependentBranch().eval()), (floats(2, 5),), (_BL,))


def scripted_loop() -> Case:
    return Case(torch.jit.script(DataDependentLoop().eval()), (floats(2, 5),), (_BL,))
