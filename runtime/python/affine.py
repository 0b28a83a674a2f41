import mlx.core as mx


def affine(x: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
    """torch.nn.functional.linear."""
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)
