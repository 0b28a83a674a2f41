"""ONNX rows: recurrent layers. The IR's layers have torch's gates in torch's order.

What those lack (peepholes, other activations, the reset gate before the product, lengths where the
sequence is read backwards only) is written out step by step, where the number of steps is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TranspileError
from ..ir import Builder, DType, Value
from .aten_common import permuted, reshaped, static
from .onnx_math import elu, hard_sigmoid, leaky_relu, softsign, thresholded_relu, to_dtype
from .onnx_values import UNKNOWN, Call, Source
from .packed import uniform

STEPS = 64

# Where ONNX keeps each of torch's gates.
_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
_DEFAULTS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}


@dataclass(frozen=True)
class Layer:
    """The inputs of a recurrent node: x is [steps, batch, size]."""

    c: Call
    kind: str
    x: Value
    w: Value
    r: Value
    bias: Value | None
    lengths: Value | None
    h0: Value | None
    c0: Value | None
    peepholes: Value | None

    @property
    def ways(self) -> int:
        return static(self.w.tensor.shape[0], "the number of directions")

    @property
    def direction(self) -> str:
        return self.c.attr("direction", "forward")

    @property
    def hidden(self) -> int:
        return static(self.r.tensor.shape[-1], "the hidden size")


def _rnn(kind: str) -> Any:
    def row(
        c: Call, x: Source, w: Source, r: Source, bias: Source = None, lengths: Source = None,
        h0: Source = None, c0: Source = None, peepholes: Source = None,
    ) -> list[Any]:  # fmt: skip
        value, swapped = c.value(x), bool(c.attr("layout", 0))
        first, cell = c.maybe(h0), c.maybe(c0)
        if swapped:
            value = permuted(c.b, value, [1, 0, 2])
            first = first and permuted(c.b, first, [1, 0, 2])
            cell = cell and permuted(c.b, cell, [1, 0, 2])
        layer = Layer(
            c, kind, value, c.value(w, role="weight_ih"), c.value(r, role="weight_hh"),
            c.maybe(bias, role="bias"), c.maybe(lengths), first, cell, c.maybe(peepholes),
        )  # fmt: skip
        out, *last = _as_layer(layer) if _is_plain(layer) else _step_by_step(layer)
        if swapped:  # [batch, steps, ways, hidden], [batch, ways, hidden]
            out = permuted(c.b, out, [2, 0, 1, 3])
            last = [permuted(c.b, s, [1, 0, 2]) for s in last]
        return [out, *last, *[UNKNOWN] * (3 - 1 - len(last))][: max(len(c.outputs), 1)]

    return row


def _names(layer: Layer) -> list[str]:
    return layer.c.attr("activations") or _DEFAULTS[layer.kind] * layer.ways


def _is_plain(layer: Layer) -> bool:
    """Whether the IR's layer computes just this."""
    c, names = layer.c, [n.lower() for n in _names(layer)]
    usual = [n.lower() for n in _DEFAULTS[layer.kind]] * layer.ways
    plain = names == usual or (layer.kind == "RNN" and set(names) == {"relu"})
    after = layer.kind != "GRU" or bool(c.attr("linear_before_reset", 0))
    ends = layer.lengths is None or layer.direction != "reverse"
    bare = ends and layer.peepholes is None and c.attr("clip") is None
    return plain and after and bare and not c.attr("input_forget", 0)


# ---- as a layer


def _gates(b: Builder, x: Value, kind: str, hidden: int) -> Value:
    """Gates along axis 0 in torch's order."""
    order = _ORDER[kind]
    if order == tuple(range(len(order))):
        return x
    parts = [b.op("slice", x, axis=0, start=g * hidden, stop=(g + 1) * hidden) for g in order]
    return b.op("concatenate", *parts, axis=0)


def _weights(layer: Layer) -> list[Value]:
    b, count, out = layer.c.b, len(_ORDER[layer.kind]), []
    for way in range(layer.ways):
        for matrix in (layer.w, layer.r):
            own = b.op("select", matrix, axis=0, index=way)
            out.append(_gates(b, own, layer.kind, layer.hidden))
        if layer.bias is not None:
            own = b.op("select", layer.bias, axis=0, index=way)
            size = count * layer.hidden
            for start in (0, size):
                part = b.op("slice", own, axis=0, start=start, stop=start + size)
                out.append(_gates(b, part, layer.kind, layer.hidden))
    return out


