import mlx.core as mx


def block_update(
    x: mx.array,
    src: mx.array | float,
    axes: tuple[int, ...],
    starts: tuple[int, ...],
    stops: tuple[int, ...],
) -> mx.array:
    """x with src in place of its block from start to stop along each of the axes."""
    out, places = mx.array(x), [slice(None)] * x.ndim
    for axis, start, stop in zip(axes, starts, stops):
        places[axis] = slice(start, stop)
    out[tuple(places)] = src
    return out
