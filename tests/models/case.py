"""What a builder returns, and inputs for it at other sizes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

Sizes = Mapping[str, int]


class Case(NamedTuple):
    """A module in eval mode, one positional example, and which axes of it may change.

    `dims` mirrors `inputs`: `{axis: symbol}` for a tensor, a tuple or a dict of these for a tuple
    or a dict of tensors. An axis that is not named is static.
    """

    module: nn.Module
    inputs: tuple[Any, ...]
    dims: tuple[Any, ...]

    @property
    def symbols(self) -> dict[str, int]:
        """Each symbol with its size in the example, in the order of the inputs."""
        found: dict[str, int] = {}
        _collect(self.inputs, self.dims, found)
        return found

    def inputs_at(self, sizes: Sizes, seed: int = 1) -> tuple[Any, ...]:
        """Random inputs of other sizes; integers stay within the range of the example's."""
        generator = torch.Generator().manual_seed(seed)
        return _fresh(self.inputs, self.dims, {**self.symbols, **sizes}, generator)


def _collect(value: Any, dims: Any, found: dict[str, int]) -> None:
    if isinstance(value, torch.Tensor):
        for axis, symbol in dims.items():
            if found.setdefault(symbol, value.shape[axis]) != value.shape[axis]:
                raise ValueError(f"{symbol} is {found[symbol]} and {value.shape[axis]}")
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        _collect(value[key], dims[key], found)


def _fresh(value: Any, dims: Any, sizes: Sizes, generator: torch.Generator) -> Any:
    if isinstance(value, dict):
        return {key: _fresh(value[key], dims[key], sizes, generator) for key in value}
    if isinstance(value, tuple):
        return tuple(_fresh(v, d, sizes, generator) for v, d in zip(value, dims, strict=True))
    shape = [sizes[dims[axis]] if axis in dims else n for axis, n in enumerate(value.shape)]
    if value.dtype.is_floating_point:
        return torch.randn(shape, generator=generator, dtype=value.dtype)
    low, high = int(value.min()), int(value.max())
    return torch.randint(low, high + 1, shape, generator=generator).to(value.dtype)


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """Gives every parameter and float buffer a value that a wrong program would not survive.

    No scale is left at one and no shift at zero, signals neither die nor explode, running
    variances stay positive. Buffers that a state dict does not hold are constants: left alone.
    """
    generator = torch.Generator().manual_seed(seed)
    saved = module.state_dict()
    buffers = {n: b for n, b in module.named_buffers() if n in saved and b.is_floating_point()}
    with torch.no_grad():
        for name, tensor in (dict(module.named_parameters()) | buffers).items():
            noise = torch.randn(tensor.shape, generator=generator)
            leaf = name.rpartition(".")[2]
            if leaf == "running_var":
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            elif leaf == "running_mean" or "bias" in leaf:
                tensor.copy_(0.1 * noise)
            elif tensor.dim() > 1:
                tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(1 + 0.1 * noise)
    return module.eval()


def tokens(*shape: int, vocabulary: int, seed: int = 0) -> torch.Tensor:
    """Random token ids (int64) with both ends of the vocabulary among them."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, shape, generator=generator)
    ids.view(-1)[0], ids.view(-1)[-1] = 0, vocabulary - 1
    return ids


def floats(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal random numbers (float32)."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
