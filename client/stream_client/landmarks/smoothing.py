"""MediaPipe's smoothing of a pose over time.

Sources: modules/pose_landmark/pose_landmark_filtering.pbtxt, util/filtering/{one_euro_filter,low_pass_filter}.cc of
MediaPipe; the One-Euro filter is that of Casiez, Roussel and Vogel (CHI 2012).
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_DERIVATIVE_CUTOFF = 1.0
_VISIBILITY_WEIGHT = 0.1
_SMALLEST_OBJECT = 1e-6


class OneEuroFilter:
    """Smooths an array of values; the faster they change, the less. Cut-offs in hertz, time in µs as an argument."""

    def __init__(self, *, min_cutoff: float, beta: float) -> None:
        self._min_cutoff = min_cutoff
        self._beta = beta
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next values pass unchanged."""
        self._time: int | None = None
        self._raw = self._value = self._change = np.zeros(0)

    def apply(self, values: Array, timestamp: int, value_scale: float) -> Array:
        """The smoothed values; velocities are multiplied by ``value_scale``. Time that stands still changes nothing."""
        if self._time is None:
            self._value, self._change = values, np.zeros_like(values)
        elif timestamp <= self._time:
            return values
        else:
            period = (timestamp - self._time) * 1e-6
            weight = _weight(_DERIVATIVE_CUTOFF, period)
            change = (values - self._raw) * (value_scale / period)
            self._change = weight * change + (1.0 - weight) * self._change
            cutoff = self._min_cutoff + self._beta * np.abs(self._change)
            share = _weight(cutoff, period)
            self._value = share * values + (1.0 - share) * self._value
        self._raw, self._time = values, timestamp
        return self._value


class PoseSmoother:
    """Smooths a pose in pixels, its visibility and its world landmarks; for frames in order."""

    def __init__(self) -> None:
        self._points = OneEuroFilter(min_cutoff=0.05, beta=80.0)
        self._world = OneEuroFilter(min_cutoff=0.1, beta=40.0)
        self._visibility: Array | None = None

    def lost(self) -> None:
        """Nobody is there: the next pose is not drawn towards this one."""
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


def _weight(cutoff: float | Array, period: float) -> "float | Array":
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff) / period)
