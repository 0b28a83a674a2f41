import mlx.core as mx


def erfc(x: mx.array) -> mx.array:
    """torch.erfc in float32, accurate where 1 - mx.erf(x) has no digits left.

    erfc(z) = t * exp(p(t) - z**2) for t = 2 / (2 + z), with p fitted for z >= 0.
    """
    z = mx.abs(x).astype(mx.float32)
    t = 2 / (2 + z)
    p = mx.zeros_like(t)
    for c in _ERFC_COEFFICIENTS:
        p = p * t + c
    tail = t * mx.exp(p - z * z)
    return mx.where(x < 0, 2 - tail, tail).astype(x.dtype)


_ERFC_COEFFICIENTS = [
    0.162646623,
    -0.776841972,
    1.38132508,
    -0.992934948,
    0.162785195,
    -0.126318131,
    0.0773298814,
    0.377876145,
    0.999627613,
    -1.26549543,
]
