import mlx.core as mx

from .nonzero import nonzero


def unique(
    x: mx.array, axis: int | None = None, sort: bool = True
) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """The distinct elements of x, or slices of an axis; int64 places of the first ones,
    which one each of x is, and how many there are. Waits for their number.

    Sorted, or in the order of the first ones.
    """
    x = x.reshape(-1) if axis is None else x
    along = axis or 0
    size = x.shape[along]
    rows = mx.moveaxis(x, along, 0).reshape(size, -1)
    order = mx.arange(size)
    for column in reversed(range(rows.shape[1])):
        order = order[mx.argsort(rows[order, column])]
    same = mx.all(rows[order][1:] == rows[order][:-1], axis=1)
    fresh = mx.concatenate([mx.ones((min(size, 1),), mx.bool_), ~same])
    starts = nonzero(fresh)[0]
    ends = mx.concatenate([starts[1:], mx.full((min(size, 1),), size, mx.int64)])
    first, counts = order[starts].astype(mx.int64), ends - starts
    group = mx.cumsum(fresh.astype(mx.int64)) - 1
    inverse = group[mx.argsort(order)]
    if not sort:
        ranks = mx.argsort(first)
        inverse = mx.argsort(ranks)[inverse].astype(mx.int64)
        first, counts = first[ranks], counts[ranks]
    return mx.take(x, first, axis=along), first, inverse, counts
