"""An HTTP server for a small WSGI application, from the standard library, with bounds on its connections."""

import logging
import socket
import threading
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

logger = logging.getLogger(__name__)


class _Handler(WSGIRequestHandler):
    """Answers one request and closes. The connection is in its reader's hands until the request's head is complete."""

    timeout = 5.0
    """Seconds for each read, and for writing the whole answer."""
    server: "BoundedServer"

    def handle(self) -> None:
        with suppress(OSError):  # the other side went away, was too slow, or had to make room
            super().handle()

    def parse_request(self) -> bool:
        complete = super().parse_request()
        self.server.answering(self.connection)
        return complete

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


class BoundedServer(ThreadingMixIn, WSGIServer):
    """Serves ``application`` on ``address`` and ``port`` (0: a free one) from :meth:`serve_forever` to :meth:`close`.

    It has :attr:`CONNECTIONS` connections at most, each with a thread. A new one takes the place of the oldest one that
    has not sent its request yet, so that idle connections never keep anyone out.
    """

    CONNECTIONS = 8
    ACCEPT_PAUSE = 0.1
    """Seconds without :func:`accept`, after one that failed: the process has no file descriptor left."""

    request_queue_size = 128
    daemon_threads = False  # server_close() joins them

    def __init__(self, application: "WSGIApplication", address: str, port: int) -> None:
        self._lock = threading.Lock()
        self._reading: dict[socket.socket, None] = {}
        self._answering: set[socket.socket] = set()
        self._closed = threading.Event()
        family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        self.address_family = family
        super().__init__((str(place[0]), int(place[1])), _Handler)
        self.set_app(application)

    def get_request(self) -> tuple[socket.socket, Any]:
        """The next connection."""
        try:
            return super().get_request()
        except OSError:
            self._closed.wait(self.ACCEPT_PAUSE)
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Make room for a connection; ``False`` where every other one is being answered."""
        with self._lock:
            if len(self._reading) + len(self._answering) >= self.CONNECTIONS:
                oldest = next(iter(self._reading), None)
                if oldest is None:
                    return False
                del self._reading[oldest]
                _cut(oldest)
            self._reading[request] = None
        return True

    def answering(self, connection: socket.socket) -> None:
        """The head of a request is complete."""
        with self._lock:
            if connection in self._reading:
                del self._reading[connection]
                self._answering.add(connection)

    def shutdown_request(self, request: Any) -> None:
        """A connection has ended."""
        with self._lock:
            self._reading.pop(request, None)
            self._answering.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A fault of one connection is no line on the terminal."""
        logger.debug("a request of %s failed", client_address, exc_info=True)

    def close(self) -> None:
        """End :meth:`serve_forever` in its thread, and every connection."""
        self._closed.set()
        self.shutdown()
        with self._lock:
            for connection in (*self._reading, *self._answering):
                _cut(connection)
        self.server_close()


def _cut(connection: socket.socket) -> None:
    """Make the thread that waits for this connection go on; it closes it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
