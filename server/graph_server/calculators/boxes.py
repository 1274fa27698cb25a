"""Detections (boxes with score and keypoints), and non-maximum suppression.

Source: mediapipe/calculators/util/non_max_suppression_calculator.cc.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One detection. ``box`` is float32 [4]: left, top, right, bottom. ``keypoints`` is float32 [k, 2]. All are 0…1.

    ``label`` is the number of the class, or ``None`` without classes. ``text`` is its name, empty until it is known.
    """

    box: Array
    score: float
    label: int | None
    keypoints: Array
    text: str = ""

    @property
    def finite(self) -> bool:
        """Whether no value is NaN or infinite."""
        return bool(math.isfinite(self.score) and np.isfinite(self.box).all() and np.isfinite(self.keypoints).all())

    def moved(self, move: Callable[[Array], Array]) -> "Detection":
        """The detection with all points changed by ``move``, which takes and gives float32 [n, 5].

        The new box is the upright box around the moved corners.
        """
        left, top, right, bottom = self.box
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
        points = np.zeros((4 + len(self.keypoints), 5), np.float32)
        points[:4, :2], points[4:, :2] = corners, self.keypoints
        points = move(points)[:, :2]
        box = np.concatenate([points[:4].min(axis=0), points[:4].max(axis=0)])
        return replace(self, box=box, keypoints=points[4:])


Detections = Sequence[Detection]


def keypoints_of(detection: Any) -> Array:
    """The keypoints [k, 2…]. A detection of a fused subgraph is only an array of keypoints."""
    return detection.keypoints if isinstance(detection, Detection) else detection


def suppressed(
    detections: Detections, *, threshold: float, overlap: int, weighted: bool, min_score: float, most: int
) -> list[Detection]:
    """Keep the best of the detections that overlap by more than ``threshold``.

    With ``weighted``, the best one is averaged with the others by score. ``overlap`` is OverlapType of the
    calculator's options: 2 is the part of the worse box that the better one covers, all others are intersection over
    union. ``most`` is the largest number of results; below 0 there is no limit, and as in MediaPipe it only limits the
    algorithm that is not weighted. A ``min_score`` of 0 or less means no minimum.
    """
    boxes = np.array([detection.box for detection in detections], np.float32)
    scores = np.array([detection.score for detection in detections], np.float32)
    remaining = np.argsort(-scores, kind="stable")
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    found: list[Detection] = []
    while remaining.size:
        best = remaining[0]
        if min_score > 0 and scores[best] < min_score:
            break
        high = np.minimum(boxes[remaining, 2:], boxes[best, 2:])
        low = np.maximum(boxes[remaining, :2], boxes[best, :2])
        intersection = np.prod(np.clip(high - low, 0, None), axis=1)
        base = areas[remaining] if overlap == 2 else areas[remaining] + areas[best] - intersection
        together = intersection > threshold * base
        group = remaining[together] if weighted and together.any() else remaining[:1]
        together[0] = True
        found.append(_average([detections[index] for index in group]))
        if not weighted and len(found) == most:
            break
        remaining = remaining[~together]
    return found


def _average(group: Detections) -> Detection:
    """The average box and keypoints, weighted by score. Score and label are those of the best, the first one."""
    if len(group) == 1:
        return group[0]
    weights = np.array([detection.score for detection in group], np.float32)
    weights /= weights.sum()
    return replace(
        group[0],
        box=np.tensordot(weights, np.stack([detection.box for detection in group]), axes=1),
        keypoints=np.tensordot(weights, np.stack([detection.keypoints for detection in group]), axes=1),
    )
