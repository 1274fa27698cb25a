"""Exponential back-off with jitter."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: uniform between half and all of ``first``·2^n, at most ``longest``.

    The jitter spreads clients that lost the same server.
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
