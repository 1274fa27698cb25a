"""When a measurement is stable: perf_analyzer's rule. Takes time as an argument.

Source: Triton's perf_analyzer, ``--stability-percentage`` (default 10): the ratio of the largest to the smallest
of the last three windows is within it, in throughput and in latency.
"""

from collections import deque
from dataclasses import dataclass

WINDOWS = 3
TOLERANCE = 0.10


@dataclass(frozen=True, slots=True)
class Window:
    """Frames a second and mean latency in seconds of one window."""

    throughput: float
    latency: float


class Stability:
    """Cuts deliveries into windows of at least ``seconds``, which begin and end with a delivery."""

    def __init__(self, seconds: float, begin: float) -> None:
        self._seconds = seconds
        self._begin = begin
        self._count = 0
        self._latency = 0.0
        self._windows: deque[Window] = deque(maxlen=WINDOWS)

    def add(self, now: float, latency: float) -> bool:
        """A frame was delivered at ``now``; whether the last windows agree, as of now."""
        self._count += 1
        self._latency += latency
        if now - self._begin < self._seconds:
            return False
        self._windows.append(Window(self._count / (now - self._begin), self._latency / self._count))
        self._begin, self._count, self._latency = now, 0, 0.0
        return is_stable(self._windows)


def is_stable(windows: "deque[Window]") -> bool:
    """Whether there are enough windows and they agree."""
    if len(windows) < WINDOWS:
        return False
    columns = ([window.throughput for window in windows], [window.latency for window in windows])
    return all(max(values) <= (1 + TOLERANCE) * min(values) for values in columns)
