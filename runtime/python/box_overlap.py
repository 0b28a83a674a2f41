def box_overlap(one: list[float], other: list[float]) -> float:
    """The joint area of two boxes over the area of both; corners as lower, upper."""
    sides = [min(one[i], other[i]) - max(one[i - 2], other[i - 2]) for i in (2, 3)]
    joint = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    both = areas[0] + areas[1] - joint
    return joint / both if both > 0 else 0.0
