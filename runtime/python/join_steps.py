import mlx.core as mx


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
