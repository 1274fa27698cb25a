"""What was measured of the lines to servers."""

import math
from collections import deque
from dataclasses import dataclass
from statistics import median

from stream_client.monitoring.histogram import Histogram, HistogramSnapshot
from stream_client.transport.line import LineSample

_WAIT = 0.005
"""Seconds that a handshake waits on a full line."""
_RATIO = 4.0


@dataclass(frozen=True, slots=True)
class LineSnapshot:
    """The line to the server. Durations are in seconds.

    ``round_trips`` and ``distance``: of light requests, all and the shortest (0 if unknown). ``free`` and ``loaded``:
    of TCP's handshake, the shortest, and the median of those beside frames (0 if unknown).
    """

    round_trips: HistogramSnapshot
    distance: float = 0.0
    free: float = 0.0
    loaded: float = 0.0

    @property
    def is_full(self) -> bool:
        """Whether TCP's handshake waits beside frames."""
        return self.loaded - self.free >= _WAIT and self.loaded >= _RATIO * self.free


class LineCounts:
    """Counts the measurements of one line. Not thread-safe."""

    def __init__(self) -> None:
        self._round_trips = Histogram()
        self._distance = self._free = math.inf
        self._loaded: deque[float] = deque(maxlen=4096)

    def add(self, sample: LineSample, *, beside_frames: bool) -> None:
        """Handshakes beside frames show what those do to the line."""
        self._round_trips.observe(sample.request)
        self._distance = min(self._distance, sample.request)  # nan is not less
        self._free = min(self._free, sample.handshake)
        if beside_frames and not math.isnan(sample.handshake):
            self._loaded.append(sample.handshake)

    def snapshot(self) -> LineSnapshot:
        """The line so far."""
        return LineSnapshot(
            self._round_trips.snapshot(),
            self._distance if math.isfinite(self._distance) else 0.0,
            self._free if math.isfinite(self._free) else 0.0,
            median(self._loaded) if self._loaded else 0.0,
        )
