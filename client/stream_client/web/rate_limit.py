"""A bound on messages a second. Pure: time is an argument."""


class RateLimit:
    """Allows ``rate`` messages a second on average, and ``rate`` at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._room = rate
        self._last: float | None = None

    def allows(self, now: float) -> bool:
        """Whether a message at ``now``, in seconds of a steady clock, is within the bound."""
        if self._last is not None:
            self._room = min(self._rate, self._room + (now - self._last) * self._rate)
        self._last = now
        if self._room < 1:
            return False
        self._room -= 1
        return True
