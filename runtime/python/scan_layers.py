from collections.abc import Callable

import mlx.core as mx


def scan_layers(
    scan: Callable[..., tuple[mx.array, ...]],
    x: mx.array,
    state: tuple[mx.array, ...],
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool,
) -> tuple[mx.array, ...]:
    """Stack recurrent layers over the first axis of x, in one direction or in both.

    `scan(x, state, *weights)` runs one of them and returns its outputs and last state.
    `weights` and the first axis of each state go by layer, then direction.
    """
    directions = 2 if bidirectional else 1
    last_states = []
    for first in range(0, len(weights), directions):
        outputs = []
        for k in range(first, first + directions):
            step = -1 if k > first else 1
            out, *last = scan(x[::step], [s[k] for s in state], *weights[k])
            outputs.append(out[::step])
            last_states.append(last)
        x = mx.concatenate(outputs, axis=-1)
    return x, *(mx.stack(list(s)) for s in zip(*last_states))
