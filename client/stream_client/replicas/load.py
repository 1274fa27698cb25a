"""Which replica takes the next request or session. No I/O, no threads; time is an argument.

Two replicas are drawn at random, and the one with the lower cost gets the request. The cost is its requests in flight,
with the new one, times its recent seconds for a request (Mitzenmacher's power of two choices, with the cost that
Finagle calls peak EWMA). Replicas without any request are drawn first, as in Lu et al.'s join-idle-queue, so that none
is idle while others have queues.

A replica is slow if its 95th percentile is :data:`SLOW` times that of the others, or if its last :data:`FAILURES`
requests failed and those of others did not. While there are others, it gets only copies of requests. The answer to a
copy is timed, not used.

A replica that a session left as slow rests: it gets no session for :data:`REST_SECONDS`, and for twice as long if a
session leaves it again within :data:`FORGET_SECONDS`. After the rest one session tries it before others come.
"""

import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from statistics import median

SLOW = 3.0
RECOVERED = 2.0
"""Below this multiple of the others, a slow replica is not slow any more."""
LEAST_DIFFERENCE = 0.005
"""The least difference to the others, in seconds, that makes a replica slow."""
RECENT_SECONDS = 10.0
FEWEST = 5
"""The least recent times to judge a replica by."""
FAILURES = 5
"""Failed requests in a row, after which a replica counts as slow."""
COPY_SECONDS = 1.0
"""Seconds between two copies to one slow replica."""
REST_SECONDS, MOST_REST_SECONDS, FORGET_SECONDS = 10.0, 320.0, 600.0
TRIAL_SECONDS = 5.0
"""Seconds in which a replica takes only one session after its rest; six times as long if no time is known."""
_WEIGHT = 0.2
"""The weight of the newest time in the moving mean."""


@dataclass(slots=True, eq=False)
class Load:
    """The load of one replica by this process. ``service``: recent seconds for a request, ``nan`` if unknown.

    ``elsewhere``: the usual seconds of the others, ``nan`` if unknown. ``rests``: the end of its rest. ``rest``: how
    many seconds the rest takes. ``trial``: whether it takes one session at most.
    """

    in_flight: int = 0
    sessions: int = 0
    service: float = math.nan
    slow: bool = False
    failures: int = 0
    copied: float = -math.inf
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=128))
    elsewhere: float = math.nan
    rests: float = -math.inf
    rest: float = 0.0
    trial: bool = False

    def took(self, seconds: float, now: float) -> None:
        """A request was answered after ``seconds``."""
        self.service = seconds if math.isnan(self.service) else (1 - _WEIGHT) * self.service + _WEIGHT * seconds
        self.recent.append((now, seconds))
        self.failures = 0

    def failed(self) -> None:
        """A request failed."""
        self.failures += 1

    def forget(self) -> None:
        """Forget the times from before the replica was away. Its rest goes on: a slow replica may only seem away."""
        self.recent.clear()
        self.service, self.slow, self.failures = math.nan, False, 0

    def times(self, now: float) -> list[float]:
        """The recent times in seconds, shortest first."""
        while self.recent and now - self.recent[0][0] > RECENT_SECONDS:
            self.recent.popleft()
        return sorted(map(itemgetter(1), self.recent))

    def left_as_slow(self, now: float) -> None:
        """A session leaves the replica as slow. Others that leave during the rest do not lengthen it."""
        if now < self.rests:
            return
        again = now - self.rests < FORGET_SECONDS
        self.rest = min(2 * self.rest, MOST_REST_SECONDS) if again else REST_SECONDS
        self.rests, self.trial = now + self.rest, True

    def takes_sessions(self, now: float) -> bool:
        """Whether the replica takes sessions, if others do too."""
        return not self.slow and now >= self.rests and not (self.trial and self.sessions)


def quantile(times: Sequence[float], share: float) -> float:
    """The quantile ``share`` (0…1) of sorted ``times``; ``nan`` of none."""
    return times[min(len(times) - 1, math.ceil(share * len(times)) - 1)] if times else math.nan


def judge(loads: Sequence[Load], now: float) -> None:
    """Set which replicas are slow, and the usual seconds of the others."""
    times = {load: recent for load in loads if len(recent := load.times(now)) >= FEWEST}
    p95 = {load: quantile(recent, 0.95) for load, recent in times.items()}
    usual, most = _of_others({load: load.service for load in times}, loads), _of_others(p95, loads)
    answering = any(load.failures < FAILURES for load in loads)
    for load in loads:
        load.elsewhere = usual[load]
        if load.trial:
            well = load in times and not load.service >= RECOVERED * load.elsewhere
            load.trial = now - load.rests < (TRIAL_SECONDS if well else 6 * TRIAL_SECONDS)
        if load.failures >= FAILURES:
            load.slow = answering
        elif load in p95 and not math.isnan(most[load]):
            load.slow = is_long(p95[load], most[load], RECOVERED if load.slow else SLOW)
        elif not load.recent:
            load.slow = False  # its times are too old to tell


def is_long(seconds: float, usual: float, bound: float) -> bool:
    """Whether ``seconds`` are at least ``bound`` times ``usual``, and :data:`LEAST_DIFFERENCE` more."""
    return seconds >= bound * usual and seconds - usual >= LEAST_DIFFERENCE


def _of_others(values: Mapping[Load, float], loads: Sequence[Load]) -> Mapping[Load, float]:
    """For each of ``loads`` the median of the others' values, ``nan`` of none."""
    ordered = sorted(values.values())
    found = {}
    for load in loads:
        others = ordered
        if load in values:
            place = bisect_left(ordered, values[load])
            others = ordered[:place] + ordered[place + 1 :]
        found[load] = median(others) if others else math.nan
    return found


def choose(loads: Sequence[Load], chance: random.Random) -> Load:
    """The load of ``loads`` for the next request."""
    able = [load for load in loads if not load.slow] or loads
    idle = [load for load in able if not load.in_flight]
    drawn = idle or able
    pair = drawn if len(drawn) < 2 else chance.sample(drawn, 2)
    unknown = min((load.service for load in able if not math.isnan(load.service)), default=1.0)
    return min(pair, key=lambda load: (load.in_flight + 1) * (unknown if math.isnan(load.service) else load.service))


def place(loads: Sequence[Load], now: float, chance: random.Random) -> Load:
    """The load of ``loads`` for the next session: one of those with the fewest sessions."""
    able = [load for load in loads if load.takes_sessions(now)] or loads
    fewest = min(load.sessions for load in able)
    return choose([load for load in able if load.sessions == fewest], chance)


def to_copy(loads: Iterable[Load], chosen: Load, now: float) -> Load | None:
    """The load of a slow replica that gets a copy of a request to ``chosen``, if one is due."""
    for load in loads:
        if load.slow and load is not chosen and not load.in_flight and now - load.copied >= COPY_SECONDS:
            load.copied = now
            return load
    return None
