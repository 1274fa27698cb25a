"""Decoded sound on one line of samples."""

import av
import numpy as np
import numpy.typing as npt

_TOLERANCE = 0.03
"""Seconds that sound may be early or late before it is cut or filled. Recordings' timestamps are not exact."""
_PACKED = "flt"
"""One plane for all channels. PyAV reads beyond the planes of a frame that has eight or more."""


class SampleLine:
    """Puts decoded sound on one line of samples of ``rate`` and ``layout``, float32, from ``start`` on, in seconds.

    Sound that changes its rate or channels is resampled, what overlaps is cut, and a gap of up to ``silence`` seconds
    is filled with silence.
    """

    def __init__(self, rate: int, layout: str, *, start: float, silence: float) -> None:
        self._rate = rate
        self._layout = layout
        self._channels = av.AudioLayout(layout).nb_channels
        self._start = round(start * rate)
        self._longest = silence * rate
        self._resampler: av.AudioResampler | None = None
        self._properties: tuple[str, str, int] | None = None
        self._position: int | None = None

    def place(self, time: float, frame: av.AudioFrame) -> list[av.AudioFrame]:
        """The frames that continue the line with ``frame``, which begins at ``time``, in seconds."""
        samples = self._resampled(frame)
        if samples.shape[0] == 0:
            return []
        begin = round(time * self._rate)
        if self._position is None:
            self._position = max(self._start, begin)
        frames = []
        gap = begin - self._position
        if gap < -_TOLERANCE * self._rate or begin < self._start:
            samples = samples[-gap:]
        elif gap > self._longest:
            self._position = begin
        elif gap > _TOLERANCE * self._rate:
            frames.append(self._frame(np.zeros((gap, self._channels), np.float32)))
        if samples.shape[0]:
            frames.append(self._frame(samples))
        return frames

    def _resampled(self, frame: av.AudioFrame) -> npt.NDArray[np.float32]:
        """The frame's samples, float32 [samples, channels]."""
        properties = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or properties != self._properties:
            self._resampler = av.AudioResampler(_PACKED, self._layout, self._rate)
            self._properties = properties
        done = [np.asarray(each.to_ndarray(), np.float32) for each in self._resampler.resample(frame)]
        return np.concatenate([np.zeros((1, 0), np.float32), *done], axis=1).reshape(-1, self._channels)

    def _frame(self, samples: npt.NDArray[np.float32]) -> av.AudioFrame:
        assert self._position is not None
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format=_PACKED, layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._position
        self._position += samples.shape[0]
        return frame
