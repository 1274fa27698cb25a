"""From the threads of a run to the event loop: a bounded queue that keeps the newest."""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """At most ``capacity`` items wait; a newer one takes the place of the oldest. Made in the event loop.

    Any thread puts, one task gets.
    """

    def __init__(self, capacity: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[Item] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._changed = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """Items that a newer one has replaced."""

    def put(self, item: Item) -> None:
        """Append; never waits. Does nothing once closed."""
        with self._lock:
            if self._closed:
                return
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
        self._wake()

    async def get(self) -> Item | None:
        """Wait for the next item; ``None`` once closed and empty."""
        while True:
            self._changed.clear()
            with self._lock:
                if self._items:
                    return self._items.popleft()
                if self._closed:
                    return None
            await self._changed.wait()

    def close(self) -> None:
        """Take no more items. Those inside can still be taken."""
        with self._lock:
            self._closed = True
        self._wake()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the event loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._changed.set)
