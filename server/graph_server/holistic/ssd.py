"""SSD detections: anchors, decoding, weighted non-maximum suppression.

Sources: calculators/tflite/ssd_anchors_calculator.cc, calculators/tensor/tensors_to_detections_calculator.cc,
calculators/util/non_max_suppression_calculator.cc.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """The shape of an SSD detector: side of its square input in pixels, strides of its layers, keypoints per box."""

    side: int
    strides: tuple[int, ...]
    keypoints: int
    threshold: float = 0.5
    suppression: float = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A detection, 0…1 of the crop.

    ``corners`` is float32 [2, 2] (left top, right bottom), ``keypoints`` is float32 [k, 2].
    """

    score: float
    corners: Array
    keypoints: Array


POSE_DETECTOR = DetectorOptions(side=224, strides=(8, 16, 32, 32, 32), keypoints=4)
FACE_DETECTOR = DetectorOptions(side=128, strides=(8, 16, 16, 16), keypoints=6)


def anchor_centers(side: int, strides: Sequence[int]) -> Array:
    """Centers of the anchors, float32 [n, 2], 0…1. Each layer has two in each cell, and equal strides share cells.

    Anchors have a fixed size, so only the centers matter.
    """
    centers = []
    layer = 0
    while layer < len(strides):
        stride = strides[layer]
        same = sum(1 for other in strides[layer:] if other == stride)
        cells = -(-side // stride)
        rows, columns = np.mgrid[0:cells, 0:cells]
        grid = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32)
        centers.append(np.repeat((grid + np.float32(0.5)) / np.float32(cells), 2 * same, axis=0))
        layer += same
    return np.concatenate(centers)


class Detector:
    """Decodes the raw tensors of one detector."""

    def __init__(self, options: DetectorOptions) -> None:
        self._options = options
        self._anchors = anchor_centers(options.side, options.strides)

    def best(self, boxes: Array, scores: Array) -> Array | None:
        """The keypoints of :meth:`find`, float32 [k, 2], 0…1 of the crop, or ``None``."""
        found = self.find(boxes, scores)
        return None if found is None else found.keypoints

    def find(self, boxes: Array, scores: Array) -> Found | None:
        """The best detection of :meth:`find_all`, or ``None``."""
        found = self.find_all(boxes, scores, most=1)
        return found[0] if found else None

    def find_all(self, boxes: Array, scores: Array, most: int) -> list[Found]:
        """Up to ``most`` detections, best first.

        ``boxes`` is [n, 4 + 2k] in pixels of the input, ``scores`` are logits [n]. Each box is averaged with the
        boxes that overlap it, weighted by score; these count no more.
        """
        options = self._options
        logit = np.log(options.threshold / (1.0 - options.threshold))
        # Like MediaPipe, ignore boxes with a negative size or a size of NaN. Ignore other values of NaN as well.
        chosen = np.flatnonzero((scores >= logit) & (boxes[:, 2] >= 0) & (boxes[:, 3] >= 0))
        chosen = chosen[np.isfinite(boxes[chosen]).all(axis=1)]
        found: list[Found] = []
        while chosen.size and len(found) < most:
            weights = 1.0 / (1.0 + np.exp(-np.clip(scores[chosen], -100, 100)))
            anchors = self._anchors[chosen]
            raw = boxes[chosen] / np.float32(options.side)
            centers = raw[:, :2] + anchors
            low, high = centers - raw[:, 2:4] / 2, centers + raw[:, 2:4] / 2
            best = int(np.argmax(weights))
            shared = np.minimum(high, high[best]) - np.maximum(low, low[best])
            intersection = np.prod(np.clip(shared, 0, None), axis=1)
            areas = np.prod(high - low, axis=1)
            union = areas + areas[best] - intersection
            together = intersection > options.suppression * union
            together[best] = True
            points = raw[:, 4:].reshape(len(chosen), options.keypoints, 2) + anchors[:, None]
            weight = weights[together].astype(np.float32)
            corners = np.stack([low[together], high[together]], axis=1)
            average = Found(float(weights[best]), _average(corners, weight), _average(points[together], weight))
            found.append(average)
            chosen = chosen[~together]
        return found


def _average(points: Array, weight: Array) -> Array:
    average: Array = np.tensordot(weight, points, axes=1) / weight.sum()
    return average
