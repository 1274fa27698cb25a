"""The HTTP server: uvicorn with bounds on its connections, and an end within two seconds."""

import asyncio
import os
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from stream_client.errors import ConfigurationError
from stream_client.web.options import WebOptions

MAX_CONNECTIONS = 512
HEAD_TIMEOUT = 10.0
"""Seconds for the head of a request, from the connection's first moment or the head's first byte."""
MAX_MESSAGE = 4 << 20
"""Bytes of a websocket's message: a JPEG of a frame has fewer."""
UNREAD_SECONDS = 20.0
"""For data that the other side does not take: a laptop that sleeps, or a reader that does not read."""
_PING_SECONDS = 10.0


class BoundedProtocol(H11Protocol):
    """A connection that has to send the head of a request in time.

    With :data:`MAX_CONNECTIONS` connections, a new one takes the place of the oldest that has no request, so idle ones
    never keep anyone out.
    """

    _clock: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room, and start the clock."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._clock = self.loop.call_later(HEAD_TIMEOUT, self._cut)
        if len(self.connections) > MAX_CONNECTIONS:
            mine = [each for each in self.connections if isinstance(each, BoundedProtocol) and each._is_idle]
            min(mine, key=lambda each: each._since)._cut()

    def data_received(self, data: bytes) -> None:
        """Handle the data. The clock runs while a head is incomplete."""
        super().data_received(data)
        if not self._is_idle:
            self._stop_clock()
        elif self._clock is None:
            self._clock = self.loop.call_later(HEAD_TIMEOUT, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        """Whether no request is being answered, and the connection is no websocket."""
        return self in self.connections and (self.cycle is None or self.cycle.response_complete)

    def _cut(self) -> None:
        self._clock = None
        self.connections.discard(self)  # many may come before this one is gone
        self.transport.abort()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None


class WebServer(uvicorn.Server):
    """Serves ``app`` on a socket that listens. ``on_stop`` ends what keeps answers open; it returns at once."""

    def __init__(self, app: ASGIApp, options: WebOptions, on_stop: Callable[[], object] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE,
                ws_ping_interval=_PING_SECONDS,
                ws_ping_timeout=_PING_SECONDS,
                ws_per_message_deflate=False,  # frames are compressed already
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=1,
                ssl_certfile=options.certificate,
                ssl_keyfile=options.key,
            )
        )
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what keeps answers open, then the connections."""
        self._on_stop()
        await super().shutdown(sockets)


def listen(options: WebOptions, *, unread_seconds: float = UNREAD_SECONDS) -> socket.socket:
    """The socket that the application listens on; raises :class:`.ConfigurationError`.

    The system ends a connection on which data wait for longer than ``unread_seconds``. Where it cannot (other than
    Linux), such a connection lasts as long as the system's own timeouts.
    """
    host = options.host.strip("[]")
    try:
        family, *_, place = socket.getaddrinfo(host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server((str(place[0]), int(place[1])), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        raise ConfigurationError(
            f"cannot listen on {options.host}, port {options.port}: {reason}", option="port"
        ) from error
    # asyncio sets it only where the protocol's number is given. Without it a result waits for the browser's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * unread_seconds))
    return listener


def url(options: WebOptions, port: int, token: str) -> str:
    """Where a browser finds the page. The token is in the fragment, which a browser sends to nobody."""
    host = options.host.strip("[]")
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, f"[{host}]" if ":" in host else host)
    scheme = "http" if options.certificate is None else "https"
    return f"{scheme}://{host}:{port}/" + (f"#token={token}" if token else "")
