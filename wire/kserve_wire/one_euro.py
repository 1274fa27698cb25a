"""The One-Euro filter of Casiez, Roussel and Vogel (CHI 2012), as in MediaPipe.

Source: util/filtering/one_euro_filter.cc of MediaPipe.
"""

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Float = TypeVar("Float", np.float32, np.float64)
_Float64Array = npt.NDArray[np.float64]
_Cutoff = TypeVar("_Cutoff", float, _Float64Array)


class OneEuroFilter:
    """Smooths an array of values over time. It smooths a value less when the value changes fast.

    Cut-off frequencies are in hertz. The filter computes in float64 for values of any dtype.
    """

    def __init__(self, *, min_cutoff: float, beta: float, derivative_cutoff: float = 1.0) -> None:
        self._min_cutoff = min_cutoff
        self._beta = beta
        self._derivative_cutoff = derivative_cutoff
        self.reset()

    def reset(self) -> None:
        """Start again: the next values pass unchanged."""
        self._time: int | None = None
        self._raw: _Float64Array = np.zeros(0)
        self._value: _Float64Array = self._raw
        self._change: _Float64Array = self._raw

    def apply(self, values: npt.NDArray[Float], timestamp: int, value_scale: float) -> npt.NDArray[Float]:
        """The smoothed values, with the same shape and dtype. Do not write to them. ``timestamp`` is in µs.

        ``value_scale`` makes velocities relative to the object. If the timestamp does not rise, the values pass
        unchanged and have no effect on later values.
        If a value or the scale is not finite, all values pass unchanged: the filter would keep it for ever.
        """
        current = values.astype(np.float64, copy=False)
        if not (math.isfinite(value_scale) and np.isfinite(current).all()):
            return values
        if self._time is None:
            self._value, self._change = current, np.zeros_like(current)
        elif timestamp <= self._time:
            return values
        else:
            period = (timestamp - self._time) * 1e-6
            weight = _weight(self._derivative_cutoff, period)
            change = (current - self._raw) * (value_scale / period)
            self._change = weight * change + (1.0 - weight) * self._change
            share = _weight(self._min_cutoff + self._beta * np.abs(self._change), period)
            self._value = share * current + (1.0 - share) * self._value
        self._raw, self._time = current, timestamp
        return self._value.astype(values.dtype, copy=False)


def _weight(cutoff: _Cutoff, period: float) -> _Cutoff:
    """The weight of new values in a low-pass filter; ``period`` is in seconds."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff) / period)
