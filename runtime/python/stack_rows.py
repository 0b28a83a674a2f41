import mlx.core as mx


def stack_rows(
    rows: list[mx.array], shape: tuple[int, ...], dtype: mx.Dtype
) -> mx.array:
    """The rows on a new first axis; without rows, none of that shape."""
    return mx.stack(rows) if rows else mx.zeros((0, *shape), dtype)
