import mlx.core as mx


def check_multiple(
    name: str, x: mx.array, axis: int, factor: int, plus: int = 0
) -> None:
    """Raise ValueError unless the axis has a multiple of factor, plus a rest."""
    if x.shape[axis] % factor != plus:
        wanted = f"{factor} plus {plus}" if plus else f"{factor}"
        raise ValueError(
            f"{name} has shape {x.shape}: axis {axis} must be a multiple of {wanted}"
        )
