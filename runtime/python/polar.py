import mlx.core as mx

from .view_as_complex import view_as_complex


def polar(radius: mx.array, angle: mx.array) -> mx.array:
    """torch.polar: complex numbers from their absolute value and argument."""
    parts = [radius * mx.cos(angle), radius * mx.sin(angle)]
    return view_as_complex(mx.stack(parts, axis=-1))
