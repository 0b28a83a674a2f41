import mlx.core as mx


def cubic_weights(t: mx.array, a: float = -0.75) -> list[mx.array]:
    """Keys' cubic convolution for the elements at -1, 0, 1, 2 of a point at t."""

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]
