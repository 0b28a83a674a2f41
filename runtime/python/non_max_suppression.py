from typing import Any

import mlx.core as mx

from .box_corners import box_corners
from .box_overlap import box_overlap


def non_max_suppression(
    boxes: mx.array,
    scores: mx.array,
    most: int,
    overlap: float,
    least: float | None = None,
    centered: bool = False,
) -> mx.array:
    """The (batch, class, box) of the best boxes, int64. Waits for boxes and scores.

    A box goes if a better one of its class overlaps it by more than `overlap`, or if
    its score is not above `least`.
    """
    corners: Any = box_corners(boxes, centered).tolist()
    order: Any = mx.argsort(-scores, axis=-1).tolist()
    values: Any = scores.tolist()
    found: list[list[int]] = []
    for batch in range(scores.shape[0]):
        for group in range(scores.shape[1]):
            kept: list[int] = []
            for i in order[batch][group]:
                too_low = least is not None and values[batch][group][i] <= least
                if len(kept) >= most or too_low:
                    break
                box = corners[batch][i]
                if all(box_overlap(box, corners[batch][k]) <= overlap for k in kept):
                    kept.append(i)
            found += [[batch, group, i] for i in kept]
    return mx.array(found, mx.int64) if found else mx.zeros((0, 3), mx.int64)
