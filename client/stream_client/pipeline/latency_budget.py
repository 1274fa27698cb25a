"""The latency budget of a run: hears of its results, and says what to send."""

import logging
import threading
import time
from collections.abc import Callable

from stream_client.errors import ConfigurationError
from stream_client.frames import Stamps, StreamInfo
from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.observer import Observer
from stream_client.pipeline.budget import Asked, Budget, divisors_for
from stream_client.processing.small_frames import shrunk_size

logger = logging.getLogger(__name__)


class LatencyBudget(Observer):
    """``seconds`` is the budget, and ``max_side`` bounds frames in any case. Safe from any thread."""

    SAID_AFTER = 1.0
    """Seconds that a change has to stand until it is said: steps that follow one another are one line."""

    def __init__(self, seconds: float, max_side: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._max_side = max_side
        self._clock = clock
        self._lock = threading.Lock()
        self._budget = Budget(seconds)
        self._size = (0, 0)
        self._reuses = False
        self._asked = self._said = Asked()
        self._changed_at = 0.0
        self._changes = 0
        self._taken = self._taken_before = 0

    def begin(self, info: StreamInfo, *, free_size: bool, reuses: bool = False) -> None:
        """The source is open; ``free_size``: the server takes frames of any size. ``reuses``: frames that are
        not sent get the result before them.

        Raises :class:`.ConfigurationError` for a source that waits for its results.
        """
        if not info.live:
            text = f"{info.name} waits for its results: a latency budget is for live sources, or a file that is paced"
            raise ConfigurationError(text, option="realtime")
        self._reuses = reuses
        self._size = (info.width, info.height)
        if self._max_side is not None:
            self._size = shrunk_size(*self._size, self._max_side)
        self._budget = Budget(self._seconds, divisors_for(max(self._size)) if free_size else (1,))

    @property
    def divisor(self) -> int:
        """What the sides of the next frame are divided by."""
        return self._asked.divisor

    def leaves_out(self) -> bool:
        """Whether the next frame of the source is not sent; called once for each."""
        self._taken += 1
        return self._taken % self._asked.parts != 0

    def delivered(self, stamps: Stamps) -> None:
        """Learn from a result."""
        now = self._clock()
        with self._lock:
            frames, self._taken_before = self._taken - self._taken_before, self._taken
            self._budget.result(stamps.delivered - stamps.captured, now, frames)
            if self._budget.asked != self._asked:
                self._asked, self._changed_at = self._budget.asked, now
                self._changes += 1
        if self._said != self._asked and now - self._changed_at >= self.SAID_AFTER:
            self._said = self._asked
            logger.warning("%s", self.snapshot().line())

    def snapshot(self) -> BudgetSnapshot:
        """What is asked now."""
        with self._lock:
            asked, usual = self._asked, self._budget.usual
            return BudgetSnapshot(
                *(self._seconds, usual, self._size, asked.divisor, asked.parts, self._changes), reuses=self._reuses
            )
