"""Where boxes should be by now."""

from collections.abc import Sequence

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
_Rows = npt.NDArray[np.float64]


class Motions:
    """A Kalman filter for the center and the size of each of ``n`` boxes, each number by itself.

    The velocity drifts as white noise of the acceleration makes it (Bar-Shalom, Li and Kirubarajan, "Estimation with
    Applications to Tracking and Navigation", 6.2.2), so that many short steps and a long one are alike. All boxes are
    in one array: a frame costs about the same for one and for ten.
    """

    def __init__(self) -> None:
        self._place: _Rows = np.zeros((0, 4))
        self._speed: _Rows = np.zeros((0, 4))  # a frame of 1/30 s
        self._variance: _Rows = np.zeros((0, 4))
        self._speed_variance: _Rows = np.zeros((0, 4))
        self._shared: _Rows = np.zeros((0, 4))  # covariance of place and speed

    @property
    def boxes(self) -> Array:
        """Left, top, right, bottom, float32 [n, 4]."""
        centers, sides = self._place[:, :2], np.maximum(self._place[:, 2:], 1e-3)
        return np.concatenate([centers - sides / 2, centers + sides / 2], axis=1).astype(np.float32)

    def add(self, boxes: Array) -> None:
        """Append boxes [m, 4], at rest."""
        places = _numbers(boxes)
        spread, nothing = places[:, 3:] * np.ones(4), np.zeros_like(places)
        self._place = np.concatenate([self._place, places])
        self._speed = np.concatenate([self._speed, nothing])
        self._variance = np.concatenate([self._variance, (2 * _MEASURED * spread) ** 2])
        self._speed_variance = np.concatenate([self._speed_variance, (10 * _VELOCITY * spread) ** 2])
        self._shared = np.concatenate([self._shared, nothing])

    def keep(self, rows: Sequence[int]) -> None:
        """Forget all but these."""
        index = np.array(rows, np.intp)
        self._place, self._speed = self._place[index], self._speed[index]
        self._variance, self._speed_variance = self._variance[index], self._speed_variance[index]
        self._shared = self._shared[index]

    def predict(self, seconds: float) -> None:
        """Go on for so long."""
        frames = seconds * _FRAMES
        spread = np.maximum(self._place[:, 3:], 1e-3)
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

    def correct(self, rows: Sequence[int], boxes: Array) -> None:
        """Take a detection [m, 4] for each of these rows."""
        index = np.array(rows, np.intp)
        place, variance, shared = self._place[index], self._variance[index], self._shared[index]
        total = variance + (_MEASURED * np.maximum(place[:, 3:], 1e-3)) ** 2
        gain, speed_gain = variance / total, shared / total
        error = _numbers(boxes) - place
        self._place[index] = place + gain * error
        self._speed[index] += speed_gain * error
        self._speed_variance[index] -= speed_gain * shared
        self._shared[index] = (1 - gain) * shared
        self._variance[index] = (1 - gain) * variance


def _numbers(boxes: Array) -> _Rows:
    """Center x, center y, width, height, of each box [m, 4]."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(low + high) / 2, high - low], axis=1)
