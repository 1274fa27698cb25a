"""How many frames the streams of a process should have in flight to one server. No I/O; time is an argument."""

import math
from collections.abc import Sequence


class RecentMinimum:
    """The minimum of recent values: of the last ``period`` seconds at least, twice as many at most; ``inf`` of none."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._until = -math.inf
        self._before = self._now = math.inf

    def add(self, value: float, now: float) -> None:
        """Add a value."""
        if now > self._until:
            self._before, self._now = self._now, math.inf
            self._until = now + self._period
        self._now = min(self._now, value)

    @property
    def value(self) -> float:
        """The minimum."""
        return min(self._before, self._now)


class Capacity:
    """Finds the number as :class:`~stream_client.pipeline.flow.AdaptiveWindow` does, for streams of different frames.

    The stretch is the ratio of round trips to the shortest recent round trips of their streams. In every ``PERIOD`` in
    which streams waited all the time, the number is a third for a moment, and the stretch is measured then: what is
    left of it comes from a line or machine with varying times, not from a queue. With N frames in flight and a stretch
    of S times that, N·(1 - 1/S) frames wait in the server. The number shrinks if more than ``MOST_WAITING`` wait and
    they are half of all: these only grow old. It grows if it stops a stream, and fewer than ``FEW_WAITING`` wait or
    they are less than a third of all. There is one step for each round of answers.
    """

    LEAST = 2
    ALL_THE_TIME = 0.9
    """Fraction of a period's answers that came while streams waited."""
    FEW_WAITING, MOST_WAITING = 1.0, 3.0
    GROWING, SHRINKING = 1.5, 2.0
    """The number may grow below the first stretch, and shrinks above the second."""
    PERIOD = 20.0
    SETTLING, FIRST_PERIODS = 5.0, 4
    """Seconds of the first periods, and their number. They are shorter, as the queue is still too long in them."""
    PROBE_SECONDS = (1.0, 4.0)
    """The shortest and longest time to measure. Between them it is two round trips, so that every stream has a turn."""

    def __init__(self) -> None:
        self._limit = self.LEAST
        self._round: list[tuple[float, float, int]] = []
        self._measured: list[tuple[float, float]] = []
        self._free = 1.0  # the stretch without a queue
        self._kept_back = False
        self._answers = self._while_waiting = 0
        self._next_probe = math.nan
        self._periods = 0
        self._probing_until = self._drained = -math.inf

    def limit(self, now: float) -> int:
        """Frames in flight allowed now, at least 1."""
        return max(1, self._limit // 3) if self.is_measuring(now) else self._limit

    def joined(self) -> None:
        """A stream was added. It may have one frame in flight; if that is too many, the number shrinks later."""
        self._limit += 1

    def kept_back(self) -> None:
        """The number stopped a stream."""
        self._kept_back = True

    def is_measuring(self, now: float) -> bool:
        """Whether the stretch is measured now, with a third of the number."""
        return now < self._probing_until

    def answered(self, shortest: float, round_trip: float, in_flight: int, now: float, *, waiting: bool) -> bool:
        """An answer came after ``round_trip`` seconds; ``shortest`` is the shortest round trip of its stream.

        ``in_flight``: frames of all streams that are still unanswered. ``waiting``: whether a stream waits to send.
        Returns whether a measurement begins now.
        """
        if self.is_measuring(now):
            if now > self._drained:
                self._measured.append((shortest, round_trip))
            return False
        if self._measured:
            self._free = _stretch(self._measured)
            self._measured.clear()
        if math.isnan(self._next_probe):
            self._next_probe = now + self.SETTLING
        if now >= self._next_probe:
            measures = self._while_waiting > self.ALL_THE_TIME * self._answers
            if measures:
                least, most = self.PROBE_SECONDS
                seconds = min(max(least, 2 * round_trip), most)
                self._drained, self._probing_until = now + seconds / 2, now + seconds
            self._periods += 1
            self._next_probe = now + (self.SETTLING if self._periods < self.FIRST_PERIODS else self.PERIOD)
            self._answers = self._while_waiting = 0
            self._round.clear()
            return measures
        self._answers += 1
        self._while_waiting += waiting
        self._round.append((shortest, round_trip, in_flight + 1))
        if len(self._round) > in_flight:
            self._step()
            self._round.clear()
            self._kept_back = False
        return False

    def _step(self) -> None:
        stretch = max(1.0, _stretch([(shortest, seconds) for shortest, seconds, _ in self._round]) / self._free)
        in_flight = sum(number for *_, number in self._round) / len(self._round)
        waiting = in_flight * (1.0 - 1.0 / stretch)
        if waiting > self.MOST_WAITING and stretch > self.SHRINKING:
            used = min(self._limit, math.ceil(in_flight))
            self._limit = max(self.LEAST, used - max(1, used // 8))
        elif self._kept_back and (waiting < self.FEW_WAITING or stretch < self.GROWING):
            self._limit += max(1, self._limit // 8)


def _stretch(answers: Sequence[tuple[float, float]]) -> float:
    """The stretch of pairs of a shortest and an actual round trip, in seconds."""
    return sum(seconds for _, seconds in answers) / sum(shortest for shortest, _ in answers)
