"""The connection below publishing and playing: requests, responses and packets on one socket."""

import contextlib
import math
import re
import socket
import ssl
import time
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from stream_client.errors import RtspError
from stream_client.rtsp.authentication import Authenticator
from stream_client.rtsp.messages import (
    Packet,
    Response,
    parse_packet,
    parse_response,
    request_bytes,
)
from stream_client.util.urls import credentials_for, split_credentials

_PORTS = {"rtsp": 554, "rtsps": 322}
_TEARDOWN_SECONDS = 0.3
_KEEPALIVE_SECONDS = 25.0  # servers close sessions after 60 s by default (RFC 2326, 12.37)
_SESSION_TIMEOUT = re.compile(r"timeout\s*=\s*([0-9]{1,9})")
MAX_EARLY_BYTES = 8 << 20
"""Of packets that come before the answer to a request. A server that has begun to send answers soon."""
_PACKET_BYTES = 128
"""What a packet takes in memory beside its data."""


class RtspConnection:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step.

    Raises :class:`RtspError` for refusals and :class:`OSError` (timeouts, TLS) for the rest. ``url`` is without
    credentials afterwards; they, or those of the environment, answer the server's challenges.
    """

    def __init__(self, url: str, *, timeout: float) -> None:
        self.url, _ = split_credentials(url)
        credentials = credentials_for(url)
        self._authenticator = Authenticator(credentials) if credentials is not None else None
        self._timeout = timeout
        self._requests_end = math.inf
        self._socket: socket.socket | None = None
        self._aborted = False
        self._received = bytearray()
        self._early: deque[Packet] = deque()
        self._early_bytes = 0
        self._sequence = 0
        self._session = ""
        self._keepalive_seconds = _KEEPALIVE_SECONDS
        self._next_keepalive = 0.0
        self._silence_end = math.inf  # when the server must have said something after a keep-alive

    def connect(self, within: float = math.inf) -> None:
        """Open the connection, with TLS for ``rtsps``; ``within`` bounds this and all requests together, in seconds."""
        self._requests_end = time.monotonic() + within
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for tried, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
            connection = socket.socket(family, kind, protocol)
            self._socket = connection  # abort() knows it before it connects
            connection.settimeout(self._step_seconds())
            try:
                self._connect_to(connection, address, host if parts.scheme == "rtsps" else None)
            except OSError:
                self._socket.close()
                if self._aborted or tried == len(addresses):
                    raise
            else:
                self._socket.settimeout(self._timeout)
                return

    def _connect_to(self, connection: socket.socket, address: Any, tls_host: str | None) -> None:
        if self._aborted:
            raise ConnectionAbortedError("stopped")
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a machine that has gone acknowledges nothing: Linux waits 15 minutes
            milliseconds = min(round(1000 * self._timeout), 2**31 - 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        if tls_host is not None:
            context = ssl.create_default_context()
            tls = context.wrap_socket(connection, server_hostname=tls_host, do_handshake_on_connect=False)
            self._socket = tls
            tls.do_handshake()

    @property
    def peer(self) -> tuple[Any, ...]:
        """The server's socket address."""
        assert self._socket is not None
        return tuple(self._socket.getpeername())

    def request(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Response:
        """Send a request, after a challenge once more, and wait for its response. Keeps the session's name."""
        self.send(self._request_bytes(method, url, headers, body))
        response = self._response()
        if response.status == 401 and self._authenticator and self._authenticator.challenged(response.challenges):
            self.send(self._request_bytes(method, url, headers, body))
            response = self._response()
        if response.status != 200:
            raise RtspError(f"{method} was answered with {response.status} {response.reason}", response.status, method)
        if session := response.headers.get("session"):
            self._session = session.split(";")[0].strip()
            if declared := _SESSION_TIMEOUT.search(session):
                self._keepalive_seconds = max(1.0, min(_KEEPALIVE_SECONDS, int(declared[1]) / 2))
        self._next_keepalive = time.monotonic() + self._keepalive_seconds
        return response

    def keepalive(self) -> bytes:
        """The request that keeps the session alive, for :meth:`send`; empty while none is due.

        Raises :class:`TimeoutError` when nothing has come within the timeout after the last one.
        """
        now = time.monotonic()
        if now >= self._silence_end:
            raise TimeoutError("the server has fallen silent")
        if now < self._next_keepalive:
            return b""
        self._next_keepalive = now + self._keepalive_seconds
        self._silence_end = now + self._timeout
        return self._request_bytes("OPTIONS", self.url, {}, b"")

    def send(self, data: bytes) -> None:
        """Send everything."""
        assert self._socket is not None
        self._socket.sendall(data)

    def receive(self) -> Response | Packet:
        """Wait for what comes next."""
        if self._early:
            return self._early.popleft()
        return self._next_message(None)

    def skip_to_packet(self) -> None:
        """After an :class:`RtspError` of :meth:`receive`: go on where the next packet may begin."""
        start = self._received.find(b"$", 1)
        del self._received[: len(self._received) if start < 0 else start]

    def discard_received(self) -> None:
        """Read and drop receiver reports and answers to keep-alives, so that the server never waits for us."""
        assert self._socket is not None
        self._socket.settimeout(0)
        try:
            while self._socket.recv(65_536):
                self._silence_end = math.inf
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            self._socket.settimeout(self._timeout)
        raise ConnectionResetError("the server closed the connection")

    def close(self) -> None:
        """End the session where possible, and close the connection.

        Waits a short time for the answer: before it, servers may still hold the stream and refuse the next one.
        """
        connection = self._socket
        if connection is None:
            return
        if self._session and not self._aborted:
            with contextlib.suppress(OSError, RtspError):
                self._timeout = min(self._timeout, _TEARDOWN_SECONDS)
                self._requests_end = math.inf
                connection.settimeout(self._timeout)
                self.send(self._request_bytes("TEARDOWN", self.url, {}, b""))
                self._response()
        self._socket = None
        connection.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _request_bytes(self, method: str, url: str, headers: dict[str, str], body: bytes) -> bytes:
        self._sequence += 1
        fields = {"CSeq": str(self._sequence), "User-Agent": "ovms-stream-client", **headers}
        if self._session:
            fields["Session"] = self._session
        authorization = self._authenticator.header(method, url) if self._authenticator else None
        if authorization is not None:
            fields["Authorization"] = authorization
        return request_bytes(method, url, fields, body)

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
            elif message.headers.get("cseq", str(self._sequence)) == str(self._sequence):  # else a keep-alive's
                return message

    def _step_seconds(self) -> float:
        return max(0.001, min(self._timeout, self._requests_end - time.monotonic()))

    def _next_message(self, deadline: float | None) -> Response | Packet:
        assert self._socket is not None
        while True:
            if self._received:
                parse = parse_packet if self._received.startswith(b"$") else parse_response
                parsed = parse(self._received)
                if parsed is not None:
                    message, length = parsed
                    del self._received[:length]
                    return message
            if deadline is not None:
                self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(65_536)
            finally:
                self._socket.settimeout(self._timeout)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._received += data
            self._silence_end = math.inf
