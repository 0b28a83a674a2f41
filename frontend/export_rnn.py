"""Keeps recurrent layers whole while a module is exported, and packed sequences.

torch traces `aten::lstm` and its like step by step, which fixes the sequence length; it cannot
trace packed sequences at all, whose sizes depend on data. During an export `nn.LSTM`, `nn.GRU`,
`nn.RNN`, `pack_padded_sequence` and `pad_packed_sequence` call opaque operators in the place of
ATen's, with the same arguments and results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

NAMESPACE = "mlx_transpile"
_OPTIONS = "bool has_biases, int num_layers, float dropout, bool train, bool bidirectional"
_BATCH = f"Tensor input, HX hx, Tensor[] params, {_OPTIONS}, bool batch_first"
_ROWS = f"Tensor data, Tensor batch_sizes, HX hx, Tensor[] params, {_OPTIONS}"
_RECURRENT = {
    f"{name}{end}": f"({text.replace('HX', state)}) -> (Tensor, {', '.join(last)})"
    for name, state, last in (
        ("lstm", "Tensor[]", ["Tensor", "Tensor"]),
        *((n, "Tensor", ["Tensor"]) for n in ("gru", "rnn_tanh", "rnn_relu")),
    )
    for end, text in (("", _BATCH), ("_data", _ROWS))
}
_PACKING = {
    "_pack_padded_sequence": "(Tensor input, Tensor lengths, bool batch_first) -> (Tensor, Tensor)",
    "_pad_packed_sequence": "(Tensor data, Tensor batch_sizes, bool batch_first, "
    "Scalar padding_value, SymInt total_length) -> (Tensor, Tensor)",
}


def aten_schema(name: str) -> Any:
    """The schema of the ATen op that an opaque operator stands for."""
    return _aten(name)._schema


def _aten(name: str) -> Any:
    import torch

    if name in _PACKING:
        return getattr(torch.ops.aten, name).default
    packed = name.endswith("_data")
    overloads = getattr(torch.ops.aten, name.removesuffix("_data"))
    return overloads.data if packed else overloads.input


# ---- what torch is told of the results


def _recurrent(packed: bool) -> Callable[..., Any]:
    def fake(input: Any, *args: Any) -> Any:
        hx, params, *options = args[1:] if packed else args
        recurrent = params[1]  # [gates * hidden, output]
        directions = 2 if options[4] else 1
        out = input.new_empty(*input.shape[:-1], directions * recurrent.shape[1])
        states = hx if isinstance(hx, list | tuple) else [hx]
        return (out, *(s.new_empty(s.shape) for s in states))

    return fake


def _packed(input: Any, lengths: Any, batch_first: bool) -> Any:
    """Rows in a number that the data decides."""
    import torch

    count = torch.library.get_ctx().new_dynamic_size()
    steps = input.shape[1 if batch_first else 0]
    sizes = lengths.new_empty(_longest(steps, lengths.shape[0]))
    return input.new_empty(count, *input.shape[2:]), sizes


_NO_SIZE = 2**40  # no size is larger


def _longest(steps: Any, rows: Any) -> Any:
    """What torch is told is the longest row: all steps, in words that nothing else is said in.

    So it passes torch's check that a `total_length` is long enough, and is told from it.
    """
    import torch

    if isinstance(rows, torch.SymInt):
        return steps - rows + torch.sym_min(rows, _NO_SIZE)
    if isinstance(steps, torch.SymInt):
        return torch.sym_min(steps, _NO_SIZE)
    raise NotImplementedError("a packed sequence of a fixed number of rows and steps")


def _padded(data: Any, batch_sizes: Any, batch_first: bool, value: Any, total: Any) -> Any:
    """A batch of `total` steps; where that is 0 of those of the longest row."""
    import torch

    context = torch.library.get_ctx()
    if isinstance(total, int) and total == 0:
        total = context.new_dynamic_size()
    rows = context.new_dynamic_size()
    shape = (rows, total) if batch_first else (total, rows)
    return data.new_empty(*shape, *data.shape[1:]), batch_sizes.new_empty(rows)


_FAKES = {name: _recurrent(name.endswith("_data")) for name in _RECURRENT} | {
    "_pack_padded_sequence": _packed,
    "_pad_packed_sequence": _padded,
}


@cache
def _library() -> Any:
    """Defines the operators, once in a process; torch drops them with the object."""
    import torch

    library = torch.library.Library(NAMESPACE, "FRAGMENT")
    for name, schema in (_RECURRENT | _PACKING).items():
        library.define(name + schema)
        library.impl(name, _aten(name), "CompositeExplicitAutograd")
        torch.library.register_fake(f"{NAMESPACE}::{name}", _FAKES[name], lib=library)
    return library


class _Opaque:
    """Stands for the table of functions that torch's recurrent modules and packing call."""

    def __init__(self, original: Any):
        self._original = original

    def __getattr__(self, name: str) -> Any:
        import torch

        ops = getattr(torch.ops, NAMESPACE)
        if name == "_pad_packed_sequence":
            return _pad
        if name in _PACKING:
            return getattr(ops, name)
        if name not in _RECURRENT:
            return getattr(self._original, name)

        def call(*args: Any) -> Any:
            packed = isinstance(args[3], list | tuple)
            listed = [list(a) if isinstance(a, tuple) else a for a in args]
            return getattr(ops, f"{name}_data" if packed else name)(*listed)

        return call


def _pad(data: Any, batch_sizes: Any, batch_first: bool, value: float, total: Any) -> Any:
    """Without the number of steps where that is the longest row's."""
    import torch
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    if statically_known_true(total == batch_sizes.shape[0]):
        total = 0
    pad = torch.ops.mlx_transpile._pad_packed_sequence
    return pad(data, batch_sizes, batch_first, value, total)


def _of_batches(check: Callable[..., None]) -> Callable[..., None]:
    """The check of a layer's inputs, less that of the number of rows where data holds it."""

    def checked(layer: Any, input: Any, hidden: Any, batch_sizes: Any) -> None:
        if batch_sizes is None:
            check(layer, input, hidden, batch_sizes)

    return checked


@contextmanager
def opaque_recurrence() -> Iterator[None]:
    """Recurrent layers that are called inside are single operators, and so is packing."""
    from torch.nn.modules import rnn
    from torch.nn.utils import rnn as packing

    _library()
    checks = {cls: cls.check_forward_args for cls in (rnn.RNNBase, rnn.LSTM)}
    tables = rnn._VF, packing._VF
    rnn._VF, packing._VF = map(_Opaque, tables)
    for cls, check in checks.items():
        cls.check_forward_args = _of_batches(check)
    try:
        yield
    finally:
        rnn._VF, packing._VF = tables
        for cls, check in checks.items():
            cls.check_forward_args = check
