"""A real HTTP server of videos: whole files, streams without a length, MJPEG cameras, playlists."""

import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.support.in_thread import InThread

Chunks = Callable[[], Iterator[bytes]]
OTHER_HOST = "127.1"
"""This machine, by a name that is not known as its own."""
DIGEST = 'Digest realm="x", nonce="n", qop="auth"'


class _Handler(BaseHTTPRequestHandler):
    server: "WebStreams"

    def setup(self) -> None:
        """Speak the server's version of HTTP."""
        super().setup()
        self.protocol_version = self.server.protocol

    def do_GET(self) -> None:
        """Send what the path names."""
        name = self.path.strip("/")
        self.server.asked.append((name, self.headers["Authorization"]))
        try:
            if self.server.locked and self.headers["Authorization"] is None:
                self._refuse()
            elif name in self.server.redirects:
                self.send_response(302)
                self.send_header("Location", self.server.redirects[name])
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif self.server.statuses.get(name):
                self.send_error(self.server.statuses[name].pop(0))
            elif name in self.server.streams:
                self._stream(*self.server.streams[name])
            elif (self.server.folder / name).is_file():
                self._file((self.server.folder / name).read_bytes())
            else:
                self.send_error(404)
        except OSError:
            pass  # the client has gone

    def _refuse(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", self.server.challenge)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _stream(self, content_type: str, chunks: Chunks) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.end_headers()
        for chunk in chunks():
            self.wfile.write(chunk)
            self.wfile.flush()

    def _file(self, data: bytes) -> None:
        begin, ranges = 0, self.headers.get("Range", "")
        if self.server.ranges and ranges.startswith("bytes="):
            begin = int(ranges.removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{self.server.total or len(data)}")
        else:
            self.send_response(200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(data[begin:] if cut is None else data[begin : begin + cut])

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


class WebStreams(InThread, ThreadingHTTPServer):
    """Serves the files of ``folder``, and ``streams``: a content type and what makes the bytes, by name.

    ``ranges``: parts of a file may be asked for; the server says that it has ``total`` bytes, if that is not empty.
    ``cuts``: the bytes after which the next answers break off, ``None`` for one that is whole. ``redirects``
    leads from a name to an address, ``statuses`` are those of the first answers, ``locked`` asks for a password, as
    ``challenge`` says. ``asked`` has all names that were asked for, with passwords.
    By ``protocol`` ``HTTP/1.1`` it closes a connection after each answer without having said so.
    """

    daemon_threads = True

    def __init__(
        self,
        folder: Path,
        streams: dict[str, tuple[str, Chunks]] | None = None,
        *,
        ranges: bool = True,
        protocol: str = "HTTP/1.0",
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.streams = streams or {}
        self.ranges = ranges
        self.protocol = protocol
        self.total = ""
        self.cuts: list[int | None] = []
        self.redirects: dict[str, str] = {}
        self.statuses: dict[str, list[int]] = {}
        self.locked = False
        self.challenge = 'Basic realm="streams"'
        self.asked: list[tuple[str, str | None]] = []

    def url(self, name: str) -> str:
        """The address of a file or stream."""
        return f"http://127.0.0.1:{self.server_port}/{name}"


def mjpeg(frames: list[bytes], rate: float) -> tuple[str, Chunks]:
    """A camera's JPEGs, ``rate`` a second, as multipart."""
    head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    return "multipart/x-mixed-replace; boundary=frame", paced(
        [head % len(frame) + frame + b"\r\n" for frame in frames], rate
    )


def paced(parts: list[bytes], rate: float, sent: list[float] | None = None) -> Chunks:
    """``rate`` parts a second. ``sent`` gets the times at which they left, in s of :func:`time.monotonic`."""

    def chunks() -> Iterator[bytes]:
        start = time.monotonic()
        for number, part in enumerate(parts):
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
            if sent is not None:
                sent.append(time.monotonic())
            yield part

    return chunks


def at_once(data: bytes, content_type: str = "video/mp2t") -> tuple[str, Chunks]:
    """A stream without a length, as fast as it is taken."""
    return content_type, lambda: iter([data])
