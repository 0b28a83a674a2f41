"""BiLSTMTagger in MLX, transpiled; see manifest.json."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn


class Recurrent(nn.Module):
    """The parameters of torch's recurrent layers under their names (`weight_ih_l0`)."""

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        batch_first: bool = False,
        proj_size: int = 0,
    ):
        super().__init__()
        self.hidden_size = hidden_size
        self.proj_size = proj_size
        self.bidirectional = bidirectional
        self.batch_first = batch_first

        out_size = proj_size or hidden_size
        directions = ("", "_reverse") if bidirectional else ("",)
        scale = hidden_size**-0.5
        self._suffixes = [f"_l{i}{d}" for i in range(num_layers) for d in directions]
        for k, suffix in enumerate(self._suffixes):
            first_layer = k < len(directions)
            in_size = input_size if first_layer else out_size * len(directions)
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (self.gates * hidden_size, in_size),
                "weight_hh": (self.gates * hidden_size, out_size),
            }
            if bias:
                shapes |= dict.fromkeys(
                    ("bias_ih", "bias_hh"), (self.gates * hidden_size,)
                )
            if proj_size:
                shapes["weight_hr"] = (proj_size, hidden_size)
            for name, shape in shapes.items():
                self[name + suffix] = mx.random.uniform(-scale, scale, shape)

    def weights(self, *names: str) -> list[tuple[mx.array | None, ...]]:
        """The named parameters of each layer and direction, None where absent."""
        return [tuple(self.get(n + s) for n in names) for s in self._suffixes]

    def initial_state(self, x: mx.array, size: int) -> mx.array:
        """Zeros for each layer and direction; x is [L, N, D] or [L, D]."""
        return mx.zeros((len(self._suffixes), *x.shape[1:-1], size), x.dtype)

    def time_first(self, x: mx.array) -> mx.array:
        """Swap batch and time where batch comes first; its own inverse."""
        return x.swapaxes(0, 1) if self.batch_first and x.ndim == 3 else x


