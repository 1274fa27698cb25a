"""A TCP connection that another thread can abort, with TLS or without."""

import contextlib
import math
import socket
import ssl
import time
from typing import Any

from stream_client.util.send_queue import SendQueue
from stream_client.util.tcp import connect, prepare
from stream_client.util.tls import tls_context


class TcpConnection:
    """Used by one thread, but for :meth:`abort`. ``timeout`` in seconds bounds each step. Raises :class:`OSError`."""

    def __init__(self, host: str, port: int, *, tls: bool, insecure: bool, timeout: float) -> None:
        self._host, self._port = host, port
        self._tls = tls
        self._insecure = insecure
        self._timeout = timeout
        self._end = math.inf
        self._socket: socket.socket | None = None
        self._aborted = False

    def connect(self, within: float) -> None:
        """Open the connection; ``within`` bounds this and what is received until :meth:`established`, in seconds."""
        self._end = time.monotonic() + min(within, self._timeout)
        connection = connect(self._host, self._port, self._left(), self._try)
        connection.settimeout(self._left())
        prepare(connection, self._timeout)
        if self._tls:
            context = tls_context(insecure=self._insecure)
            tls = context.wrap_socket(connection, server_hostname=self._host, do_handshake_on_connect=False)
            self._socket = tls
            tls.do_handshake()

    def _try(self, connection: socket.socket) -> None:
        self._socket = connection  # abort() knows it before it connects
        if self._aborted:
            raise ConnectionAbortedError("stopped")

    @property
    def peer(self) -> tuple[Any, ...]:
        """The server's socket address."""
        assert self._socket is not None
        return tuple(self._socket.getpeername())

    def fileno(self) -> int:
        """The socket, for :mod:`selectors`."""
        assert self._socket is not None
        return self._socket.fileno()

    def established(self) -> None:
        """From now on each send may take the timeout."""
        assert self._socket is not None
        self._socket.settimeout(self._timeout)

    def receive(self) -> bytes:
        """Wait for bytes, until the time to connect is over."""
        assert self._socket is not None
        self._socket.settimeout(self._left())
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    def wait(self, within: float = math.inf) -> bytes:
        """Wait for bytes, ``within`` seconds and for the timeout at most; empty once the server has closed."""
        assert self._socket is not None
        self._socket.settimeout(max(0.001, min(within, self._timeout)))
        try:
            return self._socket.recv(65_536)
        finally:
            self._socket.settimeout(self._timeout)

    def received(self) -> bytes:
        """What has come, without waiting."""
        assert self._socket is not None
        self._socket.settimeout(0)
        try:
            data = self._socket.recv(65_536)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        finally:
            self._socket.settimeout(self._timeout)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    def send(self, data: bytes) -> None:
        """Send everything."""
        assert self._socket is not None
        self._socket.sendall(data)

    def queued(self) -> int:
        """Bytes that were sent and that the server's side has not acknowledged."""
        assert self._socket is not None
        return SendQueue(self._socket).size()

    def hurry(self, seconds: float) -> None:
        """From now on each step takes so long at most."""
        assert self._socket is not None
        self._timeout = min(self._timeout, seconds)
        self._socket.settimeout(self._timeout)

    def abort(self) -> None:
        """Make every waiting call fail now; called from another thread."""
        self._aborted = True
        connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _left(self) -> float:
        return max(0.001, self._end - time.monotonic())
