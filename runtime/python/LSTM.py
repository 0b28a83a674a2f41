import mlx.core as mx

from .Recurrent import Recurrent
from .run_lstm import run_lstm


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
