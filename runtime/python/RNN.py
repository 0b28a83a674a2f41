import mlx.core as mx
import mlx.nn as nn

from .Recurrent import Recurrent
from .run_rnn import run_rnn


class RNN(Recurrent):
    """torch.nn.RNN: layers, directions and parameter names as there; no dropout.

    `lengths` are those of the rows, whose outputs past them are 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        bidirectional: bool = False,
        batch_first: bool = False,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias, bidirectional, batch_first
        )
        self.nonlinearity = nn.relu if nonlinearity == "relu" else nn.tanh

    def __call__(
        self,
        x: mx.array,
        h: mx.array | None = None,
        lengths: mx.array | None = None,
    ) -> tuple[mx.array, mx.array]:
        x = self.time_first(x)
        if h is None:
            h = self.initial_state(x, self.hidden_size)
        weights = self.weights("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        x, h = run_rnn(
            x, h, weights, self.bidirectional, self.nonlinearity, lengths=lengths
        )
        return self.time_first(x), h
