"""A connection that publishes one H.264 track: ANNOUNCE, SETUP, RECORD, packets, TEARDOWN."""

import contextlib
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from stream_client.rtsp.authentication import Authenticator
from stream_client.rtsp.h264 import RtpPacketiser, parameter_sets, session_description
from stream_client.rtsp.messages import Response, RtspError, interleaved, parse_response, request_bytes
from stream_client.urls import environment_credentials, split_credentials

_PORTS = {"rtsp": 554, "rtsps": 322}
_REPORT_SECONDS = 5.0
_KEEPALIVE_SECONDS = 25.0  # servers close sessions after 60 s by default (RFC 2326, 12.37)


class Publisher:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step.

    Raises :class:`RtspError` for refusals and :class:`OSError` (time-outs, TLS) for the rest.
    """

    def __init__(self, url: str, *, timeout: float = 5.0) -> None:
        self._url, own = split_credentials(url)
        credentials = own or environment_credentials()
        self._authenticator = Authenticator(credentials) if credentials is not None else None
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._aborted = False
        self._received = b""
        self._sequence = 0
        self._session = ""
        self._packetiser = RtpPacketiser()
        self._next_report = 0.0
        self._next_keepalive = 0.0

    def connect(self) -> None:
        """Open the connection, with TLS for ``rtsps``."""
        parts = urlsplit(self._url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for tried, (family, kind, protocol, _, address) in enumerate(addresses, start=1):
            connection = socket.socket(family, kind, protocol)
            self._socket = connection  # abort() knows it before it connects
            connection.settimeout(self._timeout)
            try:
                self._connect_to(connection, address, host if parts.scheme == "rtsps" else None)
            except OSError:
                self._socket.close()
                if self._aborted or tried == len(addresses):
                    raise
            else:
                return

    def _connect_to(self, connection: socket.socket, address: Any, tls_host: str | None) -> None:
        if self._aborted:
            raise ConnectionAbortedError("stopped")
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls_host is not None:
            context = ssl.create_default_context()
            tls = context.wrap_socket(connection, server_hostname=tls_host, do_handshake_on_connect=False)
            self._socket = tls
            tls.do_handshake()

    def announce(self, units: list[bytes], title: str) -> None:
        """Begin to record a stream; ``units`` is its first access unit, with the parameter sets."""
        sets = parameter_sets(units)
        if sets is None:
            raise RtspError("the encoder gave no parameter sets")
        description = session_description(sets, title).encode()
        self._request("ANNOUNCE", self._url, {"Content-Type": "application/sdp"}, description)
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}
        response = self._request("SETUP", f"{self._url}/streamid=0", transport)
        self._session = response.headers.get("session", "").split(";")[0]
        self._request("RECORD", self._url, {"Range": "npt=0.000-"})
        now = time.monotonic()
        self._next_report, self._next_keepalive = now, now + _KEEPALIVE_SECONDS

    def send(self, units: list[bytes], presentation: int) -> None:
        """Send an access unit; ``presentation`` in ticks of 90 kHz. Waits at most the time-out."""
        assert self._socket is not None
        parts = [interleaved(0, packet) for packet in self._packetiser.packets(units, presentation)]
        now = time.monotonic()
        if now >= self._next_report:
            parts.append(interleaved(1, self._packetiser.sender_report(presentation, time.time())))
            self._next_report = now + _REPORT_SECONDS
        if now >= self._next_keepalive:
            parts.append(self._request_bytes("OPTIONS", self._url, {}, b""))
            self._next_keepalive = now + _KEEPALIVE_SECONDS
        self._socket.sendall(b"".join(parts))
        self._discard_received()

    def close(self) -> None:
        """Say good-bye where possible, and close the connection."""
        if self._socket is None:
            return
        connection, self._socket = self._socket, None
        if self._session and not self._aborted:
            with contextlib.suppress(OSError):
                connection.settimeout(0.2)
                connection.sendall(self._request_bytes("TEARDOWN", self._url, {}, b""))
        connection.close()

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _request(self, method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Response:
        assert self._socket is not None
        self._socket.sendall(self._request_bytes(method, url, headers, body))
        response = self._response()
        if response.status == 401 and self._authenticator and self._authenticator.challenged(response.challenges):
            self._socket.sendall(self._request_bytes(method, url, headers, body))
            response = self._response()
        if response.status != 200:
            raise RtspError(f"{method} was answered with {response.status} {response.reason}", response.status)
        return response

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
        assert self._socket is not None
        deadline = time.monotonic() + self._timeout
        while True:
            if self._received:
                parsed = parse_response(self._received)
                if parsed is not None:
                    response, length = parsed
                    self._received = self._received[length:]
                    return response
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            data = self._socket.recv(65_536)
            self._socket.settimeout(self._timeout)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._received += data

    def _discard_received(self) -> None:
        """Receiver reports and answers to keep-alives: taken, so that the server never waits, and not looked at."""
        assert self._socket is not None
        self._socket.settimeout(0)
        try:
            while self._socket.recv(65_536):
                pass
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        finally:
            self._socket.settimeout(self._timeout)
        raise ConnectionResetError("the server closed the connection")
