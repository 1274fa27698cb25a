"""How much clients may ask for at once."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from graph_server.service.status import Refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server. Beyond them a call ends with ``RESOURCE_EXHAUSTED``, or waits to send.

    Half of ``calls`` may be streams, three eighths unary inference. So health and metadata are always answered. A
    stream becomes a session, which holds a graph, with its first request. Each session has an equal share of
    ``memory_bytes`` for the frames inside its graph, so no session can use another's.
    """

    calls: int = 512
    """Calls at once, each of which holds a thread."""
    sessions: int = 32
    """Sessions at once, each of which holds a graph."""
    message_bytes: int = 128 << 20
    """The largest message, in bytes: an RGBA frame of 8K fits."""
    memory_bytes: int = 2 << 30
    """Bytes of frames in graphs and of unary requests: OVMS's default quota."""
    queued_packets: int = 100
    """Packets of one stream inside a session's graph: MediaPipe's default."""
    running: int = field(default_factory=lambda: max(2, os.cpu_count() or 1))
    """Unary graphs that run at the same time. Others wait."""

    @property
    def streams(self) -> int:
        """Streams at a time, with or without a request so far."""
        return max(1, self.calls // 2)

    @property
    def inferences(self) -> int:
        """Unary inferences at a time, including those that wait."""
        return max(1, self.calls * 3 // 8)

    @property
    def parsed_memory(self) -> int:
        """Bytes of memory for JSON as Python objects, and as many for messages that protobuf parses.

        Nobody else runs while one of them is parsed.
        """
        return max(self.memory_bytes // 8, 1 << 20)

    @property
    def json_bytes(self) -> int:
        """The most JSON of one request, in bytes: each takes five bytes of memory at least."""
        return min(self.message_bytes, self.parsed_memory // 5)

    @property
    def session_bytes(self) -> int:
        """A session's share of :attr:`memory_bytes`."""
        return max(1, self.memory_bytes // self.sessions)


class Budget:
    """A limited amount of something. Safe from several threads."""

    def __init__(self, limit: int, what: str, flag: str) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()
        self._refusal = f"{what}; the limit is {limit} ({flag})"

    @contextmanager
    def take(self, amount: int = 1) -> Iterator[None]:
        """Take ``amount``. Raises :class:`Refusal` ``RESOURCE_EXHAUSTED`` where less is left."""
        self._add(amount)
        try:
            yield
        finally:
            self._give_back(amount)

    def reserve(self) -> "Reservation":
        """A part that is empty at first, and grows."""
        return Reservation(self)

    def _add(self, amount: int) -> None:
        with self._lock:
            if self._used + amount > self._limit:
                raise Refusal(self._refusal, code=grpc.StatusCode.RESOURCE_EXHAUSTED)
            self._used += amount

    def _give_back(self, amount: int) -> None:
        with self._lock:
            self._used -= amount


class Reservation:
    """A growing part of a budget. It is given back as a whole when it is left. For one thread."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._amount = 0

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *_: object) -> None:
        self._budget._give_back(self._amount)
        self._amount = 0

    def grow(self, amount: int) -> None:
        """Add ``amount``. Raises :class:`Refusal` ``RESOURCE_EXHAUSTED`` where less is left."""
        self._budget._add(amount)
        self._amount += amount

    def largest(self) -> Callable[[int], None]:
        """A function that takes the amounts of one more request. The reservation holds the largest request's."""
        sum_of_request = 0

        def take(amount: int) -> None:
            nonlocal sum_of_request
            sum_of_request += amount
            if sum_of_request > self._amount:
                self.grow(sum_of_request - self._amount)

        return take


class Budgets:
    """The budgets of one server."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.streams = Budget(limits.streams, "Too many streams are open", "half of --grpc_max_threads")
        self.sessions = Budget(limits.sessions, "Too many sessions are open", "--max_sessions")
        self.inferences = Budget(
            limits.inferences, "Too many inference calls are under way", "3/8 of --grpc_max_threads"
        )
        self.unary_bytes = Budget(
            limits.memory_bytes, "Too many bytes of inference calls are under way", "--grpc_memory_quota"
        )
        self.stream_bytes = Budget(
            limits.memory_bytes, "Too many bytes of streamed requests are under way", "--grpc_memory_quota"
        )
        self.rest_bytes = Budget(
            limits.memory_bytes, "Too many bytes of REST requests are under way", "--grpc_memory_quota"
        )
        self.header_bytes = Budget(
            limits.parsed_memory,
            "Too many bytes of memory for what is not raw content are asked for, send raw contents",
            "an eighth of --grpc_memory_quota",
        )
        self.json_bytes = Budget(
            limits.parsed_memory,
            "Too many bytes of memory for JSON are asked for, send tensors as binary data",
            "an eighth of --grpc_memory_quota",
        )
        self.running = threading.BoundedSemaphore(limits.running)
