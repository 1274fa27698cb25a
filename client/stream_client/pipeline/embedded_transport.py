"""A session with the embedded server, which is started again when it has ended."""

import math
from collections.abc import Sized
from typing import Any

from stream_client.embedded import EmbeddedServer
from stream_client.errors import ConnectError
from stream_client.transport.base import Listener, Request, Transport


class EmbeddedTransport:
    """A :class:`~stream_client.transport.base.Transport` that sees to it that ``server`` runs before it is opened."""

    def __init__(self, transport: Transport, server: EmbeddedServer) -> None:
        self._transport = transport
        self._server = server

    @property
    def upload_rate(self) -> float | None:
        """Bytes a second, of the fastest request."""
        return self._transport.upload_rate

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Start the server again if it has ended, and start a session."""
        self._server.revive(within)
        try:
            self._transport.open(listener, within=within, request_timeout=request_timeout)
        except ConnectError:
            if self._server.exit_status is None:
                raise
            # It was ending, and was not known to: a large process takes a moment to go.
            self._transport.close()
            self._server.revive(within)
            self._transport.open(listener, within=within, request_timeout=request_timeout)

    def encode(self, request: Request) -> Sized:
        """The request's bytes."""
        return self._transport.encode(request)

    def send(self, timestamp: int, data: Any) -> None:
        """Send them."""
        self._transport.send(timestamp, data)

    def finish(self) -> None:
        """End sending."""
        self._transport.finish()

    def interrupt(self) -> None:
        """End a waiting :meth:`open`, and every later one."""
        self._server.interrupt()
        self._transport.interrupt()

    def close(self) -> None:
        """End the session. The server stays."""
        self._transport.close()
