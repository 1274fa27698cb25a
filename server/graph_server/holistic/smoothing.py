"""Filters over time for all landmarks at once: One-Euro for coordinates, low-pass for visibility.

Sources: util/filtering/low_pass_filter.cc, calculators/util/{landmarks_smoothing,visibility_smoothing}_calculator*.cc.
"""

import numpy as np
import numpy.typing as npt

from kserve_wire.one_euro import OneEuroFilter

Array = npt.NDArray[np.float32]

_MIN_OBJECT_SCALE = 1e-6


class LowPassFilter:
    """Exponential smoothing. New values have the fixed weight ``alpha``."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._value: Array | None = None

    def apply(self, values: Array) -> Array:
        """The smoothed values. They are not to be written to.

        If a value is not finite, all pass unchanged: the filter would keep it for ever.
        """
        if not np.isfinite(values).all():
            return values
        if self._value is None:
            self._value = values
        else:
            self._value = np.float32(self._alpha) * values + np.float32(1.0 - self._alpha) * self._value
        return self._value


class LandmarkSmoother:
    """Smooths visibility with a low-pass filter, and coordinates in pixels with One-Euro filters."""

    def __init__(self, *, min_cutoff: float, beta: float) -> None:
        self._visibility = LowPassFilter(0.1)
        self._coordinates = OneEuroFilter(min_cutoff=min_cutoff, beta=beta)

    def reset(self) -> None:
        """The object was lost. As in MediaPipe, only the coordinates start again, not the visibility."""
        self._coordinates.reset()

    def apply(self, landmarks: Array, size: tuple[int, int], object_scale: float, timestamp: int) -> Array:
        """The smoothed landmarks [n, 5]. ``object_scale`` is in pixels, ``timestamp`` in µs."""
        result = landmarks.copy()
        result[:, 3] = self._visibility.apply(landmarks[:, 3])
        if object_scale < _MIN_OBJECT_SCALE:
            return result
        # z has the same scale as x.
        pixels = np.array([size[0], size[1], size[0]], dtype=np.float32)
        smooth = self._coordinates.apply(landmarks[:, :3] * pixels, timestamp, 1.0 / object_scale)
        result[:, :3] = smooth / pixels
        return result


class WorldSmoother:
    """Smooths world landmarks. They are in meters, so the object's size plays no role."""

    def __init__(self) -> None:
        self._visibility = LowPassFilter(0.1)
        self._coordinates = OneEuroFilter(min_cutoff=0.1, beta=40.0)

    def apply(self, landmarks: Array, timestamp: int) -> Array:
        """The smoothed world landmarks [n, 5]."""
        result = landmarks.copy()
        result[:, 3] = self._visibility.apply(landmarks[:, 3])
        result[:, :3] = self._coordinates.apply(landmarks[:, :3], timestamp, 1.0)
        return result
