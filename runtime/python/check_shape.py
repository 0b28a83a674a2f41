import mlx.core as mx


def check_shape(name: str, x: mx.array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the input has the shape that the model was made for."""
    if x.shape != shape:
        raise ValueError(f"{name} has shape {x.shape}, expected {shape}")
