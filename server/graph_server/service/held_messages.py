"""How many bytes of unfinished messages a server holds, connection by connection. No clock, no socket.

gRPC's core gathers a message of any allowed size before anybody sees it, and Python's has no memory quota. So the bytes
that came in over a connection are compared with the messages that came out.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from graph_server.service.connections import Endpoint

SMALL_BYTES = 1 << 20
"""A connection that holds less is never slow. Less progress in :data:`STALL_SECONDS` is none."""
STALL_SECONDS = 30.0
_OVERHEAD = 1 << 10
"""Bytes of frames of HTTP/2 and TLS beside a message, as well as 1/64 of it."""
_OVERHEAD_A_SECOND = 1 << 16
"""Bytes of pings, window updates and refused calls in a second."""


@dataclass(slots=True)
class _Connection:
    received: int
    finished: int = 0
    """How many of the received bytes belong to finished messages."""
    history: deque[tuple[float, int]] = field(default_factory=deque)
    """When how many bytes had been received, from the oldest byte of an unfinished message on."""
    progress: tuple[float, int] = (0.0, 0)
    """When how many bytes were held at the last progress, or fewer since."""

    @property
    def held(self) -> int:
        return self.received - self.finished


class HeldMessages:
    """Counts received bytes and finished messages. Safe from several threads.

    ``budget``: bytes of unfinished messages of all connections together.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._connections: dict[Endpoint, _Connection] = {}
        self._finished: dict[Endpoint, int] = {}
        self._busy: dict[Endpoint, set[int]] = {}
        self._looked: float | None = None
        self._lock = threading.Lock()

    def finish(self, client: Endpoint, size: int) -> None:
        """A message of ``size`` bytes, with what came beside it, is complete."""
        with self._lock:
            self._finished[client] = self._finished.get(client, 0) + size + size // 64 + _OVERHEAD

    def pause(self, client: Endpoint, stream: object) -> None:
        """A stream of the connection does not ask for its next message now."""
        with self._lock:
            self._busy.setdefault(client, set()).add(id(stream))

    def resume(self, client: Endpoint, stream: object) -> None:
        """It asks, or has ended."""
        with self._lock:
            streams = self._busy.get(client, set())
            streams.discard(id(stream))
            if not streams:
                self._busy.pop(client, None)

    def overdue(self, now: float, received: Mapping[Endpoint, int]) -> dict[Endpoint, int]:
        """The connections to cut off, with the bytes that they hold.

        ``received``: the bytes that came so far over each open connection, at the time ``now`` in seconds.
        """
        with self._lock:
            self._update(now, received)
            connections = self._connections
            over = {client: item.held for client, item in connections.items() if self._is_stalled(client, item, now)}
            total = sum(item.held for item in connections.values()) - sum(over.values())
            for client in sorted(connections, key=lambda client: (client in self._busy, _oldest(connections[client]))):
                if total <= self._budget:
                    break
                if client not in over:
                    over[client] = connections[client].held
                    total -= over[client]
            return over

    def _update(self, now: float, received: Mapping[Endpoint, int]) -> None:
        passed = 0 if self._looked is None else int((now - self._looked) * _OVERHEAD_A_SECOND)
        self._looked = now
        self._connections = {
            client: self._connections.get(client) or _Connection(count, progress=(now, 0))
            for client, count in received.items()
        }
        finished, self._finished = self._finished, {}
        for client, item in self._connections.items():
            if received[client] != item.received or not item.history:
                item.received = received[client]
                item.history.append((now, item.received))
            ended = finished.get(client, 0)
            item.finished = min(item.received, item.finished + ended + passed)
            while item.history and item.history[0][1] <= item.finished:
                item.history.popleft()
            since, held = item.progress
            moves = ended >= SMALL_BYTES or item.held - held >= SMALL_BYTES or item.held < SMALL_BYTES
            item.progress = (now, item.held) if moves else (since, min(held, item.held))

    def _is_stalled(self, client: Endpoint, item: _Connection, now: float) -> bool:
        return client not in self._busy and now - item.progress[0] > STALL_SECONDS


def _oldest(connection: _Connection) -> float:
    """When the oldest byte of an unfinished message came."""
    return connection.history[0][0] if connection.history else float("inf")
