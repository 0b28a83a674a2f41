"""ATen rows: recurrent layers, over padded batches and over packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir import Builder, Value
from .aten_common import Row, need
from .packed import initial_states, last_state, outputs, pack, pad, unpacked

_EVAL = "call model.eval() before the model is captured"
_IN_TRAINING = "a recurrent layer with dropout in training mode"


def _is_zeros(x: Any) -> bool:
    """Whether the value is a tensor of zeros that the source makes on the spot."""
    while (
        isinstance(x, Value)
        and x.node is not None
        and x.node.op in ("cast", "broadcast_to", "expand_dims", "reshape", "take")
    ):
        x = x.node.operands[0]
    return (
        isinstance(x, Value) and x.node is not None and x.node.op == "full" and x.node["value"] == 0
    )


def _state(states: Sequence[Value]) -> list[Value | None]:
    """An initial state of zeros is left out: it is the layer's own default."""
    return [None] * len(states) if all(map(_is_zeros, states)) else list(states)


def _layer(op: str, **attrs: Any) -> Row:
    """`aten::lstm.input` and its like."""

    def row(
        b: Builder, input: Value, hx: Any, params: Sequence[Value], has_biases: bool,
        num_layers: int, dropout: float, train: bool, bidirectional: bool, batch_first: bool,
    ) -> tuple[Value, ...]:  # fmt: skip
        need(not (train and dropout), _IN_TRAINING, _EVAL)
        states = _state([hx] if isinstance(hx, Value) else hx)
        options = {"layers": num_layers, "bias": has_biases, "bidirectional": bidirectional}
        found: tuple[Value, ...] = b.op(
            op, input, *states, None, *params, batch_first=batch_first, **options, **attrs
        )
        return found

    return row


def _packed_layer(op: str, **attrs: Any) -> Row:
    """`aten::lstm.data` and its like: over the padded batch, with the lengths of its rows."""

    def row(
        b: Builder, data: Value, batch_sizes: Value, hx: Any, params: Sequence[Value],
        has_biases: bool, num_layers: int, dropout: float, train: bool, bidirectional: bool,
    ) -> tuple[Value, ...]:  # fmt: skip
        need(not (train and dropout), _IN_TRAINING, _EVAL)
        given = _state([hx] if isinstance(hx, Value) else hx)
        packed, states = initial_states(b, unpacked(b, data), given)
        options = {"layers": num_layers, "bias": has_biases, "bidirectional": bidirectional}
        out, *last = b.op(
            op, packed.padded, *states, packed.lengths, *params,
            batch_first=packed.batch_first, **options, **attrs,
        )  # fmt: skip
        return outputs(b, packed, out), *(last_state(b, packed, s) for s in last)

    return row


def _lstm_cell(
    b: Builder,
    input: Value,
    hx: Sequence[Value],
    w_ih: Value,
    w_hh: Value,
    b_ih: Any = None,
    b_hh: Any = None,
) -> tuple[Value, ...]:
    return b.op("lstm_cell", input, *hx, w_ih, w_hh, b_ih, b_hh)


def _gru_cell(
    b: Builder,
    input: Value,
    hx: Value,
    w_ih: Value,
    w_hh: Value,
    b_ih: Any = None,
    b_hh: Any = None,
) -> Value:
    return b.op("gru_cell", input, hx, w_ih, w_hh, b_ih, b_hh)


def _rnn_cell(activation: str) -> Row:
    def row(
        b: Builder,
        input: Value,
        hx: Value,
        w_ih: Value,
        w_hh: Value,
        b_ih: Any = None,
        b_hh: Any = None,
    ) -> Value:
        total = b.op("add", b.op("linear", input, w_ih, b_ih), b.op("linear", hx, w_hh, b_hh))
        return b.op(activation, total)

    return row


ROWS: dict[str, Row] = {
    "lstm": _layer("lstm"),
    "gru": _layer("gru"),
    "rnn_tanh": _layer("rnn", nonlinearity="tanh"),
    "rnn_relu": _layer("rnn", nonlinearity="relu"),
    "lstm.data": _packed_layer("lstm"),
    "gru.data": _packed_layer("gru"),
    "rnn_tanh.data": _packed_layer("rnn", nonlinearity="tanh"),
    "rnn_relu.data": _packed_layer("rnn", nonlinearity="relu"),
    "_pack_padded_sequence": pack,
    "_pad_packed_sequence": pad,
    "lstm_cell": _lstm_cell,
    "gru_cell": _gru_cell,
    "rnn_tanh_cell": _rnn_cell("tanh"),
    "rnn_relu_cell": _rnn_cell("relu"),
}
