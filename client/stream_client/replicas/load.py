"""Which replica takes the next request or session. No I/O, no threads; time is an argument.

A request goes to one of two replicas drawn at random, the one with the lower cost: its requests in flight, and the new
one, times its recent time for a request (Mitzenmacher's power of two choices, with the cost that Finagle calls peak
EWMA). Replicas without any request are drawn first, as in Lu et al.'s join-idle-queue, so that none stands still while
others have queues.

A replica is slow when its 95th percentile is :data:`SLOW` times that of the others, or when its last
:data:`FAILURES` requests failed and those of others did not. It gets no more requests while others are there, but
copies of some: a copy's answer is only timed.
"""

import math
import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

SLOW = 3.0
RECOVERED = 2.0
"""A slow replica is slow no more below this multiple of the others."""
LEAST_DIFFERENCE = 0.005
"""Seconds. Less does not make a replica slow."""
RECENT_SECONDS = 10.0
FEWEST = 5
"""Recent times without which a replica is not judged."""
FAILURES = 5
"""Failed requests in a row, after which a replica is as good as slow."""
COPY_SECONDS = 1.0
"""Seconds between two copies to one slow replica."""
_WEIGHT = 0.2
"""Of the newest time in the mean."""


@dataclass(slots=True, eq=False)
class Load:
    """What one replica has to do for this process. ``service``: recent seconds for a request, ``nan`` if unknown."""

    in_flight: int = 0
    sessions: int = 0
    service: float = math.nan
    slow: bool = False
    failures: int = 0
    copied: float = -math.inf
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=128))

    def took(self, seconds: float, now: float) -> None:
        """A request was answered after ``seconds``."""
        self.service = seconds if math.isnan(self.service) else (1 - _WEIGHT) * self.service + _WEIGHT * seconds
        self.recent.append((now, seconds))
        self.failures = 0

    def failed(self) -> None:
        """A request failed."""
        self.failures += 1

    def forget(self) -> None:
        """It was away: what it did before says nothing."""
        self.recent.clear()
        self.service, self.slow, self.failures = math.nan, False, 0

    def times(self, now: float) -> list[float]:
        """The recent times in seconds, shortest first."""
        return sorted(seconds for at, seconds in self.recent if now - at <= RECENT_SECONDS)


def quantile(times: Sequence[float], share: float) -> float:
    """The time that ``share`` (0…1) of sorted ``times`` do not exceed; ``nan`` of none."""
    return times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] if times else math.nan


def judge(loads: Sequence[Load], now: float) -> None:
    """Find out which replicas are slow."""
    p95 = {load: quantile(times, 0.95) for load in loads if len(times := load.times(now)) >= FEWEST}
    answering = any(load.failures < FAILURES for load in loads)
    for load in loads:
        if load.failures >= FAILURES:
            load.slow = answering
            continue
        own = p95.get(load)
        others = [seconds for other, seconds in p95.items() if other is not load]
        if own is not None and others:
            usual = median(others)
            bound = RECOVERED if load.slow else SLOW
            load.slow = own >= bound * usual and own - usual >= LEAST_DIFFERENCE
        elif not load.times(now):
            load.slow = False  # nobody knows any more


def choose(loads: Sequence[Load], chance: random.Random) -> Load:
    """The one for the next request, of at least one."""
    able = [load for load in loads if not load.slow] or loads
    idle = [load for load in able if not load.in_flight]
    drawn = idle or able
    pair = drawn if len(drawn) < 2 else chance.sample(drawn, 2)
    unknown = min((load.service for load in able if not math.isnan(load.service)), default=1.0)
    return min(pair, key=lambda load: (load.in_flight + 1) * (unknown if math.isnan(load.service) else load.service))


def place(loads: Sequence[Load], chance: random.Random) -> Load:
    """The one for the next session, of at least one: with the fewest sessions, drawn from equals."""
    able = [load for load in loads if not load.slow] or loads
    fewest = min(load.sessions for load in able)
    return choose([load for load in able if load.sessions == fewest], chance)


def to_copy(loads: Iterable[Load], chosen: Load, now: float) -> Load | None:
    """A slow replica that shall get a copy of a request that goes to ``chosen``."""
    for load in loads:
        if load.slow and load is not chosen and not load.in_flight and now - load.copied >= COPY_SECONDS:
            load.copied = now
            return load
    return None
