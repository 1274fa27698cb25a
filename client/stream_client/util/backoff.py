"""When to make the next attempt, and how long to go on: exponential back-off with full jitter, and a limit."""

import math
import random
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: uniform between half and all of ``first``·2^n, at most ``longest``.

    The jitter keeps clients that lost the same server from coming back all at once.
    """

    first: float = 0.1
    longest: float = 2.0
    source: random.Random = field(default_factory=random.Random)
    attempt: int = 0

    def next(self) -> float:
        """The next delay."""
        ceiling = min(self.longest, self.first * 2.0 ** min(self.attempt, 30))
        self.attempt += 1
        return ceiling * self.source.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the shortest delay."""
        self.attempt = 0


class TimeLimit:
    """How long a peer is sought: for ``seconds`` from now, ``None`` for ever, 0 for a single attempt."""

    SHORTEST_ATTEMPT = 0.5
    """Seconds that every attempt has at least: enough for the peer to say why not."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the limit, at least 0."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.left == 0.0

    @property
    def for_attempt(self) -> float:
        """Seconds that an attempt may take now, beside its own time-outs."""
        return max(self.left, self.SHORTEST_ATTEMPT) if self._seconds else math.inf
