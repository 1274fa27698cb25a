"""MediaPipe's smoothing of a pose over time.

Sources: modules/pose_landmark/pose_landmark_filtering.pbtxt, util/filtering/low_pass_filter.cc of MediaPipe.
"""

import numpy as np
import numpy.typing as npt

from kserve_wire.one_euro import OneEuroFilter

Array = npt.NDArray[np.float64]

_VISIBILITY_WEIGHT = 0.1
_SMALLEST_OBJECT = 1e-6


class PoseSmoother:
    """Smooths a pose in pixels, its visibility and its world landmarks; for frames in order."""

    def __init__(self) -> None:
        self._points = OneEuroFilter(min_cutoff=0.05, beta=80.0)
        self._world = OneEuroFilter(min_cutoff=0.1, beta=40.0)
        self._visibility: Array | None = None

    def lost(self) -> None:
        """Nobody is seen: forget the last pose."""
        self._points.reset()

    def apply(
        self, points: Array, visibility: Array, world: Array, object_size: float, timestamp: int
    ) -> tuple[Array, Array, Array]:
        """Smoothed points, visibility and world landmarks. ``object_size`` is in the unit of the points."""
        before = visibility if self._visibility is None else self._visibility
        self._visibility = _VISIBILITY_WEIGHT * visibility + (1.0 - _VISIBILITY_WEIGHT) * before
        if object_size > _SMALLEST_OBJECT:
            points = self._points.apply(points, timestamp, 1.0 / object_size)
        return points, self._visibility, self._world.apply(world, timestamp, 1.0)
