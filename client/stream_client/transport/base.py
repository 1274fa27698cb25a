"""The seam for transports: requests in, events out."""

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from stream_client.errors import StreamClientError
from stream_client.frames import Tensor


@dataclass(frozen=True, slots=True)
class Request:
    """A frame for the server. ``timestamp`` (µs) is its key: unique and increasing in a session.

    ``trace`` says which trace it belongs to, in W3C's form of ``traceparent``; empty: to none.
    """

    timestamp: int
    inputs: Sequence[Tensor]
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Outputs for the request of that timestamp: all of them (unary) or some of them (streaming).

    ``received`` and ``parsed`` are :func:`time.monotonic` before and after the message was parsed. ``complete``: no
    more outputs come for the timestamp. ``size`` is the message's, in bytes.
    """

    timestamp: int
    outputs: Mapping[str, Tensor]
    received: float
    parsed: float
    complete: bool
    size: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A request failed, the session goes on. ``timestamp`` is ``None`` where the server does not name the request."""

    timestamp: int | None
    error: StreamClientError


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, nothing comes after this. ``error`` is ``None`` after a clean half-close."""

    error: StreamClientError | None


@dataclass(frozen=True, slots=True)
class Placed:
    """The session lives at ``address`` from now on, which is one of several servers."""

    address: str


Event = Answer | Failure | Closed | Placed
Listener = Callable[[Event], None]
"""Called from the transport's own thread, one event at a time; must not block."""


@runtime_checkable
class Transport(Protocol):
    """A session with a server. ``open`` … ``close`` may be repeated to reconnect."""

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Start a session; raises :class:`~stream_client.errors.TransportError` when no server answers.

        ``within`` bounds, in seconds, the transport's own timeout. After ``request_timeout`` seconds a request may be
        given up; nobody waits for its answer any more.
        """

    @property
    def upload_rate(self) -> float | None:
        """Bytes a second, of the fastest request.

        ``None`` when unknown. Far too high for requests that fit into the network's buffers of a few megabytes.
        """

    def encode(self, request: Request) -> Sized:
        """Serialise the next request of this session; apart from :meth:`send`, so that each can be timed.

        The length is in bytes. The rest is between the two methods.
        """

    def send(self, timestamp: int, data: Any) -> None:
        """Send what :meth:`encode` gave, without waiting for the network."""

    def finish(self) -> None:
        """End sending. Open answers still come, then :class:`Closed`."""

    def interrupt(self) -> None:
        """End a waiting :meth:`open`, and every later one. Safe from any thread."""

    def close(self) -> None:
        """End the session at once and release everything. Safe twice, and after a failed open."""
