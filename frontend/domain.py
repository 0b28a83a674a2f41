"""What a walk computes with: IR values while capturing, real tensors while running the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

    def beyond_host(self, name: str, values: Sequence[Any], why: str) -> Any:
        """Arithmetic of sizes that has no form as a size."""

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

    def decided(self, value: Any) -> bool:
        """Whether the data decides a condition or number of turns."""

    def branch(
        self, condition: Any, env: Mapping[str, Any], sides: Sequence[Callable[[], list[Any]]]
    ) -> list[Any]:
        """One of two sides, by a condition that the data decides."""

    def mark(self, env: Mapping[str, Any], calls: Any) -> Any:
        """Where the walk stands, for `rewind`."""

    def rewind(self, mark: Any) -> Any:
        """Forget what was done since the mark; the numbers of calls at it."""

    def open_ended(self, count: Any, running: Any, turn: int, mark: Any) -> bool:
        """Whether turn after turn does not do: the end is not known, or far away."""

    def has_turn(self, count: Any, running: Any) -> bool:
        """Whether a loop has a first turn for sure."""

    def loop(
        self, count: Any, running: Any, carried: list[Any], env: Mapping[str, Any], body: Any
    ) -> list[Any]:
        """The carried variables after a loop whose end the data or a free size decides."""

    def on_list(self, name: str, values: Sequence[Any]) -> Any:
        """An op on a list that grew in a loop."""
