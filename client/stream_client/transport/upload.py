"""How fast the network takes the requests of a streaming call."""

import time
from collections.abc import Iterator

from stream_client.transport.message import Message
from stream_client.transport.shared_memory import SharedMemory
from stream_client.util.bounded_queue import BoundedQueue


class Upload:
    """Measures the requests of one session.

    The first requests disappear in empty buffers, and a busy server delays later ones. So only the fastest of the later
    requests shows what the network can do.
    """

    BUFFERED = 4
    """How many requests at the start of a call are no measure of the network's rate."""

    def __init__(self) -> None:
        self.rate: float | None = None
        """Bytes a second, of the fastest request."""

    def drain(self, requests: BoundedQueue[Message]) -> Iterator[Message]:
        """Those of a call, for the thread that sends them. It asks for the next when the network has taken the last."""
        count = 0
        while (data := requests.get()) is not None:
            started = time.monotonic()
            yield data
            count += 1
            if count > self.BUFFERED and len(data) >= SharedMemory.MIN_BYTES:
                rate = len(data) / max(time.monotonic() - started, 1e-6)
                self.rate = max(rate, self.rate or 0.0)
