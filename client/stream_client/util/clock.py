"""Microseconds since 1970 that no step of the wall clock disturbs."""

import time


class SteadyClock:
    """The wall clock of the moment it was made; from then on it follows :func:`time.monotonic`.

    A source has one for its whole run, so its timestamps never jump with the wall clock.
    """

    def __init__(self) -> None:
        self._zero = time.time_ns() // 1000 - time.monotonic_ns() // 1000

    def now(self) -> int:
        """Microseconds since 1970."""
        return self.at(time.monotonic())

    def at(self, monotonic: float) -> int:
        """The same for a moment of :func:`time.monotonic`, in seconds."""
        return self._zero + round(monotonic * 1_000_000)


def to_monotonic(wall: int) -> float:
    """The moment of :func:`time.monotonic`, in seconds, at which the wall clock of now said or says ``wall``, in µs."""
    return time.monotonic() - (time.time() - wall / 1_000_000)
