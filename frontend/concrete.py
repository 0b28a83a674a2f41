"""The concrete domain: a walk in it runs the source with torch, module by module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..ir import DType, Scope
from .schema import SCALAR_TYPES, Schema, dtype_from_torch, torch_dtype


@lru_cache(maxsize=4096)
def _operator(namespace: str, name: str, overload: str) -> Any:
    import torch

    return getattr(getattr(getattr(torch.ops, namespace), name), overload or "default")


class Concrete:
    """Tensors are torch's own."""

    def is_tensor(self, value: Any) -> bool:
        return hasattr(value, "untyped_storage")

    def is_unknown(self, value: Any) -> bool:
        return False

    def call(self, schema: Schema, args: Sequence[Any]) -> Any:
        positional, named = [], {}
        for parameter, value in zip(schema.parameters, args):
            value = _argument(parameter.name, value)
            if parameter.keyword:
                named[parameter.name] = value
            else:
                positional.append(value)
        return _operator(schema.namespace, schema.name, schema.overload)(*positional, **named)

    def shape(self, tensor: Any) -> list[Any]:
        return list(tensor.shape)

    def dtype(self, tensor: Any) -> DType:
        return dtype_from_torch(tensor.dtype)

    def number(self, value: Any) -> Any:
        return value.item() if self.is_tensor(value) else value

    def compute(self, name: str, values: Sequence[Any]) -> Any:
        raise TypeError("numbers are known where the source runs")

    def from_number(self, value: Any) -> Any:
        import torch

        return torch.tensor(value)

    def literal(self, value: Any, dtype: DType | None, name: str, scope: Scope) -> Any:
        import torch

        return torch.tensor(value, dtype=torch_dtype(dtype) if dtype else None)

    def constant(self, tensor: Any, name: str, scope: Scope) -> Any:
        return tensor

    def attribute(self, tensor: Any, path: str) -> Any:
        return tensor

    def decided(self, value: Any) -> bool:
        return False

    def branch(
        self, condition: Any, env: Mapping[str, Any], sides: Sequence[Callable[[], list[Any]]]
    ) -> list[Any]:
        return sides[not condition]()

    def mark(self, env: Mapping[str, Any], calls: Any) -> Any:
        return None

    def open_ended(self, count: Any, running: Any, turn: int, mark: Any) -> bool:
        return False

    def has_turn(self, count: Any, running: Any) -> bool:
        return True

    def beyond_host(self, name: str, values: Sequence[Any], why: str) -> Any:
        raise TypeError("numbers are known where the source runs")

    def rewind(self, mark: Any) -> Any:
        raise TypeError("a loop that runs does not start again")

    def loop(
        self, count: Any, running: Any, carried: list[Any], env: Mapping[str, Any], body: Any
    ) -> list[Any]:
        raise TypeError("a loop that runs has an end")

    def on_list(self, name: str, values: Sequence[Any]) -> Any:
        raise TypeError("lists hold their items where the source runs")

    def truth(self, value: Any, what: str) -> bool | None:
        return bool(self.number(value))


def _argument(name: str, value: Any) -> Any:
    """Numbers that stand for torch's enumerations in saved graphs."""
    import torch

    if isinstance(value, int) and not isinstance(value, bool):
        if name in ("dtype", "out_dtype", "output_dtype"):
            return torch_dtype(SCALAR_TYPES[value])
        if name == "layout":
            return torch.strided
        if name == "memory_format":
            return (torch.contiguous_format, torch.preserve_format, torch.channels_last)[value]
    return value
