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
