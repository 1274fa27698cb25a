"""What becomes of each result at an output that sends from a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from stream_client.frames import Result
from stream_client.monitoring.outputs import OutputSnapshot


class Fates:
    """Each result that was written ends once: sent, skipped or lost. Safe from any thread.

    ``on_end`` is called with each result and whether it was sent, and never with the lock held.
    """

    def __init__(self) -> None:
        self.on_end: Callable[[Result, bool], None] = lambda result, sent: None
        self._lock = threading.Lock()
        self._open: deque[Result] = deque()
        self._counts = OutputSnapshot()
        self._last_sent = -1

    def written(self, result: Result) -> None:
        """A result came."""
        with self._lock:
            self._open.append(result)

    def sent(self, index: int) -> None:
        """The frame of that index was sent, so that older ones will not be."""
        with self._lock:
            if index <= self._last_sent:
                self._counts = replace(self._counts, repeated=self._counts.repeated + 1)
                return
            self._last_sent = index
        self._end(lambda result: result.frame.index <= index, sent=index, lost=False)

    def give_up(self, *, lost: bool, before: int | None = None) -> None:
        """What is open, older than frame ``before``, will not be sent. ``lost``: the output is away."""
        self._end(lambda result: before is None or result.frame.index < before, sent=None, lost=lost)

    def counts(self) -> OutputSnapshot:
        """The counts now."""
        with self._lock:
            return self._counts

    def _end(self, ends: Callable[[Result], bool], *, sent: int | None, lost: bool) -> None:
        ended: list[Result] = []
        with self._lock:
            while self._open and ends(self._open[0]):
                ended.append(self._open.popleft())
            taken = sum(result.frame.index == sent for result in ended)
            left = len(ended) - taken
            counts = self._counts
            self._counts = replace(
                counts,
                sent=counts.sent + taken,
                skipped=counts.skipped + (0 if lost else left),
                lost=counts.lost + (left if lost else 0),
            )
        for result in ended:
            self.on_end(result, result.frame.index == sent)
