"""What a constructor makes an attribute from: a layer, a class of the model, or a bare weight.

Each prints as Python with slots as tokens (`text`); two are the same when their texts are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..ir import Param
from .bound import Bound, SlotRef
from .render import render_tree
from .slots import token


@dataclass(frozen=True)
class MakeLayer:
    """`nn.Linear(i0, i1, bias=False)`. The first `options` may be left out where they have their
    default value.
    """

    cls: str
    args: tuple[Bound, ...]
    options: tuple[tuple[str, SlotRef], ...]
    kwargs: tuple[tuple[str, Bound], ...]
    weights: tuple[str, ...] = ()  # the names of its parameters

    @cached_property
    def text(self) -> str:
        args = [render_tree(a).code for a in self.args]
        given = [(k, f"{k}={render_tree(v).code}") for k, v in self.kwargs]
        args += [code for k, code in given if k == "kernel_size"]
        rest = [f", {code}" for k, code in given if k != "kernel_size"]
        options = [render_tree(slot).code for _, slot in self.options]
        code = "".join([", ".join(args), *options, *rest])
        return f"{self.cls.removeprefix('runtime.')}({code.removeprefix(', ')})"


@dataclass(frozen=True)
class MakePart:
    """`Block(args, dims=i3)`: what differs between instances of the class is an argument."""

    group: int
    needs_args: bool
    parameters: tuple[tuple[str, SlotRef], ...]

    @cached_property
    def text(self) -> str:
        args = ["args"] if self.needs_args else []
        args += [f"{name}={render_tree(slot).code}" for name, slot in self.parameters]
        return f"{token('c', self.group)}({', '.join(args)})"


@dataclass(frozen=True)
class MakeWeight:
    """`mx.zeros((i0, 1))`: a weight of the class itself."""

    param: Param
    shape: tuple[Bound, ...]

    @cached_property
    def text(self) -> str:
        sizes = [render_tree(s).code for s in self.shape]
        dtype = self.param.tensor.dtype
        kind = "" if dtype.value == "f32" else f", dtype=mx.{dtype.mlx}"
        return f"mx.zeros(({', '.join(sizes)}{',' if len(sizes) == 1 else ''}){kind})"


IDENTITY = MakeLayer("nn.Identity", (), (), ())
Maker = MakeLayer | MakePart | MakeWeight
