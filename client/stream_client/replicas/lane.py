"""A connection for the unary calls to one replica."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from stream_client.replicas.replica import Replica
from stream_client.transport.base import Request, Transport


@dataclass(slots=True, eq=False)
class Lane:
    """Calls to one replica. ``copies``: when copies without an answer were sent, by timestamp."""

    replica: Replica
    transport: Transport
    copies: dict[int, float] = field(default_factory=dict)
    encoding: threading.Lock = field(default_factory=threading.Lock)
    ended: bool = False

    def send(self, request: Request) -> None:
        """Encode and send in one; safe from any thread."""
        with self.encoding:
            data = self.transport.encode(request)
        self.transport.send(request.timestamp, data)


def close_lanes(lanes: Sequence[Lane]) -> None:
    """All at once: a server that has stopped reading takes its time."""
    threads = [threading.Thread(target=lane.transport.close, name="replica closer", daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
