from collections.abc import Callable

import mlx.core as mx

from .flip_time import flip_time
from .join_steps import join_steps


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