def affine(x: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
    """torch.nn.functional.linear."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


def lstm_gates(gates: mx.array, c: mx.array) -> tuple[mx.array, mx.array]:
    """One LSTM step from pre-activations [..., 4 * H] in torch's order i, f, g, o."""
    i, f, g, o = mx.split(gates, 4, axis=-1)
    c = mx.sigmoid(f) * c + mx.sigmoid(i) * mx.tanh(g)
    return mx.sigmoid(o) * mx.tanh(c), c


def flip_time(x: mx.array, lengths: mx.array | None = None) -> mx.array:
    """x [L, N, D] backwards; each row within its length, where there are lengths."""
    if lengths is None:
        return x[::-1]
    steps = mx.arange(x.shape[0], dtype=lengths.dtype)[:, None]
    index = mx.where(steps < lengths, lengths - 1 - steps, steps)
    return mx.take_along_axis(x, index[..., None], axis=0)


def join_steps(
    states: list[tuple[mx.array, ...]], lengths: mx.array | None = None
) -> tuple[mx.array, tuple[mx.array, ...]]:
    """Outputs [L, N, H] and last state of a recurrent layer.

    states: the initial one, then one a step; h, the first part of it, is the output.
    A row ends at its length: its outputs past it are 0.
    """
    if lengths is None:
        return mx.stack([h for h, *_ in states[1:]]), states[-1]
    steps = [mx.stack(list(s)) for s in zip(*states)]
    ends = lengths[None, :, None]
    valid = mx.arange(len(states) - 1)[:, None, None] < ends
    last = tuple(mx.take_along_axis(s, ends, axis=0)[0] for s in steps)
    return mx.where(valid, steps[0][1:], 0), last


def scan_layers(
    scan: Callable[..., list[tuple[mx.array, ...]]],
    x: mx.array,
    state: tuple[mx.array, ...],
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool,
    batch_first: bool = False,
    lengths: mx.array | None = None,
) -> tuple[mx.array, ...]:
    """Stack recurrent layers over time (x's first axis, or second with batch_first).

    `scan(x, state, *weights)` runs one of them, and returns its state after each step.
    `weights` and the first axis of each state go by layer, then direction. With
    lengths, a row of the batch ends, and backwards starts, at its own.
    """
    directions = 2 if bidirectional else 1
    x = x.swapaxes(0, 1) if batch_first else x
    if lengths is not None:
        lengths = mx.minimum(lengths, x.shape[0])
    last_states = []
    for first in range(0, len(weights), directions):
        outputs = []
        for k in range(first, first + directions):
            backward = k > first
            start = tuple(s[k] for s in state)
            steps = scan(flip_time(x, lengths) if backward else x, start, *weights[k])
            out, last = join_steps([start, *steps], lengths)
            outputs.append(flip_time(out, lengths) if backward else out)
            last_states.append(last)
        x = mx.concatenate(outputs, axis=-1)
    x = x.swapaxes(0, 1) if batch_first else x
    return x, *(mx.stack(list(s)) for s in zip(*last_states))


def run_lstm(
    x: mx.array,
    h: mx.array,
    c: mx.array,
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool = False,
    batch_first: bool = False,
    lengths: mx.array | None = None,
) -> tuple[mx.array, mx.array, mx.array]:
    """torch.lstm over x [L, N, D], [L, D] or, batch_first, [N, L, D]: outputs, h and c.

    weights: (w_ih, w_hh, b_ih, b_hh, w_hr) for each layer and direction, or None.
    lengths: the number of steps of each row, [N]; outputs past them are 0.
    """
    out, h, c = scan_layers(
        _scan_lstm, x, (h, c), weights, bidirectional, batch_first, lengths
    )
    return out, h, c


def _scan_lstm(x, state, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None):
    h, c = state
    steps = []
    for x_gates in affine(x, w_ih, b_ih):
        h, c = lstm_gates(x_gates + affine(h, w_hh, b_hh), c)
        if w_hr is not None:
            h = h @ w_hr.T
        steps.append((h, c))
    return steps


class LSTM(Recurrent):
    """torch.nn.LSTM: layers, directions, projections and parameter names as there.

    Takes and returns (h, c); dropout between layers, off at inference, is left out.
    `lengths` are those of the rows, whose outputs past them are 0.
    """

    gates = 4

    def __call__(
        self,
        x: mx.array,
        state: tuple[mx.array, mx.array] | None = None,
        lengths: mx.array | None = None,
    ) -> tuple[mx.array, tuple[mx.array, mx.array]]:
        x = self.time_first(x)
        if state is None:
            h = self.initial_state(x, self.proj_size or self.hidden_size)
            c = self.initial_state(x, self.hidden_size)
        else:
            h, c = state
        weights = self.weights(
            "weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"
        )
        x, h, c = run_lstm(x, h, c, weights, self.bidirectional, lengths=lengths)
        return self.time_first(x), (h, c)


@dataclass
class ModelArgs:
    vocab_size: int
    rnn_hidden_size: int
    embedding_size: int
    hidden2tag_input_dims: int
    hidden2tag_output_dims: int


class Model(nn.Module):
    def __init__(self, args: ModelArgs):
        super().__init__()
        self.embedding = nn.Embedding(args.vocab_size, args.embedding_size)
        self.lstm = LSTM(
            args.embedding_size,
            args.rnn_hidden_size,
            num_layers=2,
            bidirectional=True,
            batch_first=True,
        )
        self.hidden2tag = nn.Linear(
            args.hidden2tag_input_dims, args.hidden2tag_output_dims
        )

    def __call__(self, sentence: mx.array) -> mx.array:
        h, _ = self.lstm(self.embedding(sentence))
        return self.hidden2tag(h)


def load(path: str | Path | None = None) -> Model:
    """Build the model from config.json and weights.safetensors in `path` (here by default)."""
    path = Path(path or Path(__file__).parent)
    config = json.loads((path / "config.json").read_text())
    model = Model(ModelArgs(**{f.name: config[f.name] for f in fields(ModelArgs)}))
    weights = mx.load(str(path / "weights.safetensors"))
    if "quantization" in config:
        nn.quantize(
            model,
            **config["quantization"],
            class_predicate=lambda name, module: hasattr(module, "to_quantized")
            and f"{name}.scales" in weights,
        )
    model.load_weights(list(weights.items()))
    return model.eval()
