"""The queue of one session that delays, drops, replaces, repeats and reorders responses.

Pure: nothing here waits or owns a thread, and time is an argument. :mod:`graph_server.faults.interceptor` has the
threads.
"""

import random
from collections import deque

from graph_server.faults.options import FaultOptions

REORDER_HOLD = 0.1
"""Seconds that a response waits to be overtaken. Then it is sent anyway, because its client may wait for it."""


class FaultQueue:
    """The responses of one session that wait to be sent. :meth:`pop` gives a response when it is due.

    It may drop, replace, repeat and reorder them. Times are in seconds of any monotonic clock.
    """

    def __init__(self, options: FaultOptions, chance: random.Random, error: bytes) -> None:
        self._options = options
        self._chance = chance
        self._error = error
        self._due: deque[tuple[float, bytes]] = deque()
        self._held: tuple[float, bytes] | None = None
        self._popped = 0
        self.bytes = 0
        """The bytes of all waiting responses."""

    @property
    def closed(self) -> bool:
        """Whether ``close_after`` responses have been sent. No more will follow."""
        return bool(self._options.close_after) and self._popped >= self._options.close_after

    def add(self, response: bytes, now: float) -> None:
        """Add a response that is ready at ``now``."""
        options, chance = self._options, self._chance
        # Draw all four numbers for every response, so that one probability does not change the draws of the others.
        dropped, failed, twice, overtaken = (
            chance.random() < bound for bound in (options.drop, options.error, options.duplicate, options.reorder)
        )
        if dropped:
            return
        due = now + options.delay
        response = self._error if failed else response
        if overtaken and self._held is None:
            self._held = (due + REORDER_HOLD, response)
            self.bytes += len(response)
            return
        for _ in range(2 if twice else 1):
            self._put(due, response)
        if self._held is not None:
            held, self._held = self._held[1], None
            self.bytes -= len(held)
            self._put(due, held)

    def end(self, now: float) -> None:
        """No response will follow, so no response waits to be overtaken."""
        if self._held is not None:
            due, held = self._held
            self._held = None
            self.bytes -= len(held)
            self._put(min(due, now + self._options.delay), held)

    def next_due(self) -> float | None:
        """The time when :meth:`pop` will give a response. ``None``: not before the next :meth:`add`."""
        times = [self._due[0][0]] if self._due else []
        if self._held is not None:
            times.append(self._held[0])
        return min(times, default=None)

    def pop(self, now: float) -> bytes | None:
        """The next response if one is due, else ``None``."""
        if self.closed:
            return None
        if self._due and self._due[0][0] <= now:
            response = self._due.popleft()[1]
        elif self._held is not None and self._held[0] <= now:
            response, self._held = self._held[1], None
        else:
            return None
        self.bytes -= len(response)
        self._popped += 1
        return response

    def _put(self, due: float, response: bytes) -> None:
        self._due.append((due, response))
        self.bytes += len(response)
