"""When to try a connection again, when to give up, and what to log. No I/O, no clock: ``now`` is an argument."""

import math
from collections import deque
from dataclasses import dataclass

from stream_client.util.backoff import Backoff


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after ``delay`` seconds. ``log``: whether the error is worth a line of the log.

    ``contested``: somebody else takes the connection's place again and again.
    """

    delay: float
    log: bool
    contested: bool = False


class RetryPlan:
    """Follows one connection that is opened again whenever it is lost. Times are in seconds.

    ``timeout``: how long to try after a loss, and at the start; ``None`` for ever, 0 for a single attempt at the
    start and none after a loss. A refusal is an error that a retry does not mend. The first one ends the attempts at
    the start. Once the connection was live, ``refusals`` in a row do, since a server that is starting may refuse for
    a while.

    The back-off starts anew only when a connection has lasted or worked: a server that accepts and closes at once gets
    the growing delays of one that is away. The log gets the first loss in a row of such short connections, then the
    second, the fourth, the eighth, ...; and each message once an outage.

    A place is contested when the server has closed :attr:`CONTESTED_LOSSES` short connections in a row, and each new
    attempt succeeded at once: a server that restarts refuses some attempts in between. Then each further attempt waits
    ``contested_delay`` seconds.
    """

    LASTING = 5.0
    """Seconds. A connection that was live for this long has lasted."""

    SHORTEST_ATTEMPT = 0.5
    """Seconds that every attempt may take at least: enough for the server to give its reason."""

    REMEMBERED = 8
    """Messages that are not logged again in the same outage."""

    CONTESTED_LOSSES = 3

    def __init__(
        self, *, timeout: float | None, backoff: Backoff, refusals: int = 3, contested_delay: float = 30.0
    ) -> None:
        self._timeout = timeout
        self._backoff = backoff
        self._contested_delay = contested_delay
        self._closed_in_a_row = 0
        self._attempts = 0
        self._refusals_allowed = refusals
        self._refusals = 0
        self._attempted = False
        self._was_live = False
        self._live_since: float | None = None
        self._trying_since: float | None = None
        self._lost_at: float | None = None
        self._losses = 0
        self._quiet = False
        self._logged: deque[str] = deque(maxlen=self.REMEMBERED)

    @property
    def losses(self) -> int:
        """Losses in a row, with no connection that lasted between them."""
        return self._losses

    @property
    def attempts(self) -> int:
        """Attempts that failed since the connection was live, or since the start."""
        return self._attempts

    def begin(self, now: float) -> None:
        """Attempts begin, at the start or after a connection that we ended ourselves; no effect after a loss."""
        if self._trying_since is None:
            self._trying_since = now

    def attempt_seconds(self, now: float) -> float:
        """How long the next attempt may take; ``inf`` leaves that to the connection's own timeouts."""
        if not self._attempted or not self._timeout:
            return math.inf
        return max(self._left(now), self.SHORTEST_ATTEMPT)

    def connected(self, now: float) -> float | None:
        """An attempt succeeded. Returns how long the connection was away where that is worth a line of the log."""
        away = None if self._lost_at is None or self._quiet else now - self._lost_at
        self._attempted = self._was_live = True
        self._refusals = self._attempts = 0
        self._trying_since = self._lost_at = None
        if self._live_since is None:
            self._live_since = now
        self._logged.clear()
        return away

    def has_worked(self) -> None:
        """The live connection has done what it is for: the next delay is the shortest one."""
        self._backoff.reset()

    def lost(self, now: float, *, closed: bool = False) -> Retry | None:
        """A live connection broke. ``closed``: the server closed it. ``None``: give up."""
        lasted = self._live_since is not None and now - self._live_since >= self.LASTING
        self._closed_in_a_row = self._closed_in_a_row + 1 if closed and not lasted else 0
        if lasted:
            self._backoff.reset()
            self._losses = 0
        self._losses += 1
        self._quiet = self._losses & (self._losses - 1) != 0
        self._live_since = None
        self._lost_at = self._trying_since = now
        contested = self._closed_in_a_row >= self.CONTESTED_LOSSES
        first = self._closed_in_a_row == self.CONTESTED_LOSSES
        return self._retry(now, log=first or not self._quiet, contested=contested)

    def failed(self, message: str, now: float, *, refused: bool) -> Retry | None:
        """An attempt failed. ``None``: give up."""
        self._attempted = True
        self._attempts += 1
        self._live_since = None
        self._closed_in_a_row = 0
        self._refusals = self._refusals + 1 if refused else 0
        if self._refusals >= (self._refusals_allowed if self._was_live else 1):
            return None
        if self._lost_at is not None and now - self._lost_at >= self.LASTING:
            self._quiet = False  # a long outage is worth its lines, whatever was before it
        log = not self._quiet and message not in self._logged
        if log:
            self._logged.append(message)
        return self._retry(now, log=log)

    def _retry(self, now: float, *, log: bool, contested: bool = False) -> Retry | None:
        left = self._left(now)
        if left <= 0:
            return None
        delay = self._contested_delay if contested else self._backoff.next()
        return Retry(min(delay, left), log, contested)

    def _left(self, now: float) -> float:
        if self._timeout is None or self._trying_since is None:
            return math.inf
        return max(0.0, self._trying_since + self._timeout - now)
