"""Recurrent layers, with torch's gate order and parameter names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .op import Attr, InferError, Op, equal, tensor
from .tree import (
    Keyword,
    Layer,
    Literal,
    Name,
    Operand,
    Sequence,
    Tree,
    Width,
    arrays,
    call,
    lift,
)
from .types import Tensor

_ATTRS = {
    "layers": Attr("int", 1),
    "bias": Attr("bool", True),
    "bidirectional": Attr("bool", False),
    "batch_first": Attr("bool", False),
}


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _directions(layers: int, bidirectional: bool) -> int:
    return layers * (2 if bidirectional else 1)


def weight_names(
    layers: int, bias: bool, bidirectional: bool, projected: bool = False
) -> list[str]:
    """torch's attribute names, in the order of its flat weight list."""
    parts = [
        "weight_ih",
        "weight_hh",
        *(["bias_ih", "bias_hh"] if bias else []),
        *(["weight_hr"] if projected else []),
    ]
    ends = ["", "_reverse"] if bidirectional else [""]
    return [f"{part}_l{layer}{end}" for layer in range(layers) for end in ends for part in parts]


def _infer(states: int) -> Callable[..., tuple[Tensor, ...]]:
    """Output and last states; `states` is 2 for an LSTM (h, c)."""

    def infer(
        x: Any,
        *rest: Any,
        layers: int,
        bias: bool,
        bidirectional: bool,
        batch_first: bool,
        **attrs: Any,
    ) -> tuple[Tensor, ...]:
        lengths, weights = rest[states], rest[states + 1 :]
        count = _directions(layers, bidirectional)
        if len(weights) % count:
            raise InferError(f"{len(weights)} weights for {count} layers and directions")
        equal(tensor(x).shape[-1], weights[0].shape[1])
        out, hidden = (
            weights[1].shape[1],
            weights[0].shape[0] // _GATES[states, attrs.get("nonlinearity", "")],
        )
        sizes = [out, hidden] if states == 2 else [out]
        batch = x.shape[:-1][0 if batch_first else 1] if x.rank == 3 else None
        last = [x.with_shape(count, *([] if batch is None else [batch]), s) for s in sizes]
        for given, expected in zip(rest[:states], last, strict=True):
            if given is not None:
                for a, b in zip(given.shape, expected.shape, strict=True):
                    equal(a, b)
        _check_lengths(lengths, batch)
        return (x.with_shape(*x.shape[:-1], out * (2 if bidirectional else 1)), *last)

    return infer


def _check_lengths(lengths: Any, batch: Any) -> None:
    if lengths is None:
        return
    if batch is None or tensor(lengths).rank != 1 or not lengths.dtype.is_integer:
        raise InferError(f"the lengths are {lengths}: an integer for each row of a batch expected")
    equal(lengths.shape[0], batch)


# Gates by (number of states, nonlinearity): an LSTM has 2 states, a GRU 1 and no nonlinearity.
_GATES = {(2, ""): 4, (1, ""): 3, (1, "tanh"): 1, (1, "relu"): 1}


def _groups(weights: tuple[Any, ...], count: int, bias: bool) -> Iterator[tuple[Any, ...]]:
    """(w_ih, w_hh, b_ih, b_hh, w_hr) of each layer and direction, None where absent."""
    size = len(weights) // count
    for i in range(count):
        part = list(weights[i * size : (i + 1) * size])
        projected = size == (5 if bias else 3)
        yield (*part[:2], *(part[2:4] if bias else [None, None]), part[-1] if projected else None)


def _call_tree(function: str, states: int) -> Callable[..., Tree]:
    """A free-standing call, with an initial state of zeros written out."""

    def emit(node: Any, x: Tree, *rest: Tree) -> Tree:
        groups = [
            Sequence(tuple(_leaf(w) for w in (group if group[-1] is not None else group[:4])))
            for group in _groups(
                rest[states + 1 :], _directions(node["layers"], node["bidirectional"]), node["bias"]
            )
        ]
        options: dict[str, Any] = {}
        if node["batch_first"] and node.type(0).rank == 3:
            options["batch_first"] = True
        if rest[states] != Literal(None):
            options["lengths"] = rest[states]
        initial = [
            _zeros(node, i + 1) if s == Literal(None) else s for i, s in enumerate(rest[:states])
        ]
        extra = [_nonlinearity(node)] if "nonlinearity" in node.attrs else []
        return call(function, x, *initial, arrays(groups), node["bidirectional"], *extra, **options)

    return emit


def _leaf(tree: Any) -> Tree:
    return Literal(None) if tree is None else tree


def _nonlinearity(node: Any) -> Tree:
    return Name("nn.relu" if node["nonlinearity"] == "relu" else "nn.tanh")


