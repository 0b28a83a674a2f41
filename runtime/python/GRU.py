import mlx.core as mx

from .Recurrent import Recurrent
from .run_gru import run_gru


class GRU(Recurrent):
    """torch.nn.GRU: layers, directions and parameter names as there; no dropout.

    `lengths` are those of the rows, whose outputs past them are 0.
    """

    gates = 3

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
        x, h = run_gru(x, h, weights, self.bidirectional, lengths=lengths)
        return self.time_first(x), h
