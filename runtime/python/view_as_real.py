import mlx.core as mx


def view_as_real(x: mx.array) -> mx.array:
    """torch.view_as_real: real and imaginary parts on a new last axis."""
    return mx.stack([mx.real(x), mx.imag(x)], axis=-1)
