"""Whether a part of the image stands still, so that it need not be looked at again.

MediaPipe looks at every frame, and its regions follow its own landmarks: in equal frames they still move by a little,
so no gate gives exactly the same. This one is for graphs that skip frames anyway.
"""

import math

import cv2
import numpy as np

from graph_server.holistic.crops import Bytes
from graph_server.holistic.regions import Region

_SIDE, _BLOCK = 48, 4
"""Samples along each side of a part, at least where it is large; those of a block are averaged."""
_LEVELS = 0.5
"""Of 255, by which no block's mean may have changed. Where encoded video stands still it changes by less; the noise of
a raw camera counts as motion. With 2, persons who walked or danced were taken for still."""
CALM = 4
"""Looks at a person in a row that found nothing changed before one of them holds: many videos repeat single frames."""


class Stillness:
    """Compares frames with the one that was looked at last, at a grid of pixels around the region there.

    After ``calm`` looks that found nothing changed, one holds for at most ``most`` frames; 0 means that every frame is
    looked at.
    """

    def __init__(self, most: int, calm: int = 0) -> None:
        self._most, self._needed = most, calm
        self._held = self._calm = 0
        self._shape: tuple[int, ...] = ()
        self._part = (slice(0), slice(0))
        self._seen: Bytes | None = None
        self._pose: object = None

    def holds(self, image: Bytes, pose: object = None) -> bool:
        """Whether the last look is still good for this frame, which is then not looked at.

        Where a pose says where to look, the last look holds only for the very same object.
        """
        same, self._pose = pose is self._pose, pose
        if not same:
            return False
        if self._seen is None or image.shape != self._shape or _changed(self._seen, image[self._part]) > _LEVELS:
            self._calm = 0
            return False
        if self._calm < self._needed or self._held >= self._most:
            self._calm += 1
            return False
        self._held += 1
        return True

    def looked(self, image: Bytes, region: Region | None) -> None:
        """The frame was looked at, in that region; without one, the next frame is looked at, too."""
        self._seen = None
        if not self._most or region is None or region.empty:
            return
        height, width = image.shape[:2]
        cosine, sine = abs(math.cos(region.rotation)), abs(math.sin(region.rotation))
        side_x, side_y = region.width * width, region.height * height
        columns = _samples(region.x_center * width, cosine * side_x + sine * side_y, width)
        rows = _samples(region.y_center * height, sine * side_x + cosine * side_y, height)
        self._held, self._shape, self._part = 0, image.shape, (rows, columns)
        self._seen = image[self._part].copy()


def _samples(center: float, length: float, limit: int) -> slice:
    """Where to sample along a side, inside of the image."""
    low = int(min(max(center - length / 2, 0), limit - 1))
    high = int(min(max(center + length / 2, low + 1), limit))
    return slice(low, high, max(1, (high - low) // _SIDE))


def _changed(seen: Bytes, now: Bytes) -> float:
    """By how many levels the mean of a block has changed, at most."""
    difference = cv2.subtract(seen, now, dtype=cv2.CV_32F)
    height, width = difference.shape[:2]
    blocks = (max(1, width // _BLOCK), max(1, height // _BLOCK))
    means = cv2.resize(difference, blocks, interpolation=cv2.INTER_AREA)
    return float(np.abs(means).max())
