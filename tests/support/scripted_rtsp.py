"""An RTSP server that says what a test wants, for what no real one can be brought to do."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.in_thread import InThread


class _Connection(socketserver.StreamRequestHandler):
    server: "ScriptedRtsp"

    def handle(self) -> None:
        """Answer every request; packets follow PLAY, and nothing after them."""
        # FFmpeg may leave the last answer unread, and end the connection by a reset.
        with self.server.counted(self.connection), suppress(ConnectionError):
            self._answer_requests()

    def _answer_requests(self) -> None:
        method = number = ""
        for line in self.rfile:
            if b"RTSP/1.0" in line:
                method = line.split()[0].decode()
                self.server.requests.append(line.decode().strip())
                self.server.methods.append(method)
            elif line.startswith(b"Authorization"):
                self.server.authorizations.append(line.decode().strip())
            elif line.startswith(b"CSeq"):
                number = line.split()[1].decode()
            elif not line.strip():
                while method == "SETUP" and self.server.flood:
                    self.wfile.write(self.server.flood)
                status, rest = self.server.answer(method)
                self.wfile.write(f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{rest}".encode())
                if method == "PLAY":
                    self.wfile.write(self.server.packets)


def _established(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


class ScriptedRtsp(InThread, socketserver.ThreadingTCPServer):
    """Describes itself with ``description`` and sends ``packets``, interleaved; ``refused``: status by method.

    ``flood``: comes for ever in place of SETUP's answer.
    """

    allow_reuse_address = True

    def __init__(
        self,
        description: str,
        packets: bytes,
        *,
        refused: dict[str, str] | None = None,
        flood: bytes = b"",
        public: str = "",
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/x"
        self.methods: list[str] = []
        self.requests: list[str] = []
        self.authorizations: list[str] = []
        self.most_connections = 0
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.packets = packets
        self.flood = flood
        self._description = description
        self._refused = refused or {}
        self._public = public

    @contextmanager
    def counted(self, connection: socket.socket) -> Iterator[None]:
        """While a connection is open. One that its peer has ended counts no more, read to its end or not."""
        with self._lock:
            self._connections.add(connection)
            self.most_connections = max(self.most_connections, sum(map(_established, self._connections)))
        try:
            yield
        finally:
            with self._lock:
                self._connections.remove(connection)

    def answer(self, method: str) -> tuple[str, str]:
        """Status and the rest of the response, from its headers on."""
        if method in self._refused:
            return self._refused[method], "\r\n"
        if method == "OPTIONS" and self._public:
            return "200 OK", f"Public: {self._public}\r\n\r\n"
        if method == "DESCRIBE":
            length = len(self._description.encode())
            head = f"Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
            return "200 OK", head + self._description
        if method == "SETUP":
            return "200 OK", "Session: 1;timeout=20\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n"
        return "200 OK", "\r\n"
