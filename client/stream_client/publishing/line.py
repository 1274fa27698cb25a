"""How fast a connection takes bytes, and how old frames get on it. No I/O, no clock: ``now`` is an argument."""

import math
from collections import deque


class Line:
    """Follows the bytes of one connection. Times are in seconds, sizes in bytes.

    The kernel says how much was sent and not yet acknowledged. This gives the age of the oldest such byte, and the rate
    while there always was such a byte. A long line always has bytes in flight: the shortest time until a frame was
    acknowledged is its distance, and no lag.
    """

    WINDOW = 1.0
    """Seconds over which the rate is measured."""
    SHORTEST = 0.2
    """Seconds that a measurement of the rate takes at least."""

    FULL = 0.1
    """Seconds that the oldest byte waits when the line is the limit."""

    def __init__(self) -> None:
        self._sent = 0
        self._acknowledged = 0
        self._frames: deque[tuple[int, float]] = deque()  # where each frame ends, and when it was sent
        self._samples: deque[tuple[float, int]] = deque()  # while bytes were always on the way
        self._distance = math.inf
        self._full = False
        self.rate: float | None = None
        """Bytes a second that the line took while there always was something to take; ``None`` before that was seen."""

    def sent(self, size: int, now: float) -> None:
        """A frame was handed to the kernel."""
        self._sent += size
        self._frames.append((self._sent, now))

    def queued(self, size: int, now: float) -> None:
        """So much of what was sent is not yet acknowledged."""
        self._acknowledged = max(self._acknowledged, self._sent - size)
        while self._frames and self._frames[0][0] <= self._acknowledged:
            _, sent_at = self._frames.popleft()
            self._distance = min(self._distance, now - sent_at)
        if not self._frames:
            self._samples.clear()
            return
        full = now - self._frames[0][1] - self._way() > self.FULL
        if full != self._full:
            self._full = full
            self._samples.clear()
        self._samples.append((now, self._acknowledged))
        while len(self._samples) > 2 and now - self._samples[1][0] >= self.WINDOW:
            self._samples.popleft()
        began, before = self._samples[0]
        if now - began >= self.SHORTEST:
            rate = (self._acknowledged - before) / (now - began)
            # Without a queue the line takes what it is given, and could take more.
            self.rate = rate if full else max(rate, self.rate or 0.0)

    def lag(self, now: float) -> float:
        """Seconds, beyond the line's distance, that a frame sent now would wait for those before it."""
        if not self._frames:
            return 0.0
        age = now - self._frames[0][1]
        waiting = self._sent - self._acknowledged
        needed = waiting / self.rate if self.rate else (age if self.rate is None else math.inf)
        return max(0.0, max(age, needed) - self._way())

    def _way(self) -> float:
        return 0.0 if math.isinf(self._distance) else self._distance
