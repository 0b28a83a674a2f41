"""Keeps recurrent layers whole while a module is exported.

torch traces `aten::lstm` and its like step by step, which fixes the sequence length. During an
export `nn.LSTM`, `nn.GRU` and `nn.RNN` call opaque operators in their place, with the same
arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

NAMESPACE = "mlx_transpile"
_REST = (
    "Tensor[] params, bool has_biases, int num_layers, float dropout, bool train, "
    "bool bidirectional, bool batch_first"
)
_SCHEMAS = {
    "lstm": f"lstm(Tensor input, Tensor[] hx, {_REST}) -> (Tensor, Tensor, Tensor)",
    "gru": f"gru(Tensor input, Tensor hx, {_REST}) -> (Tensor, Tensor)",
    "rnn_tanh": f"rnn_tanh(Tensor input, Tensor hx, {_REST}) -> (Tensor, Tensor)",
    "rnn_relu": f"rnn_relu(Tensor input, Tensor hx, {_REST}) -> (Tensor, Tensor)",
}


def aten_schema(name: str) -> Any:
    """The schema of the ATen op that an opaque operator stands for."""
    import torch

    return getattr(torch.ops.aten, name).input._schema


def _shapes(name: str) -> Callable[..., Any]:
    def fake(input: Any, hx: Any, params: Any, *options: Any) -> Any:
        recurrent = params[1]  # [gates * hidden, output]
        directions = 2 if options[4] else 1
        out = input.new_empty(input.shape[0], input.shape[1], directions * recurrent.shape[1])
        states = hx if isinstance(hx, list | tuple) else [hx]
        return (out, *(s.new_empty(s.shape) for s in states))

    return fake


@cache
def _library() -> Any:
    """Defines the operators, once in a process; torch drops them with the object."""
    import torch

    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        library.define(schema)
        library.impl(name, getattr(torch.ops.aten, name).input, "CompositeExplicitAutograd")
        torch.library.register_fake(f"{NAMESPACE}::{name}", _shapes(name), lib=library)
    return library


class _Opaque:
    """Stands for the table of functions that torch's recurrent modules call."""

    def __init__(self, original: Any):
        self._original = original

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._original, name)
        if name not in _SCHEMAS:
            return function

        def call(*args: Any) -> Any:
            if len(args) != 9 or isinstance(args[3], list | tuple):  # a packed sequence
                return function(*args)
            import torch

            states = list(args[1]) if name == "lstm" else args[1]
            return getattr(getattr(torch.ops, NAMESPACE), name)(
                args[0], states, list(args[2]), *args[3:]
            )

        return call


@contextmanager
def opaque_recurrence() -> Iterator[None]:
    """Recurrent layers that are called inside are single operators."""
    from torch.nn.modules import rnn

    _library()
    original = rnn._VF
    rnn._VF = _Opaque(original)
    try:
        yield
    finally:
        rnn._VF = original
