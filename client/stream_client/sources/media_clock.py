"""From a live source's timestamps to this machine's clock. No I/O; time is an argument."""

from collections import deque
from itertools import pairwise

import numpy as np

_BIN_SECONDS, _BINS = 1.0, 5
_CREDIBLE = 0.05
"""Seconds that arrival may differ from a straight line. Beyond, a burst or a stall is in it."""
_TICK = 1e-5
"""Seconds: a step of MPEG's clock of 90 kHz, rounded down."""


class Slope:
    """Seconds of this machine for each second of the source, by a straight line through five means of a second each.

    A camera's quartz is off by less than 0.01 %, but cameras exist whose timestamps run at half or double speed.
    ``value`` is 0 where the timestamps hardly move or race, so that they are no clock at all.
    """

    SMALLEST = 0.01
    """A smaller change is within the error of the measurement."""
    LIMITS = (0.1, 10.0)

    def __init__(self) -> None:
        self.value = 1.0
        self._means: deque[tuple[float, float]] = deque(maxlen=_BINS)
        self._bin: list[tuple[float, float]] = []

    def take(self, media: float, arrival: float) -> None:
        """Learn from a frame: its timestamp and its arrival, in seconds."""
        self._bin.append((media, arrival))
        if arrival - self._bin[0][1] < _BIN_SECONDS:
            return
        mean = np.mean(self._bin, axis=0)
        self._means.append((float(mean[0]), float(mean[1])))
        self._bin.clear()
        if len(self._means) == _BINS:
            self._fit()

    def restart(self) -> None:
        """Forget the frames: the timestamps begin anew. The slope stays."""
        self._means.clear()
        self._bin.clear()

    def _fit(self) -> None:
        media, arrival = np.array(self._means).T
        if any(later <= earlier for earlier, later in pairwise(media)):
            return
        slope, offset = np.polyfit(media - media[0], arrival - arrival[0], 1)
        residual = np.abs(arrival - arrival[0] - offset - slope * (media - media[0])).max()
        if residual > _CREDIBLE:
            return
        lowest, highest = self.LIMITS
        if not lowest <= slope <= highest:
            self.value = 0.0
        elif abs(slope - self.value) >= self.SMALLEST * slope:
            self.value = float(slope)


class MediaClock:
    """Gives each frame a time on the clock of its arrivals, in seconds, strictly increasing.

    The time follows the source's timestamps, so that jitter of the network is not in it. Small differences from the
    arrival are corrected slowly; a different rate is learned. Where timestamps begin anew or jump, the time goes on
    with the arrivals. Frames that a stalled network delivers late keep their own times.
    """

    LEAD = 0.5
    """Seconds that the time may be ahead of the arrival: as much as a server sends at once at the start."""
    LAG, LAG_LASTS = 0.5, 0.3
    """The time catches up at once when it has been behind by ``LAG`` seconds for ``LAG_LASTS`` seconds."""
    JUMP = 0.5
    """A timestamp that is ahead of the arrival by this much more than the one before it, in seconds, has jumped."""
    GAP = 10.0
    """A longer gap between timestamps is a jump, where the frames are paced by them."""
    SHORTEST = 0.001
    """Seconds between two frames, at least, where timestamps say nothing."""
    _TOLERANCE, _FAR = 0.03, 0.25
    _JITTER = 0.15
    """Seconds by which arrivals differ on a usual network."""
    _SLOW, _FAST = 0.01, 0.05
    """The share of a step that corrects it, near the arrival and far from it. Nobody sees 1 %."""

    def __init__(self) -> None:
        self._slope = Slope()
        self._time: float | None = None
        self._media: float | None = None
        self._arrival = 0.0
        self._usual_step = 0.0
        self._error = 0.0
        self._late_since: float | None = None

    def expected(self, media: float | None, now: float) -> float:
        """When a frame with that timestamp is due: ``now`` for the first one, and where timestamps say nothing."""
        if self._time is None or media is None or self._media is None:
            return now
        step = self._slope.value * (media - self._media)
        return self._time + (step if 0 < step < self.GAP else max(self._usual_step, self.SHORTEST))

    def time(self, media: float | None, arrival: float) -> float:
        """The time of the next frame. ``media``: its timestamp in seconds, ``None`` where it has none."""
        if self._time is None:
            time = arrival
        else:
            elapsed = max(0.0, arrival - self._arrival)
            time = self._bounded(self._time, self._step(media, elapsed, arrival - self._time), elapsed, arrival)
        if media is not None:
            self._slope.take(media, arrival)
        self._time, self._media, self._arrival = time, media, arrival
        return time

    def beside(self, media: float) -> float | None:
        """The time of sound with that timestamp: where a frame would be. ``None`` where no frame is near."""
        if self._time is None or self._media is None or not self._slope.value or abs(media - self._media) > self.GAP:
            return None
        return self._time + self._slope.value * (media - self._media)

    def held(self, media: float) -> float:
        """The same for a frame that may have waited for its reader, so that its arrival says nothing.

        It is not for the first frame.
        """
        assert self._time is not None
        self._slope.restart()
        self._time = max(self.expected(media, self._arrival), self._time + _TICK)
        self._media, self._arrival = media, max(self._arrival, self._time)
        return self._time

    def _step(self, media: float | None, elapsed: float, until_arrival: float) -> float:
        """Seconds since the frame before."""
        if media is None or self._media is None or not self._slope.value:
            return elapsed
        step = self._slope.value * (media - self._media)
        # One that is just within the lead would leave none of it to jitter.
        small_jump = 0 < 2 * self._usual_step < step and step - until_arrival > self.LEAD - self._JITTER
        if step <= 0 or small_jump or step - elapsed > self.JUMP + self._usual_step:
            self._slope.restart()
            self._error = 0.0
            return max(elapsed, self._usual_step)
        self._usual_step = step if not self._usual_step else 0.9 * self._usual_step + 0.1 * step
        return step + self._correction(step)

    def _correction(self, step: float) -> float:
        if abs(self._error) <= self._TOLERANCE:
            return 0.0
        share = self._SLOW if abs(self._error) <= self._FAR else self._FAST
        return max(-share * step, min(share * step, self._error * step))

    def _bounded(self, last: float, step: float, elapsed: float, arrival: float) -> float:
        time = last + step
        if time - arrival > self.LEAD:
            time = last + min(step, max(elapsed / 2, self.SHORTEST))
        late = arrival - time
        if late <= self.LAG:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = arrival
        elif arrival - self._late_since > self.LAG_LASTS:
            self._late_since, self._error = None, 0.0
            return arrival
        time = max(time, last + min(self.SHORTEST, max(step, _TICK)))
        # A frame that came after a stall counts no more than any other.
        self._error += min(1.0, elapsed, 2 * self._usual_step) * (arrival - time - self._error)
        return time
