"""When a streaming session leaves the replica where it lives.

It leaves a replica that is not ready, one with two sessions more than another, and one where for :data:`SLOW_SECONDS`
its frames have taken three times as long as is usual at the others. If its frames take as long after such a move, they
are expensive anywhere. From then on they are compared with that.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from stream_client.replicas.load import RECOVERED, SLOW, is_long
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica

SLOW_SECONDS = 1.5
"""The least seconds of slow frames before a session leaves. Twice as many at most, at random, so that sessions of
several processes do not leave together."""
FEWEST = 3
"""The least frames that have to take long."""
BETTER = 1.5
"""A move was right if frames are faster by this factor."""


@dataclass(slots=True)
class Pace:
    """How long the frames of one session take. No I/O; time is an argument.

    ``slow_seconds``: how long frames may be slow before the session leaves. ``cost``: the ratio of their time to that
    of other sessions, on any replica; ``seconds``: their time when that was learned. ``since``: since when they are
    slow, or ``nan``; ``recent``: their times since then. ``before``: the time on the replica that the session left as
    slow, and its ratio to the usual time.
    """

    slow_seconds: float = SLOW_SECONDS
    cost: float = 1.0
    seconds: float = 0.0
    since: float = math.nan
    before: tuple[float, float] | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=10))

    def took(self, seconds: float, elsewhere: float, now: float) -> None:
        """A frame was answered after ``seconds``. ``elsewhere``: the usual seconds of other replicas, or ``nan``."""
        usual = self.cost * elsewhere
        if not is_long(seconds, usual, RECOVERED):  # also if the usual time is unknown
            self.since = math.nan
        else:
            self._begin(seconds, usual, now)
        self.recent.append(seconds)
        if len(self.recent) >= FEWEST:
            self._learn(elsewhere)

    def is_slow(self, waiting: float, elsewhere: float, now: float) -> bool:
        """Whether all frames have been slow for :attr:`slow_seconds`.

        The oldest frame without an answer has waited for ``waiting`` seconds. It counts like one that took that long.
        """
        usual = self.cost * elsewhere
        self._begin(waiting, usual, now)
        if self.before is not None or not now - self.since >= self.slow_seconds:
            return False
        times = [*self.recent, waiting] if is_long(waiting, usual, SLOW) else self.recent
        return len(times) >= FEWEST and is_long(median(times), usual, SLOW)

    def leave(self, elsewhere: float) -> None:
        """The session leaves its replica as slow."""
        own = median(self.recent or [math.inf])
        self.before = own, own / elsewhere

    def settle(self) -> None:
        """The session begins on a replica."""
        self.recent.clear()
        self.since = math.nan

    def _begin(self, seconds: float, usual: float, now: float) -> None:
        if math.isnan(self.since) and is_long(seconds, usual, SLOW):
            self.since = now
            self.recent.clear()

    def _learn(self, elsewhere: float) -> None:
        own = median(self.recent)
        if self.before is not None:
            seconds, cost = self.before
            self.before = None
            if own * BETTER > seconds:
                self.cost, self.seconds = max(1.0, cost), own
                self.since = math.nan
        elif own * RECOVERED < self.seconds:
            self.cost, self.seconds = max(1.0, own / elsewhere), own


class Residence:
    """Where one session lives; locked by its owner. ``ready``: the replicas that it may live on."""

    def __init__(self, replicas: Replicas, ready: Callable[[], Sequence[Replica]], chance: random.Random) -> None:
        self._replicas = replicas
        self._ready = ready
        self._pace = Pace(SLOW_SECONDS * chance.uniform(1.0, 2.0))

    def settle(self) -> None:
        """The session begins on a replica."""
        self._pace.settle()

    def answered(self, replica: Replica, seconds: float) -> None:
        """The replica answered a frame after ``seconds``."""
        elsewhere = self._replicas.answered(replica, seconds)
        self._pace.took(seconds, elsewhere, self._replicas.clock())

    def shall_leave(self, replica: Replica, waiting: float) -> bool:
        """Whether the session should leave ``replica`` before it sends its next frame.

        ``waiting``: for how many seconds the oldest frame without an answer has waited.
        """
        slow = self._pace.is_slow(waiting, replica.load.elsewhere, self._replicas.clock())
        if replica.state == "ready" and self._replicas.is_even(replica) and not slow:
            return False
        others = [other for other in self._ready() if other is not replica]
        if not others:
            return False
        if slow and replica.state == "ready" and self._replicas.may_leave(replica, others):
            self._pace.leave(replica.load.elsewhere)
            return True
        return replica.state != "ready" or self._replicas.may_move(replica, others)
