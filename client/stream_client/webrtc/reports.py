"""Whether the other side of a session is still there, by the reports that it sends. No I/O, no clock."""

import math


class ReceiverReports:
    """RTCP's reports of who receives (RFC 3550, 6.4). How often they come is the receiver's choice: it is learnt."""

    LEARNT = 3
    """Reports after which it is known how often they come."""
    UNKNOWN = 8.0
    """Seconds until one is overdue before that; RFC 3550 asks for one in 7.5 s at least."""
    SHORTEST = 2.0
    """Seconds. Nothing is overdue before, since single reports are lost."""

    def __init__(self) -> None:
        self._last: object = None
        self._count = 0
        self._at = math.inf
        self._longest = 0.0

    def seen(self, report: object, now: float) -> None:
        """The newest report, which may have been seen before."""
        if report == self._last:
            return
        if self._count:
            self._longest = max(self._longest, now - self._at)
        self._last, self._at, self._count = report, now, self._count + 1

    def overdue(self, now: float) -> bool:
        """Whether none has come for twice as long as ever between two. Who sends none is not judged."""
        bound = max(self.SHORTEST, 2 * self._longest) if self._count >= self.LEARNT else self.UNKNOWN
        return now - self._at > bound