def _zeros(node: Any, result: int) -> Tree:
    kind = node.results[result].tensor
    options = {} if kind.dtype.value == "f32" else {"dtype": kind.dtype}
    return call("mx.zeros", kind.shape, **options)


def _call_shape(node: Any, states: int) -> tuple[tuple[Tree, ...], tuple[Any, ...]]:
    """Called with `x`, `x, h` or `x, (h, c)`; it returns `out, h` or `out, (h, c)`."""
    results: tuple[Any, ...] = (0, 1) if states == 1 else (0, (1, 2))
    inputs: tuple[Tree, ...] = (Operand(0),)
    if node.operands[1] is not None:
        given = tuple(Operand(1 + i) for i in range(states))
        inputs = (*inputs, given[0] if states == 1 else Sequence(given))
    if node.operands[1 + states] is not None:
        inputs = (*inputs, Keyword("lengths", Operand(1 + states), 1 + states))
    return inputs, results


def _layer(cls: str, states: int) -> Callable[[Any], Layer]:
    def layer(node: Any) -> Layer:
        first = 2 + states
        weights = node.operands[first:]
        size = len(weights) // _directions(node["layers"], node["bidirectional"])
        projected = size == (5 if node["bias"] else 3)
        names = weight_names(node["layers"], node["bias"], node["bidirectional"], projected)
        hidden = node.type(first).shape[0] // {"LSTM": 4, "GRU": 3, "RNN": 1}[cls]
        options = {
            "num_layers": (node["layers"], 1),
            "bias": (node["bias"], True),
            "bidirectional": (node["bidirectional"], False),
            "batch_first": (node["batch_first"], False),
            "nonlinearity": (node.attrs.get("nonlinearity", "tanh"), "tanh"),
            "proj_size": (node.type(first + 1).shape[1] if projected else 0, 0),
        }
        size_tree: Tree = hidden if projected else Width(first + 1, 1)
        given = tuple((k, lift(v)) for k, (v, default) in options.items() if v != default)
        params = tuple((first + i, n) for i, n in enumerate(names))
        inputs, results = _call_shape(node, states)
        return Layer(f"runtime.{cls}", params, (Width(first, 1), size_tree), given, inputs, results)

    return layer


# ---- reference


