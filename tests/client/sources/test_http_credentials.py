"""Credentials of http:// sources go to their own host alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stream_client.errors import SourceError
from stream_client.sources.network import network_source


class Guard(ThreadingHTTPServer):
    """Asks everybody for a password, and sends those who give one to ``location``, if there is one."""

    def __init__(self, location: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.location = location
        self.requests = 0
        self.authorizations: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Guard

    def do_GET(self) -> None:
        self.server.requests += 1
        given = self.headers["Authorization"]
        if given is not None:
            self.server.authorizations.append(given)
        if given is not None and self.server.location:
            self.send_response(302)
            self.send_header("Location", self.server.location)
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(server: Guard) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/video.mp4"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_redirect_takes_no_credentials_along() -> None:
    other = Guard()
    with serving(other) as target:
        first = Guard(target)
        with serving(first) as url:
            source = network_source(url.replace("//", "//me:geheim@"), timeout=5, reconnect_timeout=0)
            with pytest.raises(SourceError) as caught:
                source.open()
            source.close()
    assert first.authorizations
    assert (other.requests > 0, other.authorizations) == (True, [])
    assert "geheim" not in str(caught.value)
