from collections.abc import Callable

import mlx.core as mx


def scan_layers(
    scan: Callable[..., tuple[mx.array, ...]],
    x: mx.array,
    state: tuple[mx.array, ...],
    weights: list[tuple[mx.array | None, ...]],
    bidirectional: bool,
    batch_first: bool = False,
) -> tuple[mx.array, ...]:
    """Stack recurrent layers over time (x's first axis, or second with batch_first).

    `scan(x, state, *weights)` runs one of them, and returns its outputs and last state.
    `weights` and the first axis of each state go by layer, then direction.
    """
    directions = 2 if bidirectional else 1
    x = x.swapaxes(0, 1) if batch_first else x
    last_states = []
    for first in range(0, len(weights), directions):
        outputs = []
        for k in range(first, first + directions):
            step = -1 if k > first else 1
            out, *last = scan(x[::step], [s[k] for s in state], *weights[k])
            outputs.append(out[::step])
            last_states.append(last)
        x = mx.concatenate(outputs, axis=-1)
    x = x.swapaxes(0, 1) if batch_first else x
    return x, *(mx.stack(list(s)) for s in zip(*last_states))