def _as_layer(layer: Layer) -> list[Value]:
    b, back = layer.c.b, layer.direction == "reverse"
    x = b.op("flip", layer.x, axes=(0,)) if back else layer.x
    options: dict[str, Any] = {
        "bias": layer.bias is not None, "bidirectional": layer.ways == 2,
    }  # fmt: skip
    if layer.kind == "RNN":
        options["nonlinearity"] = _names(layer)[0].lower()
    states = [layer.h0, layer.c0] if layer.kind == "LSTM" else [layer.h0]
    if layer.kind == "LSTM" and (layer.h0 is None) != (layer.c0 is None):
        states = [_zeros(layer) if s is None else s for s in states]
    out, *last = b.op(layer.kind.lower(), x, *states, _lengths(layer), *_weights(layer), **options)
    out = b.op("flip", out, axes=(0,)) if back else out
    steps, batch, _ = out.tensor.shape
    if layer.ways == 1:
        return [b.op("expand_dims", out, axes=(1,)), *last]
    out = reshaped(b, out, (steps, batch, layer.ways, layer.hidden))
    return [permuted(b, out, [0, 2, 1, 3]), *last]


def _lengths(layer: Layer) -> Value | None:
    """The lengths of the rows, where they are not those of the batch."""
    same = uniform(layer.lengths) == layer.x.tensor.shape[0]
    return None if same else layer.lengths


def _zeros(layer: Layer) -> Value:
    shape = (layer.ways, layer.x.tensor.shape[1], layer.hidden)
    return layer.c.b.op("full", shape=shape, value=0.0, dtype=layer.x.tensor.dtype)


# ---- step by step


_FUNCTIONS: dict[str, Callable[[Builder, Value, float, float], Value]] = {
    "sigmoid": lambda b, x, *_: b.op("sigmoid", x),
    "tanh": lambda b, x, *_: b.op("tanh", x),
    "relu": lambda b, x, *_: b.op("relu", x),
    "softplus": lambda b, x, *_: b.op("softplus", x),
    "softsign": lambda b, x, *_: softsign(b, x),
    "hardsigmoid": lambda b, x, alpha, beta: hard_sigmoid(b, x, alpha, beta),
    "leakyrelu": lambda b, x, alpha, _: leaky_relu(b, x, alpha),
    "elu": lambda b, x, alpha, _: elu(b, x, alpha),
    "thresholdedrelu": lambda b, x, alpha, _: thresholded_relu(b, x, alpha),
    "affine": lambda b, x, alpha, beta: b.op("add", b.op("multiply", x, alpha), beta),
    "scaledtanh": lambda b, x, alpha, beta: b.op(
        "multiply", b.op("tanh", b.op("multiply", x, beta)), alpha
    ),
}
_ALPHA = {"hardsigmoid": 0.2, "leakyrelu": 0.01, "elu": 1.0, "thresholdedrelu": 1.0, "affine": 1.0}


def _functions(layer: Layer, way: int) -> list[Callable[[Value], Value]]:
    count = len(_DEFAULTS[layer.kind])
    alphas = list(layer.c.attr("activation_alpha") or [])
    betas = list(layer.c.attr("activation_beta") or [])
    out = []
    for i, name in enumerate(_names(layer)):
        key = name.lower()
        if key not in _FUNCTIONS:
            raise TranspileError(f"the activation {name}")
        alpha = alphas[i] if i < len(alphas) else _ALPHA.get(key, 1.0)
        beta = betas[i] if i < len(betas) else 0.5
        out.append((_FUNCTIONS[key], float(alpha), float(beta)))
    b, clip = layer.c.b, layer.c.attr("clip")

    def make(f: Any, alpha: float, beta: float) -> Callable[[Value], Value]:
        def run(x: Value) -> Value:
            return f(
                b, x if clip is None else b.op("clip", x, -float(clip), float(clip)), alpha, beta
            )

        return run

    return [make(*f) for f in out[way * count : (way + 1) * count]]


def _step_by_step(layer: Layer) -> list[Value]:
    steps = layer.x.tensor.shape[0]
    if not isinstance(steps, int) or steps > STEPS:
        raise TranspileError(
            f"a {layer.kind} over {steps} steps that MLX's layer does not compute "
            "(peepholes, other activations, the reset gate before the product, or lengths and "
            "backwards only)",
            hint="fix the number of steps with --input, or export it with the usual options",
        )
    ways = [_one_way(layer, way, steps) for way in range(layer.ways)]
    b = layer.c.b
    out = b.op("stack", *(w[0] for w in ways), axis=1)
    return [out, *(b.op("stack", *(w[i] for w in ways), axis=0) for i in range(1, len(ways[0])))]


