import mlx.core as mx


def box_corners(boxes: mx.array, centered: bool = False) -> mx.array:
    """The lower and upper corner of boxes [..., 4]: opposite corners, or (centered) a
    middle and a size.
    """
    a, b = boxes[..., :2], boxes[..., 2:]
    if centered:
        a, b = a - b / 2, a + b / 2
    return mx.concatenate([mx.minimum(a, b), mx.maximum(a, b)], axis=-1)
