import mlx.core as mx

from .axis_index import axis_index


def scatter_reduce(
    x: mx.array,
    axis: int,
    index: mx.array,
    src: mx.array,
    reduce: str,
    include_self: bool = True,
) -> mx.array:
    """torch.scatter_reduce by "sum", "prod", "mean", "amax" or "amin"."""
    src = src[tuple(slice(n) for n in index.shape)]
    place = axis_index(index, axis)
    count = mx.zeros(x.shape, mx.int32).at[place].add(1)
    out = x if include_self else mx.where(count > 0, _neutral(reduce, x.dtype), x)
    if reduce == "prod":
        return out.at[place].multiply(src)
    if reduce == "amax":
        return out.at[place].maximum(src)
    if reduce == "amin":
        return out.at[place].minimum(src)
    out = out.at[place].add(src)
    if reduce == "sum":
        return out
    count = mx.maximum(count + include_self, 1)
    if mx.issubdtype(x.dtype, mx.integer):
        return mx.floor_divide(out, count).astype(x.dtype)
    return out / count.astype(x.dtype)


def _neutral(reduce, dtype):
    if reduce in ("amax", "amin"):
        if mx.issubdtype(dtype, mx.floating):
            value = mx.inf if reduce == "amin" else -mx.inf
        else:
            value = mx.iinfo(dtype).max if reduce == "amin" else mx.iinfo(dtype).min
    else:
        value = 1 if reduce == "prod" else 0
    return mx.array(value, dtype)
