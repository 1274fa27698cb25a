"""The connection below publishing and playing: requests, responses and packets on one socket."""

import contextlib
import math
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from stream_client.errors import ConfigurationError, RtspError
from stream_client.rtsp.client import RtspClient
from stream_client.rtsp.messages import Packet, Response
from stream_client.util.redact import redact
from stream_client.util.tcp_connection import TcpConnection
from stream_client.util.urls import (
    DEFAULT_PORTS,
    check_url,
    credentials_for,
    is_loopback,
    same_server,
    split_credentials,
)

_TEARDOWN_SECONDS = 0.3
_MOST_REDIRECTS = 5
_REDIRECT = 302
MAX_EARLY_BYTES = 8 << 20
"""Of packets that come before the answer to a request. A server that has begun to send answers soon."""
_PACKET_BYTES = 128
"""What a packet takes in memory beside its data."""


class RtspConnection:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step.

    Raises :class:`RtspError` for refusals and :class:`OSError` (timeouts, TLS) for the rest. ``url`` is without
    credentials afterwards; they, or those of the environment, answer the server's challenges. ``insecure``: any
    certificate is taken, and passwords may go unencrypted.
    """

    def __init__(self, url: str, *, timeout: float, insecure: bool = False) -> None:
        self._timeout = timeout
        self._insecure = insecure
        self._requests_end = math.inf
        self._tcp: TcpConnection | None = None
        self._aborted = False
        self._early: deque[Packet] = deque()
        self._early_bytes = 0
        self._client = self._client_for(url)

    @property
    def url(self) -> str:
        """The address without credentials, after redirects the last one."""
        return self._client.url

    @property
    def peer(self) -> tuple[Any, ...]:
        """The server's socket address."""
        return self._connected.peer

    def begin(self, method: str, headers: dict[str, str], body: bytes = b"", within: float = math.inf) -> Response:
        """Connect and make the first request, at the server that redirects lead to; see :meth:`connect`.

        Credentials stay with the server that they were given for.
        """
        for _ in range(_MOST_REDIRECTS + 1):
            self.connect(within)
            try:
                return self.request(method, self.url, headers, body)
            except RtspError:
                if not self._client.redirection:
                    raise
                self._follow(self._client.redirection)
        raise RtspError(f"the server redirects more than {_MOST_REDIRECTS} times", _REDIRECT)

    def connect(self, within: float = math.inf) -> None:
        """Open the connection, with TLS for ``rtsps``; ``within`` bounds this and all requests together, in seconds."""
        self._requests_end = time.monotonic() + within
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme.lower()]
        tls = parts.scheme.lower() == "rtsps"
        tcp = self._tcp = TcpConnection(host, port, tls=tls, insecure=self._insecure, timeout=self._timeout)
        if self._aborted:
            tcp.abort()
        tcp.connect(within)
        tcp.established()

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Response:
        """Send a request, after a challenge once more, and wait for its response. Keeps the session's name."""
        data = self._client.request(method, url, headers, body)
        while True:
            self.send(data)
            response = self._response()
            data = self._client.answer(response, time.monotonic())
            if not data:
                return response

    def keepalive(self) -> bytes:
        """The request that keeps the session alive, for :meth:`send`; empty while none is due.

        Raises :class:`TimeoutError` when nothing has come within the timeout after the last one.
        """
        return self._client.keepalive(time.monotonic())

    def next_deadline(self) -> float:
        """When :meth:`keepalive` has something to do, by :func:`time.monotonic`."""
        return self._client.next_deadline()

    def send(self, data: bytes) -> None:
        """Send everything."""
        self._connected.send(data)

    def queued(self) -> int:
        """Bytes that were sent and that the server's side has not acknowledged."""
        return self._connected.queued()

    def receive(self) -> Response | Packet:
        """Wait for what comes next: a packet, or the answer to a keep-alive."""
        if self._early:
            return self._early.popleft()
        message = self._next_message(None)
        if isinstance(message, Response):
            self._client.is_answer(message)
        return message

    def skip_to_packet(self) -> None:
        """After an :class:`RtspError` of :meth:`receive`: go on where the next packet may begin."""
        self._client.skip_to_packet()

    def fileno(self) -> int:
        """The socket, for :mod:`selectors`."""
        return self._connected.fileno()

    def discard_received(self) -> None:
        """Read what is there: answers to keep-alives, and receiver reports, so that the server never waits for us."""
        while data := self._connected.received():
            self._client.receive(data)
            self._take_messages()

    def _take_messages(self) -> None:
        while True:
            try:
                message = self._client.next_message()
            except RtspError:  # a request of the server
                self._client.skip_to_packet()
                continue
            if message is None:
                return
            if isinstance(message, Response):
                self._client.is_answer(message)

    def close(self) -> None:
        """End the session where possible, and close the connection.

        Waits a short time for the answer: before it, servers may still hold the stream and refuse the next one.
        """
        tcp = self._tcp
        if tcp is None:
            return
        if not self._aborted and (teardown := self._client.teardown()):
            with contextlib.suppress(OSError, RtspError):
                tcp.hurry(_TEARDOWN_SECONDS)
                self._requests_end = time.monotonic() + _TEARDOWN_SECONDS
                self.send(teardown)
                self._response()
        self._tcp = None
        tcp.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._aborted = True
        tcp = self._tcp
        if tcp is not None:
            tcp.abort()

    @property
    def _connected(self) -> TcpConnection:
        assert self._tcp is not None
        return self._tcp

    def _client_for(self, url: str) -> RtspClient:
        bare, _ = split_credentials(url)
        parts = urlsplit(bare)
        clear_text = self._insecure or parts.scheme.lower() == "rtsps" or is_loopback(parts.hostname or "")
        return RtspClient(bare, credentials_for(url), clear_text=clear_text, silence=self._timeout)

    def _follow(self, location: str) -> None:
        before, self._tcp = self._tcp, None
        if before is not None:
            before.close()
        scheme = location.partition("://")[0].lower()
        if scheme not in ("rtsp", "rtsps") or (scheme == "rtsp" and self.url.lower().startswith("rtsps:")):
            raise RtspError(f"the server redirects to {redact(location)}, which is not followed", _REDIRECT)
        try:
            check_url(location)
        except ConfigurationError as error:
            raise RtspError(f"the server redirects to what is no URL: {redact(location)}", _REDIRECT) from error
        client = self._client_for(location)
        if same_server(self.url, location):
            client.keep_credentials(self._client)
        self._client = client

    def _response(self) -> Response:
        """The response to the last request; a server may begin to send packets before it has answered."""
        deadline = time.monotonic() + self._step_seconds()
        self._early_bytes = 0
        while True:
            message = self._next_message(deadline)
            if isinstance(message, Packet):
                self._early_bytes += len(message.data) + _PACKET_BYTES
                if self._early_bytes > MAX_EARLY_BYTES:
                    raise RtspError("the server sends packets and does not answer")
                self._early.append(message)
            elif self._client.is_answer(message):
                return message

    def _step_seconds(self) -> float:
        return max(0.001, min(self._timeout, self._requests_end - time.monotonic()))

    def _next_message(self, deadline: float | None) -> Response | Packet:
        while True:
            message = self._client.next_message()
            if message is not None:
                return message
            left = math.inf if deadline is None else deadline - time.monotonic()
            data = self._connected.wait(left)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._client.receive(data)
