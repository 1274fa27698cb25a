"""Where a box should be by now."""

import numpy as np
import numpy.typing as npt

from stream_client.tracking.candidates import Array

_MEASURED, _PLACE, _VELOCITY = 1 / 20, 1 / 40, 1 / 80
"""Standard deviations over the box's height: of a detection, of a place beyond what the velocity explains, and of a
velocity's change, the latter two over a frame of 1/30 s.

SORT's successors have 1/20, 1/20 and 1/160 (deep_sort/kalman_filter.py): too slow for somebody who turns round while
frames are dropped.
"""
_FRAMES = 30.0
_Vector = npt.NDArray[np.float64]


class Motion:
    """A Kalman filter for the center and the size of a box, each number by itself.

    The velocity drifts as white noise of the acceleration makes it (Bar-Shalom, Li and Kirubarajan, "Estimation with
    Applications to Tracking and Navigation", 6.2.2), so that many short steps and a long one are alike.
    """

    def __init__(self, box: Array) -> None:
        self._place = _numbers(box)
        self._speed = np.zeros(4)  # a frame of 1/30 s
        spread = self._place[3]
        self._variance: _Vector = np.full(4, (2 * _MEASURED * spread) ** 2)
        self._speed_variance: _Vector = np.full(4, (10 * _VELOCITY * spread) ** 2)
        self._shared: _Vector = np.zeros(4)  # covariance of place and speed

    @property
    def box(self) -> Array:
        """Left, top, right, bottom, float32 [4]."""
        center, size = self._place[:2], np.maximum(self._place[2:], 1e-3)
        return np.concatenate([center - size / 2, center + size / 2]).astype(np.float32)

    def predict(self, seconds: float) -> None:
        """Go on for so long."""
        frames = seconds * _FRAMES
        spread = max(self._place[3], 1e-3)
        drift, wander = (_VELOCITY * spread) ** 2, (_PLACE * spread) ** 2
        self._place = self._place + self._speed * frames
        self._variance = (
            self._variance
            + 2 * frames * self._shared
            + frames**2 * self._speed_variance
            + frames**3 / 3 * drift
            + frames * wander
        )
        self._shared = self._shared + frames * self._speed_variance + frames**2 / 2 * drift
        self._speed_variance = self._speed_variance + frames * drift

    def correct(self, box: Array) -> None:
        """Take a detection."""
        measured = _numbers(box)
        total = self._variance + (_MEASURED * max(self._place[3], 1e-3)) ** 2
        gain, speed_gain = self._variance / total, self._shared / total
        error = measured - self._place
        self._place = self._place + gain * error
        self._speed = self._speed + speed_gain * error
        self._speed_variance = self._speed_variance - speed_gain * self._shared
        self._shared = (1 - gain) * self._shared
        self._variance = (1 - gain) * self._variance


def _numbers(box: Array) -> _Vector:
    """Center x, center y, width, height."""
    left, top, right, bottom = (float(value) for value in box)
    return np.array([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top])
