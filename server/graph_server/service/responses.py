"""Responses on their way from a graph to the network."""

import threading
from collections import deque
from collections.abc import Iterator

from graph_server.errors import GraphError


class ResponseQueue:
    """Encoded responses between a graph's workers and the network. Bounded: a slow reader slows the graph."""

    def __init__(self, capacity: int, max_bytes: int) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._items: deque[bytes] = deque()
        self._bytes = 0
        self._ended = False
        self._abandoned = False
        self._changed = threading.Condition()

    def put(self, item: bytes) -> None:
        """Wait for room; raises :class:`GraphError` when the client is gone."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_room(len(item)) or self._abandoned)
            if self._abandoned:
                raise GraphError("the client is gone", "CANCELLED")
            self._items.append(item)
            self._bytes += len(item)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody reads any more."""
        with self._changed:
            self._abandoned = self._ended = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._take, None)  # which keeps none while it waits for the next

    def _take(self) -> bytes | None:
        """The next response, or ``None`` after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended)
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= len(item)
            self._changed.notify_all()
            return item

    def _has_room(self, size: int) -> bool:
        """At least one item always fits."""
        return not self._items or (len(self._items) < self._capacity and self._bytes + size <= self._max_bytes)
