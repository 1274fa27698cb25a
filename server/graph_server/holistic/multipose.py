"""Persons by MoveNet MultiPose, which sees them where they are too small for MediaPipe's pose detector.

Source: the model's card, models/movenet_multipose/README.md. It gives COCO's 17 key points of up to six persons.
"""

import cv2
import numpy as np
import numpy.typing as npt

from graph_server.holistic.crops import WHOLE, Bytes, crop, padded, projected, unpadded
from graph_server.holistic.networks import Network
from graph_server.holistic.regions import Region
from graph_server.models.model import Model

Array = npt.NDArray[np.float32]

_POINTS = 17
_SHOULDERS, _HIPS = [5, 6], [11, 12]
_SURE = 0.15
"""The least score of a person. Empty rooms gave up to 0.1, persons of a fifth of the square's height 0.2 and more. The
pose network has the last word."""
_CIRCLE = 1.2
"""The radius of MediaPipe's circle around the body, over the distance from the hips to the farthest key point: as
measured, 1.1 to 1.3."""


class MultiPoseDetector:
    """Detects persons in an image or a part of it. Use it from one thread at a time."""

    def __init__(self, model: Model) -> None:
        self._network = Network(model, ("poses",), low=0.0, high=255.0)

    def detect_all(self, image: Bytes, most: int, view: Region = WHOLE) -> list[Array]:
        """The same two points as of :meth:`.PoseDetector.detect_all`, of up to ``most`` persons, best first."""
        size = (image.shape[1], image.shape[0])
        height, width = self._network.pixels.shape[:2]
        region, padding = padded(view, size, (width, height))
        crop(image, region, self._network.pixels, border=cv2.BORDER_CONSTANT)
        (poses,) = self._network.run()
        rows = poses[0]
        with np.errstate(invalid="ignore"):
            sure = np.flatnonzero((rows[:, -1] >= _SURE) & np.isfinite(rows).all(axis=1))
        best = sure[np.argsort(-rows[sure, -1], kind="stable")][:most]
        found = [alignment_points(rows[row, : 3 * _POINTS].reshape(_POINTS, 3)[:, 1::-1]) for row in best]
        points = [unpadded(np.pad(each, ((0, 0), (0, 3))), padding) for each in found]
        return [(each if view is WHOLE else projected(each, view))[:, :2] for each in points]


def alignment_points(keypoints: Array) -> Array:
    """The hip center, and the point on the circle around the body that is above it, from x and y of the key points.

    ``keypoints`` is [17, 2] of a square, the result [2, 2].
    """
    hips, shoulders = keypoints[_HIPS].mean(axis=0), keypoints[_SHOULDERS].mean(axis=0)
    radius = _CIRCLE * np.hypot(*(keypoints - hips).T).max()
    up = shoulders - hips
    above: Array = hips + up * (radius / max(float(np.hypot(*up)), 1e-6))
    return np.stack([hips, above])
