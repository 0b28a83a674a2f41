import mlx.core as mx


def view_as_complex(x: mx.array) -> mx.array:
    """torch.view_as_complex: the last axis holds real and imaginary parts."""
    return x.view(mx.complex64).squeeze(-1)
