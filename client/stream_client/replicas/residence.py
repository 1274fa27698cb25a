"""When a streaming session leaves the replica where it lives.

It leaves one that is not ready, one with two sessions more than another, and one where its frames have taken three
times as long as is usual at the others for :data:`SLOW_SECONDS`. Where a session moves for that and its frames take as
long as before, it is they that take long: from then on they are measured by that.
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
"""Seconds, and up to twice as many by chance, so that sessions of several processes do not leave together."""
FEWEST = 3
"""Frames that have to take long."""
BETTER = 1.5
"""How much shorter times have to be elsewhere, for a move to have been right."""


@dataclass(slots=True)
class Pace:
    """How long the frames of one session take. No I/O; time is an argument.

    ``cost``: how many times as long as other sessions' they take anywhere; ``seconds``: their time when that was found
    out. ``since``: since when they take long, or ``nan``; ``recent``: the last times, since then. ``before``: seconds
    for a frame where it was slow, and how many times the usual that was.
    """

    patience: float = SLOW_SECONDS
    cost: float = 1.0
    seconds: float = 0.0
    since: float = math.nan
    before: tuple[float, float] | None = None
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=10))

    def took(self, seconds: float, elsewhere: float, now: float) -> None:
        """A frame was answered after ``seconds``; ``elsewhere`` is what is usual at other replicas, or ``nan``."""
        usual = self.cost * elsewhere
        if not is_long(seconds, usual, RECOVERED):  # also where nobody knows what is usual
            self.since = math.nan
        else:
            self._begin(seconds, usual, now)
        self.recent.append(seconds)
        if len(self.recent) >= FEWEST:
            self._learn(elsewhere)

    def is_slow(self, waiting: float, elsewhere: float, now: float) -> bool:
        """Whether every frame has taken long for long enough. The oldest without an answer has waited for ``waiting``
        seconds: it tells as much as one that took so long, and its time counts from now on.
        """
        usual = self.cost * elsewhere
        self._begin(waiting, usual, now)
        if self.before is not None or not now - self.since >= self.patience:
            return False
        times = [*self.recent, waiting] if is_long(waiting, usual, SLOW) else self.recent
        return len(times) >= FEWEST and is_long(median(times), usual, SLOW)

    def leave(self, elsewhere: float) -> None:
        """It moves, since it is slow."""
        own = median(self.recent or [math.inf])
        self.before = own, own / elsewhere

    def settle(self) -> None:
        """It begins at a replica."""
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
    """Of one session; locked by its owner. ``ready``: the replicas that it may live on."""

    def __init__(self, replicas: Replicas, ready: Callable[[], Sequence[Replica]], chance: random.Random) -> None:
        self._replicas = replicas
        self._ready = ready
        self._pace = Pace(SLOW_SECONDS * chance.uniform(1.0, 2.0))

    def settle(self) -> None:
        """It begins at a replica."""
        self._pace.settle()

    def answered(self, replica: Replica, seconds: float) -> None:
        """A frame was answered there."""
        elsewhere = self._replicas.answered(replica, seconds)
        self._pace.took(seconds, elsewhere, self._replicas.clock())

    def shall_leave(self, replica: Replica, waiting: float) -> bool:
        """Whether it shall leave that one before it sends its next frame. ``waiting``: for how many seconds the oldest
        frame without an answer has waited.
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