def _scan(
    step: Callable[..., tuple[np.ndarray, ...]],
    x: np.ndarray,
    state: tuple[np.ndarray, ...],
    weights: tuple[Any, ...],
    lengths: Any,
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    outputs = []
    for t, row in enumerate(x):
        new = step(row, state, *weights)
        if lengths is not None:
            new = tuple(
                np.where(t < lengths[:, None], a, b) for a, b in zip(new, state, strict=True)
            )
        state = new
        outputs.append(state[0] if lengths is None else state[0] * (t < lengths[:, None]))
    return np.stack(outputs), state


def _turned(x: np.ndarray, lengths: Any) -> np.ndarray:
    """Backwards in time; each row within its length, where there are lengths."""
    if lengths is None:
        return x[::-1]
    out = x.copy()
    for row, length in enumerate(np.minimum(lengths, len(x))):
        out[:length, row] = x[:length, row][::-1]
    return out


def _run(
    step: Callable[..., tuple[np.ndarray, ...]], states: int
) -> Callable[..., tuple[np.ndarray, ...]]:
    def reference(
        x: np.ndarray,
        *rest: Any,
        layers: int,
        bias: bool,
        bidirectional: bool,
        batch_first: bool,
        **attrs: Any,
    ) -> tuple[np.ndarray, ...]:
        ways = 2 if bidirectional else 1
        lengths, groups = rest[states], list(_groups(rest[states + 1 :], layers * ways, bias))
        y = (x.swapaxes(0, 1) if batch_first and x.ndim == 3 else x).astype(np.float64)
        initial = _initial(rest[:states], groups, y)
        finals: list[tuple[np.ndarray, ...]] = []
        for layer in range(layers):
            outs = []
            for way in range(ways):
                k = layer * ways + way
                out, last = _scan(
                    _with(step, attrs),
                    _turned(y, lengths) if way else y,
                    tuple(s[k] for s in initial),
                    groups[k],
                    lengths,
                )
                outs.append(_turned(out, lengths) if way else out)
                finals.append(last)
            y = np.concatenate(outs, -1)
        y = y.swapaxes(0, 1) if batch_first and x.ndim == 3 else y
        return (
            y.astype(x.dtype),
            *(np.stack([f[i] for f in finals]).astype(x.dtype) for i in range(states)),
        )

    return reference


def _with(step: Callable[..., Any], attrs: dict[str, Any]) -> Callable[..., Any]:
    return lambda *args: step(*args, **attrs)


def _initial(
    given: tuple[Any, ...], groups: list[tuple[Any, ...]], y: np.ndarray
) -> list[np.ndarray]:
    sizes = [groups[0][1].shape[1], groups[0][0].shape[0] // 4]
    return [
        np.zeros((len(groups), *y.shape[1:-1], size)) if state is None else state.astype(np.float64)
        for state, size in zip(given, sizes, strict=False)
    ]


def _affine(x: np.ndarray, w: np.ndarray, b: Any) -> np.ndarray:
    return x @ w.T if b is None else x @ w.T + b


def _lstm_step(
    x: np.ndarray,
    state: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
    w_hr: Any = None,
) -> tuple[np.ndarray, ...]:
    h, c = state
    i, f, g, o = np.split(_affine(x, w_ih, b_ih) + _affine(h, w_hh, b_hh), 4, -1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    h = _sigmoid(o) * np.tanh(c)
    return (h if w_hr is None else h @ w_hr.T), c


def _gru_step(
    x: np.ndarray,
    state: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
    w_hr: Any = None,
) -> tuple[np.ndarray, ...]:
    (h,) = state
    x_r, x_z, x_n = np.split(_affine(x, w_ih, b_ih), 3, -1)
    h_r, h_z, h_n = np.split(_affine(h, w_hh, b_hh), 3, -1)
    z = _sigmoid(x_z + h_z)
    n = np.tanh(x_n + _sigmoid(x_r + h_r) * h_n)
    return (n + z * (h - n),)


def _rnn_step(
    x: np.ndarray,
    state: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
    w_hr: Any = None,
    nonlinearity: str = "tanh",
) -> tuple[np.ndarray, ...]:
    total = _affine(x, w_ih, b_ih) + _affine(state[0], w_hh, b_hh)
    return (np.tanh(total) if nonlinearity == "tanh" else np.maximum(total, 0),)


def _infer_lstm_cell(x: Any, h: Any, c: Any, *weights: Any) -> tuple[Tensor, Tensor]:
    equal(tensor(x).shape[-1], weights[0].shape[1])
    return h, c


def _infer_gru_cell(x: Any, h: Any, *weights: Any) -> Tensor:
    equal(tensor(x).shape[-1], weights[0].shape[1])
    return h


def _cell(name: str) -> Callable[..., Tree]:
    def emit(node: Any, *trees: Tree) -> Tree:
        kept = list(trees)
        while kept and kept[-1] == Literal(None):
            kept.pop()
        return call(f"runtime.{name}", *kept)

    return emit


ROWS = [
    Op(
        "lstm",
        "x h? c? lengths? *weights",
        _infer(2),
        _call_tree("runtime.run_lstm", 2),
        _run(_lstm_step, 2),
        _ATTRS,
        layer=_layer("LSTM", 2),
        several=True,
        doc="Output, last h, last c of stacked LSTM layers; no initial state means zeros. "
        "Gates i, f, g, o. A row of the batch ends (backwards: starts) at its length; its outputs "
        "past it are 0. "
        "Hochreiter and Schmidhuber, 1997.",
    ),
    Op(
        "gru",
        "x h? lengths? *weights",
        _infer(1),
        _call_tree("runtime.run_gru", 1),
        _run(_gru_step, 1),
        _ATTRS,
        layer=_layer("GRU", 1),
        several=True,
        doc="Output and last h of stacked GRU layers; gates r, z, n, the reset gate after the "
        "product; lengths as for `lstm`. Cho et al., 2014.",
    ),
    Op(
        "rnn",
        "x h? lengths? *weights",
        _infer(1),
        _call_tree("runtime.run_rnn", 1),
        _run(_rnn_step, 1),
        {**_ATTRS, "nonlinearity": Attr("str", "tanh")},
        layer=_layer("RNN", 1),
        several=True,
        doc="Output and last h of stacked Elman layers; tanh or relu; lengths as for `lstm`.",
    ),
    Op(
        "lstm_cell",
        "x h c w_ih w_hh b_ih? b_hh?",
        _infer_lstm_cell,
        _cell("lstm_cell"),
        lambda x, h, c, *w: tuple(v.astype(x.dtype) for v in _lstm_step(x, (h, c), *w)),
        several=True,
        doc="One LSTM step: the next h and c.",
    ),
    Op(
        "gru_cell",
        "x h w_ih w_hh b_ih? b_hh?",
        _infer_gru_cell,
        _cell("gru_cell"),
        lambda x, h, *w: _gru_step(x, (h,), *w)[0].astype(x.dtype),
        doc="One GRU step: the next h.",
    ),
]
