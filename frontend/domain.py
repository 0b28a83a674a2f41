"""What a walk computes with: IR values while capturing, real tensors while running the source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..ir import DType, Scope
from .schema import Schema


class Domain(Protocol):
    """Values and ATen calls as one kind of walk sees them."""

    def is_tensor(self, value: Any) -> bool: ...

    def is_unknown(self, value: Any) -> bool: ...

    def call(self, schema: Schema, args: Sequence[Any]) -> Any: ...

    def shape(self, tensor: Any) -> list[Any]: ...

    def dtype(self, tensor: Any) -> DType: ...

    def number(self, value: Any) -> Any:
        """The Python number or size in a tensor of one element; one that the data decides is a
        `DataNumber`.
        """

    def compute(self, name: str, values: Sequence[Any]) -> Any:
        """Arithmetic of Python numbers, some of which the data decides."""

    def from_number(self, value: Any) -> Any:
        """A number as a 0-d tensor."""

    def literal(self, value: Any, dtype: DType | None, name: str, scope: Scope) -> Any:
        """`torch.tensor(value)` of numbers, or of lists of them."""

    def constant(self, tensor: Any, name: str, scope: Scope) -> Any:
        """A tensor that stands in the code."""

    def attribute(self, tensor: Any, path: str) -> Any:
        """A parameter, buffer or plain tensor attribute of a module."""

    def truth(self, value: Any, what: str) -> bool | None:
        """The condition of a branch; None where the walk cannot tell and takes every branch."""
