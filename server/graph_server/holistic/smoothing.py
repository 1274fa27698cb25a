"""Filters over time: One-Euro for coordinates, low-pass for visibility; vectorised over all landmarks.

Sources: util/filtering/{one_euro_filter,low_pass_filter}.cc,
calculators/util/{landmarks_smoothing,visibility_smoothing}_calculator*.cc. The One-Euro filter is that of
Casiez, Roussel and Vogel (CHI 2012).
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

_MIN_OBJECT_SCALE = 1e-6


class OneEuroFilter:
    """Smooths an array of values; the faster they change, the less. Cut-off frequencies are in hertz."""

    def __init__(self, *, min_cutoff: float, beta: float, derivative_cutoff: float = 1.0) -> None:
        self._min_cutoff = min_cutoff
        self._beta = beta
        self._derivative_cutoff = derivative_cutoff
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next values pass unchanged."""
        self._time: int | None = None
        self._raw: npt.NDArray[np.float64] | None = None
        self._value: npt.NDArray[np.float64] | None = None
        self._change: npt.NDArray[np.float64] | None = None

    def apply(self, values: Array, timestamp: int, value_scale: float) -> Array:
        """The smoothed values. ``timestamp`` in µs; ``value_scale`` makes velocities relative to the object."""
        if self._time is not None and timestamp <= self._time:
            return values
        current = values.astype(np.float64)
        if self._raw is None or self._value is None or self._change is None or self._time is None:
            self._change = np.zeros_like(current)
            self._value = current
        else:
            period = (timestamp - self._time) * 1e-6
            change = (current - self._raw) * (value_scale / period)
            alpha = _alpha(self._derivative_cutoff, period)
            self._change = alpha * change + (1.0 - alpha) * self._change
            cutoff = self._min_cutoff + self._beta * np.abs(self._change)
            weight = 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff) / period)
            self._value = weight * current + (1.0 - weight) * self._value
        self._raw = current
        self._time = timestamp
        return self._value.astype(np.float32)


def _alpha(cutoff: float, period: float) -> float:
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff) / period)


class LowPassFilter:
    """Exponential smoothing with a fixed weight for the new values."""

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._value: Array | None = None

    def apply(self, values: Array) -> Array:
        """The smoothed values."""
        if self._value is None:
            self._value = values
        else:
            self._value = np.float32(self._alpha) * values + np.float32(1.0 - self._alpha) * self._value
        return self._value


class LandmarkSmoother:
    """Visibility by a low-pass, coordinates by One-Euro in pixels."""

    def __init__(self, *, min_cutoff: float, beta: float) -> None:
        self._visibility = LowPassFilter(0.1)
        self._coordinates = OneEuroFilter(min_cutoff=min_cutoff, beta=beta)

    def reset(self) -> None:
        """The object was lost. MediaPipe's visibility filter does not notice, so neither does this one."""
        self._coordinates.reset()

    def apply(self, landmarks: Array, size: tuple[int, int], object_scale: float, timestamp: int) -> Array:
        """Smoothed landmarks [n, 5]; ``object_scale`` in pixels, ``timestamp`` in µs."""
        result = landmarks.copy()
        result[:, 3] = self._visibility.apply(landmarks[:, 3])
        if object_scale < _MIN_OBJECT_SCALE:
            return result
        # z is on the scale of x.
        pixels = np.array([size[0], size[1], size[0]], dtype=np.float32)
        smooth = self._coordinates.apply(landmarks[:, :3] * pixels, timestamp, 1.0 / object_scale)
        result[:, :3] = smooth / pixels
        return result


class WorldSmoother:
    """World landmarks, in metres: no scale by the object."""

    def __init__(self) -> None:
        self._visibility = LowPassFilter(0.1)
        self._coordinates = OneEuroFilter(min_cutoff=0.1, beta=40.0)

    def apply(self, landmarks: Array, timestamp: int) -> Array:
        """Smoothed world landmarks [n, 5]."""
        result = landmarks.copy()
        result[:, 3] = self._visibility.apply(landmarks[:, 3])
        result[:, :3] = self._coordinates.apply(landmarks[:, :3], timestamp, 1.0)
        return result