def _one_way(layer: Layer, way: int, steps: int) -> list[Value]:
    """Output [steps, batch, hidden] and last states of one direction."""
    b = layer.c.b
    back = layer.direction == "reverse" or way == 1
    initial = [layer.h0, layer.c0] if layer.kind == "LSTM" else [layer.h0]
    state = [b.op("select", _zeros(layer) if s is None else s, axis=0, index=way) for s in initial]
    own = [None if v is None else b.op("select", v, axis=0, index=way)
           for v in (layer.w, layer.r, layer.bias, layer.peepholes)]  # fmt: skip
    step = _STEPS[layer.kind]
    functions = _functions(layer, way)
    rows: list[Any] = [None] * steps
    for t in reversed(range(steps)) if back else range(steps):
        x = b.op("select", layer.x, axis=0, index=t)
        new = step(layer, x, state, own, functions)
        rows[t] = new[0]
        if layer.lengths is not None:
            alive = _alive(layer, t)
            rows[t] = b.op("where", alive, new[0], 0.0)
            new = [b.op("where", alive, n, s) for n, s in zip(new, state, strict=True)]
        state = new
    return [b.op("stack", *rows, axis=0), *state]


def _alive(layer: Layer, t: int) -> Value:
    b = layer.c.b
    assert layer.lengths is not None
    return b.op("expand_dims", b.op("greater", to_dtype(b, layer.lengths, DType.i64), t), axes=(1,))


def _affine(b: Builder, x: Value, w: Value, bias: Value | None) -> Value:
    out = b.op("matmul", x, permuted(b, w, [1, 0]))
    return out if bias is None else b.op("add", out, bias)


def _parts(b: Builder, x: Value, count: int) -> list[Value]:
    at = x.tensor.rank - 1
    size = x.tensor.shape[at] // count
    return [b.op("slice", x, axis=at, start=i * size, stop=(i + 1) * size) for i in range(count)]


def _biases(b: Builder, bias: Value | None) -> list[Any]:
    return [None, None] if bias is None else _parts(b, bias, 2)


def _lstm_step(
    layer: Layer, x: Value, state: Sequence[Value], own: Sequence[Any], f: Sequence[Any]
) -> list[Value]:
    b, (h, cell) = layer.c.b, state
    w, r, bias, peepholes = own
    wb, rb = _biases(b, bias)
    i, o, forget, g = _parts(b, b.op("add", _affine(b, x, w, wb), _affine(b, h, r, rb)), 4)
    p_i, p_o, p_f = [None] * 3 if peepholes is None else _parts(b, peepholes, 3)

    def peep(gate: Value, p: Any, c: Value) -> Value:
        return gate if p is None else b.op("add", gate, b.op("multiply", p, c))

    i = f[0](peep(i, p_i, cell))
    if layer.c.attr("input_forget", 0):
        forget = b.op("subtract", 1.0, i)
    else:
        forget = f[0](peep(forget, p_f, cell))
    new = b.op("add", b.op("multiply", forget, cell), b.op("multiply", i, f[1](g)))
    o = f[0](peep(o, p_o, new))
    return [b.op("multiply", o, f[2](new)), new]


def _gru_step(
    layer: Layer, x: Value, state: Sequence[Value], own: Sequence[Any], f: Sequence[Any]
) -> list[Value]:
    b, (h,) = layer.c.b, state
    w, r, bias, _ = own
    wb, rb = _biases(b, bias)
    x_z, x_r, x_n = _parts(b, _affine(b, x, w, wb), 3)
    size = layer.hidden
    lead = [
        b.op("slice", m, axis=0, start=0, stop=2 * size) if m is not None else None for m in (r, rb)
    ]
    tail = [
        b.op("slice", m, axis=0, start=2 * size, stop=None) if m is not None else None
        for m in (r, rb)
    ]
    h_z, h_r = _parts(b, _affine(b, h, lead[0], lead[1]), 2)  # type: ignore[arg-type]
    z, reset = f[0](b.op("add", x_z, h_z)), f[0](b.op("add", x_r, h_r))
    if layer.c.attr("linear_before_reset", 0):
        inner = b.op("multiply", reset, _affine(b, h, tail[0], tail[1]))  # type: ignore[arg-type]
    else:
        inner = _affine(b, b.op("multiply", reset, h), tail[0], tail[1])  # type: ignore[arg-type]
    n = f[1](b.op("add", x_n, inner))
    kept = b.op("multiply", b.op("subtract", 1.0, z), n)
    return [b.op("add", kept, b.op("multiply", z, h))]


def _rnn_step(
    layer: Layer, x: Value, state: Sequence[Value], own: Sequence[Any], f: Sequence[Any]
) -> list[Value]:
    b, (h,) = layer.c.b, state
    w, r, bias, _ = own
    wb, rb = _biases(b, bias)
    return [f[0](b.op("add", _affine(b, x, w, wb), _affine(b, h, r, rb)))]


_STEPS = {"LSTM": _lstm_step, "GRU": _gru_step, "RNN": _rnn_step}

ROWS: dict[str, Any] = {kind: _rnn(kind) for kind in ("LSTM", "GRU", "RNN")}
