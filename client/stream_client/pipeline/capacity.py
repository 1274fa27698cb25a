"""How many frames a server shall have at once from the streams of a process. No I/O; time is an argument."""

import math
from collections.abc import Sequence


class RecentMinimum:
    """The least of the values of the last ``period`` to twice ``period`` seconds, ``inf`` of none."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._until = -math.inf
        self._before = self._now = math.inf

    def add(self, value: float, now: float) -> None:
        """Take a value in."""
        if now > self._until:
            self._before, self._now = self._now, math.inf
            self._until = now + self._period
        self._now = min(self._now, value)

    @property
    def value(self) -> float:
        """The least."""
        return min(self._before, self._now)


class Capacity:
    """Finds the number as :class:`~stream_client.pipeline.flow.AdaptiveWindow` does, for streams of different frames.

    The stretch says how many times as long round trips take as the shortest recent ones of their streams. It is
    measured, too, while the number is a third, for a moment of every ``PERIOD`` in which streams waited all the time:
    what is left of it then is no queue, but a line or a machine with times that vary. With N frames in flight and S
    times that stretch, N·(1 - 1/S) frames are waiting rather than being worked on. More than ``MOST_WAITING`` that are
    also half of all only grow old in the server: the number shrinks. While it keeps frames back, and fewer than
    ``FEW_WAITING`` wait or they are less than a third of all, it grows. One step is taken for each round of answers.
    """

    LEAST = 2
    ALL_THE_TIME = 0.9
    """Share of the answers of a period."""
    FEW_WAITING, MOST_WAITING = 1.0, 3.0
    GROWING, SHRINKING = 1.5, 2.0
    """Stretches below and above which the number may grow and shrinks."""
    PERIOD = 20.0
    SETTLING, FIRST_PERIODS = 5.0, 4
    """Seconds of the first periods, and how many they are: each of these moments begins with too long a queue."""
    PROBE_SECONDS = (1.0, 4.0)
    """At least and at most; else two round trips. Every stream shall have a turn."""

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
        """One more stream, which may have a frame in flight as before it did: too many are found out."""
        self._limit += 1

    def kept_back(self) -> None:
        """A stream had to wait."""
        self._kept_back = True

    def is_measuring(self, now: float) -> bool:
        """Whether the number is a third now."""
        return now < self._probing_until

    def answered(self, shortest: float, round_trip: float, in_flight: int, now: float, *, waiting: bool) -> bool:
        """An answer came after ``round_trip`` seconds, where ``shortest`` is the shortest of its stream, with
        ``in_flight`` frames of all streams still out; ``waiting``: streams wait to send. Returns whether the number is
        a third from now on.
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
    """Of shortest round trips and those that were."""
    return sum(seconds for _, seconds in answers) / sum(shortest for shortest, _ in answers)
