"""The REST port: a bounded number of threads that speak HTTP/1.1, with time-outs."""

import logging
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import graph_server
from graph_server.service.admission import Budget
from graph_server.service.rest.answers import HttpResponse, RestAnswers, failed
from graph_server.service.status import Refusal

logger = logging.getLogger(__name__)

_IDLE_SECONDS = 30.0  # a client that is silent that long in the middle of something, or between requests, is cut off
_REQUEST_SECONDS = 120.0  # and so is one that takes that long for a request, a byte now and then
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class RestServer:
    """Owns the thread that accepts connections and ``workers`` threads that serve one connection each.

    A connection beyond those is told 503 and closed. Bodies above ``body_bytes`` are refused with 413, and those for
    which ``bodies`` has no room left with 503, before they are read. Raises :class:`OSError` for an address that cannot
    be bound.
    """

    def __init__(
        self,
        host: str,
        port: int,
        answers: RestAnswers,
        bodies: Budget,
        *,
        workers: int,
        body_bytes: int,
        request_seconds: float = _REQUEST_SECONDS,
    ) -> None:
        handler = _handler(answers, bodies, body_bytes, request_seconds)
        self._server = _PooledServer((host, port), handler, workers)
        self._thread = threading.Thread(target=self._server.serve_forever, name="rest")

    @property
    def address(self) -> str:
        """``host:port``."""
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End, cutting what is under way, and wait for that."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.end_connections()


class _PooledServer(HTTPServer):
    request_queue_size = 128
    daemon_threads = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], workers: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._room = threading.BoundedSemaphore(workers)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rest call")
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}  # with the time until which a request has to be there
        try:
            super().__init__(address, handler)
        except OSError:
            self._pool.shutdown()
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            request.setblocking(False)
            with suppress(OSError):  # it may not even read
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        with self._lock:
            self._open[request] = math.inf
        self._pool.submit(self._serve, request, client_address)

    def expect(self, connection: socket.socket, seconds: float) -> None:
        """Cut the connection off after that time, unless told otherwise before."""
        with self._lock:
            self._open[connection] = time.monotonic() + seconds

    def service_actions(self) -> None:
        # Called every half second by serve_forever.
        now = time.monotonic()
        with self._lock:
            late = [connection for connection, until in self._open.items() if until < now]
            for connection in late:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def end_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):  # it may be gone already
                    connection.shutdown(socket.SHUT_RDWR)
        self._pool.shutdown(wait=True)

    def server_bind(self) -> None:
        # HTTPServer's own looks the host's name up, which may take seconds where there is no name service.
        socket_address = self.server_address
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(socket_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the client went away or was silent for too long
        except Exception:
            logger.exception("REST: a connection ended")
        finally:
            self.shutdown_request(request)
            with self._lock:
                self._open.pop(request, None)
            self._room.release()


def _handler(
    answers: RestAnswers, bodies: Budget, body_bytes: int, request_seconds: float
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = f"graph_server/{graph_server.__version__}"
        timeout = _IDLE_SECONDS
        server: _PooledServer

        def handle_one_request(self) -> None:
            self.server.expect(self.connection, request_seconds)
            super().handle_one_request()

        def do_GET(self) -> None:
            self._answer()

        do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET

        def _answer(self) -> None:
            length = self.headers.get("Content-Length", "0")
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower() or not length.isdecimal():
                self._refuse(411, "Content-Length is required")
            elif len(length) > 18 or int(length) > body_bytes:
                self._refuse(413, "the request is too large")
            else:
                try:
                    with bodies.take(int(length)):
                        self._answer_body(int(length))
                except Refusal as refusal:
                    self._refuse(503, str(refusal))

        def _answer_body(self, length: int) -> None:
            body = self.rfile.read(length)
            if len(body) < length:
                self.close_connection = True
                return
            self.server.expect(self.connection, math.inf)
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                response = answers.answer(self.command, self.path, headers, body)
            except Exception:
                logger.exception("REST: %s %s", self.command, self.path)
                response = failed(500, "Internal server error")
            self._write(response)

        def _refuse(self, status: int, text: str) -> None:
            self.close_connection = True
            self._write(failed(status, text))

        def _write(self, response: HttpResponse) -> None:
            self.send_response(response.status)
            self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
            for name, value in response.headers.items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler
