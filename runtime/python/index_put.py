import mlx.core as mx


def index_put(
    x: mx.array,
    indices: tuple[mx.array | None, ...],
    values: mx.array | float,
    accumulate: bool = False,
) -> mx.array:
    """torch.index_put: None takes a whole axis; a mask must be the only index."""
    first = indices[0]
    if first is not None and first.dtype == mx.bool_:
        out = mx.zeros_like(x) if accumulate else mx.array(x)
        out[first] = values
        return x + out if accumulate else out
    place = tuple(slice(None) if i is None else i for i in indices)
    if accumulate:
        return x.at[place].add(values)
    out = mx.array(x)
    out[place] = values
    return out
